// SPDX-License-Identifier: GPL-2.0
//! System calls with hostile arguments, for half a minute or for ten.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static FUZZ: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "fuzz", &["30"]));
static LONG: LazyLock<Reports> = LazyLock::new(|| {
    let patient = VmOptions {
        timeout: Some(1200),
        ..linux_only()
    };
    Reports::of(patient, "fuzz", &["600"])
});

claims!(FUZZ: "fuzz.py");

#[test]
#[ignore = "long: ten minutes of hostile calls"]
fn ten_minutes_of_hostile_calls_hurt_only_who_makes_them() {
    let claims = names!("fuzz.py");
    for claim in claims {
        LONG.holds(claim);
    }
    LONG.ended_well(&claims);
}
