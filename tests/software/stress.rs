// SPDX-License-Identifier: GPL-2.0
//! stress-ng, natively and under mcexec: the rows are `stress-ng.txt`.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

fn stress(limit_s: u64, arguments: &[&str]) -> Reports {
    let patient = VmOptions {
        timeout: Some(limit_s),
        // One of the stressors is about nodes.
        numa: 2,
        ..linux_only()
    };
    Reports::of(patient, "stress_ng", arguments)
}

#[test]
fn a_few_stressors_end_as_on_linux() {
    static QUICK: LazyLock<Reports> = LazyLock::new(|| stress(600, &["quick"]));
    QUICK.rows_pass("");
    QUICK.ended_well(&[]);
}

#[test]
#[ignore = "long: every stressor of the list"]
fn all_stressors_end_as_on_linux() {
    static ALL: LazyLock<Reports> = LazyLock::new(|| stress(3600, &[]));
    ALL.rows_pass("");
    ALL.ended_well(&[]);
}
