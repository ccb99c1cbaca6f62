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
    Reports::of(patient, "storm", &[])
});

const CLAIMS: [&str; 2] = [
    "storm_of_programs_and_signals_leaves_nothing_behind",
    "sixty_cycles_wear_nothing_out",
];

#[test]
#[ignore = "long: minutes of random programs and signals"]
fn storm_of_programs_and_signals_leaves_nothing_behind() {
    STORM.holds(CLAIMS[0]);
}

#[test]
#[ignore = "long: sixty boots of the co-kernel"]
fn sixty_cycles_wear_nothing_out() {
    STORM.holds(CLAIMS[1]);
}

#[test]
#[ignore = "long: after the storm"]
fn linux_says_nothing_unwanted_in_the_storm() {
    STORM.ended_well(&CLAIMS);
}
