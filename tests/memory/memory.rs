// SPDX-License-Identifier: GPL-2.0
//! Memory as a whole: random calls against a model, and what is left behind.

use crate::script::{claims, linux_only, Reports};
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

claims!(MEMORY:
    random_mappings_agree_with_the_model,
    memory_is_cleared_in_pauses,
    large_pages_are_whole_again_after_a_mix,
    fork_copies_only_what_is_written,
    out_of_memory_ends_the_process_that_has_most,
    several_may_ask_for_all_memory_at_once,
    what_linux_has_pinned_is_kept_from_the_next_instance,
    the_kernels_own_memory_can_run_short,
);

#[test]
#[ignore = "long: a million operations"]
fn a_million_random_mappings_agree_with_the_model() {
    LONG.holds("a_million_random_mappings_agree_with_the_model");
}

#[test]
#[ignore = "long: ten minutes of programs"]
fn large_pages_are_whole_again_after_ten_minutes() {
    LONG.holds("large_pages_are_whole_again_after_ten_minutes");
}
