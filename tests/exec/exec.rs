// SPDX-License-Identifier: GPL-2.0
//! exec, fork and descriptors are as natively, whatever a program has, sees and may.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static EXEC: LazyLock<Reports> = LazyLock::new(|| {
    let patient = VmOptions {
        timeout: Some(900),
        ..linux_only()
    };
    Reports::of(patient, "exec", &[])
});

static LONG: LazyLock<Reports> = LazyLock::new(|| {
    let patient = VmOptions {
        timeout: Some(7200),
        ..linux_only()
    };
    Reports::of(patient, "exec", &["long"])
});

claims!(EXEC, LONG: "exec.py");
