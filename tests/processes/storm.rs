// SPDX-License-Identifier: GPL-2.0
//! Minutes of programs that come, go and are killed in any order.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static STORM: LazyLock<Reports> = LazyLock::new(|| {
    let patient = VmOptions {
        timeout: Some(1800),
        ..linux_only()
    };
    Reports::of(patient, "storm", &["long"])
});

claims!(long STORM: "storm.py");

#[test]
#[ignore = "long: after the storm"]
fn linux_says_nothing_unwanted_in_the_storm() {
    STORM.ended_well(&names!("storm.py"));
}
