// SPDX-License-Identifier: GPL-2.0
//! Starting and stopping gives every core and byte back to Linux.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static CYCLES: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "cycles", &[]));

claims!(CYCLES: "cycles.py");
