// SPDX-License-Identifier: GPL-2.0
//! Pages of 1 GiB, on a machine that has some to give.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static GIANTS: LazyLock<Reports> = LazyLock::new(|| {
    let large = VmOptions {
        mem: 5 << 30,
        ..linux_only()
    };
    Reports::of(large, "giants", &[])
});

claims!(GIANTS: "giants.py");
