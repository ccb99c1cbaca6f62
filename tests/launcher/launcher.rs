// SPDX-License-Identifier: GPL-2.0
//! mcexec: programs of every kind start, look like themselves, and end as they would natively.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static LAUNCHER: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "launcher", &[]));

claims!(LAUNCHER: "launcher.py");
