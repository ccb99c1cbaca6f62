// SPDX-License-Identifier: GPL-2.0
//! What confines who starts a program holds for the program.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static CONFINEMENT: LazyLock<Reports> =
    LazyLock::new(|| Reports::of(linux_only(), "confinement", &[]));

claims!(CONFINEMENT: "confinement.py");
