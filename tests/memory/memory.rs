// SPDX-License-Identifier: GPL-2.0
//! Memory as a whole: random calls against a model, and what is left behind.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

fn patient() -> VmOptions {
    VmOptions {
        timeout: Some(3000),
        ..linux_only()
    }
}

static MEMORY: LazyLock<Reports> = LazyLock::new(|| Reports::of(patient(), "memory", &[]));
static LONG: LazyLock<Reports> = LazyLock::new(|| {
    let long = VmOptions {
        timeout: Some(6000),
        ..patient()
    };
    Reports::of(long, "memory", &["long"])
});

claims!(MEMORY, LONG: "memory.py");
