// SPDX-License-Identifier: GPL-2.0
//! System calls with hostile arguments, for half a minute or for ten.

use crate::script::{claims, linux_only, Reports};
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

claims!(FUZZ: hostile_calls_hurt_only_who_makes_them);

#[test]
#[ignore = "long: ten minutes of hostile calls"]
fn ten_minutes_of_hostile_calls_hurt_only_who_makes_them() {
    LONG.holds("hostile_calls_hurt_only_who_makes_them");
    LONG.ended_well(&["hostile_calls_hurt_only_who_makes_them"]);
}
