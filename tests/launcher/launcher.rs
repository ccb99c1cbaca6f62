// SPDX-License-Identifier: GPL-2.0
//! mcexec: programs of every kind start, look like themselves, and end as they would natively.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static LAUNCHER: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "launcher", &[]));

claims!(LAUNCHER:
    static_pie_and_dynamic_programs_say_hello,
    getpid_is_the_pid_of_mcexec,
    every_exit_status_passes,
    death_by_each_signal_is_the_same,
    auxiliary_vector_equals_linuxs,
    native_process_reads_and_writes_program_memory,
    addresses_are_random_unless_asked_not_to_be,
    programs_see_the_cokernels_processors,
    unlimited_stack_and_small_address_space_are_no_obstacle,
    scripts_run_their_interpreter,
    path_is_searched_as_a_shell_does,
    help_and_version_are_printed,
    overlapping_segments_and_wrong_entries_harm_nobody,
    program_that_uses_all_memory_is_told_and_leaves_the_rest_running,
    two_programs_run_at_once_on_two_cores,
    twelve_programs_at_once_all_end_well,
    many_programs_one_after_the_other_leave_nothing_behind,
    programs_see_linuxs_time,
    reads_bring_the_same_bytes_in_every_way_that_can_be_measured,
    calls_do_the_same_in_every_way_that_can_be_measured,
    a_copying_mcexec_fails_and_succeeds_as_others_do,
    the_first_use_of_a_little_memory_maps_nothing_and_the_second_does,
    ways_map_what_they_say,
);
