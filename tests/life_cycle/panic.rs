// SPDX-License-Identifier: GPL-2.0
//! The co-kernel panics or hangs; Linux does not.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static PANIC: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "panic", &[]));

claims!(PANIC: "panic.py");
