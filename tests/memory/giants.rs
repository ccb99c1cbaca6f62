// SPDX-License-Identifier: GPL-2.0
//! Pages of 1 GiB, on a machine that has some to give.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static GIANTS: LazyLock<Reports> = LazyLock::new(|| {
    let large = VmOptions {
        mem: 5 << 30,
        ..linux_only()
    };
    Reports::of(large, "giants", &[])
});

claims!(GIANTS:
    linux_hands_over_whole_gibs,
    large_mappings_have_giant_pages,
    huge_pages_are_giant_if_asked_for,
    giant_pages_can_be_cut,
    giant_pages_move,
    forks_copy_what_is_written,
    calls_reach_giant_pages,
    kills_bring_giant_pages_back,
    small_programs_leave_giant_pages_whole,
    instances_get_whole_gibs_first,
);
