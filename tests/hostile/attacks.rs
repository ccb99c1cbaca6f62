// SPDX-License-Identifier: GPL-2.0
//! What one user does to others.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static ATTACKS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "attacks", &[]));

claims!(ATTACKS: "attacks.py");
