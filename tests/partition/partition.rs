// SPDX-License-Identifier: GPL-2.0
//! Taking a machine apart: doorbells, rights, several instances, what stays readable, many at once.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static PARTITION: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "partition", &[]));

claims!(PARTITION: "partition.py");
