// SPDX-License-Identifier: GPL-2.0
//! Programs are killed at every moment and leave nothing behind.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static KILL: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "kill", &[]));

claims!(KILL: "kill.py");
