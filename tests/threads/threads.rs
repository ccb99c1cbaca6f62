// SPDX-License-Identifier: GPL-2.0
//! Programs with threads as they come, and what is left of them.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static THREADS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "threads", &[]));

claims!(THREADS: "threads.py");
