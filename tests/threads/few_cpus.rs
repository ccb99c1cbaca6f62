// SPDX-License-Identifier: GPL-2.0
//! Few CPUs of Linux for many threads, and no CPU time for nothing.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static FEW_CPUS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "few_cpus", &[]));

static LONG: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "few_cpus", &["long"]));

claims!(FEW_CPUS, LONG: "few_cpus.py");
