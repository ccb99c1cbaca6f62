// SPDX-License-Identifier: GPL-2.0
//! A computing core is left alone.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static NOISE: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "noise", &[]));

claims!(NOISE: "noise.py");
