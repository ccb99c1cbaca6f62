// SPDX-License-Identifier: GPL-2.0
//! Posted calls and functions in programs as they come: the example web server.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static SAKURA: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "sakura", &[]));

claims!(SAKURA: "sakura.py");
