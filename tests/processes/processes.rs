// SPDX-License-Identifier: GPL-2.0
//! fork, exec, wait and signals between processes, as on Linux.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static PROCESSES: LazyLock<Reports> = LazyLock::new(|| {
    let patient = VmOptions {
        timeout: Some(900),
        ..linux_only()
    };
    Reports::of(patient, "processes", &[])
});

claims!(PROCESSES: "processes.py");
