// SPDX-License-Identifier: GPL-2.0
//! The programs of `tests/guest` that check claims about themselves, natively and then under mcexec.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static PROGRAMS: LazyLock<Reports> = LazyLock::new(|| {
    let programs = [
        "files",
        "memory",
        "signals",
        "processor",
        "process",
        "uring",
    ];
    Reports::of(linux_only(), "programs", &programs)
});

claims!(PROGRAMS:
    // files
    first_open_returns_3,
    only_standard_descriptors_are_open,
    proc_self_fd_lists_the_programs_own,
    closing_every_descriptor_harms_nothing,
    read_into_a_read_only_page_fails_with_efault,
    rights_of_a_page_that_linux_has_seen_can_change,
    write_from_a_read_only_page_works,
    read_stops_at_the_end_of_mapped_memory,
    bad_pointers_fail_with_efault,
    bad_pointers_to_local_calls_fail_with_efault,
    direct_io_reads_and_writes_program_memory,
    large_reads_fill_fresh_memory,
    vectors_scatter_and_gather,
    private_file_mapping_has_the_files_bytes,
    file_mappings_fail_as_on_linux,
    sockets_carry_data_and_flags,
    poll_waits_as_long_as_told,
    sigpipe_and_epipe_are_reported,
    unknown_calls_fail_with_enosys,
    // memory
    fresh_memory_is_zero,
    unmapped_page_faults_with_its_address,
    protection_is_enforced_and_can_return,
    data_pages_do_not_execute,
    fixed_mapping_replaces_what_was_there,
    mapping_calls_fail_as_on_linux,
    remapping_keeps_contents,
    large_remapping_moves_whole_regions,
    dontneed_zeroes_memory,
    memory_that_linux_has_seen_is_zero_when_mapped_again,
    freed_memory_can_be_allocated_again,
    reservations_cost_no_memory,
    program_break_grows_and_shrinks,
    stack_grows_to_its_limit,
    stack_overflow_is_a_fault_near_the_stack,
    many_small_mappings_stay_apart,
    mincore_tells_mapped_from_unmapped,
    // signals
    raised_signal_runs_its_handler,
    registers_survive_a_handler,
    segmentation_fault_tells_address_and_kind,
    handler_can_change_the_registers,
    arithmetic_and_debug_traps_become_signals,
    blocked_signal_waits_until_unblocked,
    sigsuspend_waits_with_another_mask,
    handler_masks_its_own_signal,
    ignored_signal_does_nothing,
    reset_handler_runs_once,
    alternate_stack_is_used_and_reported,
    signal_calls_fail_as_on_linux,
    alarm_reaches_a_computing_program,
    alarm_interrupts_a_waiting_call,
    restartable_call_goes_on_after_a_handler,
    // processor
    vector_registers_survive_calls,
    vector_registers_survive_signals,
    x87_stack_and_control_words_survive,
    program_starts_with_linuxs_control_words,
    segment_bases_survive_calls,
    privileged_instructions_are_faults,
    // process
    initial_stack_has_linuxs_layout,
    auxiliary_vector_describes_the_program,
    program_sees_the_promised_processors,
    limits_can_be_read_and_set,
    clocks_agree_with_linuxs,
    time_never_runs_backwards,
    sleeping_lasts_as_long_as_told,
    futex_wait_times_out,
    futex_calls_fail_as_on_linux,
    random_numbers_differ,
    threads_of_a_lone_program_are_its_own,
    system_name_is_linuxs,
    // uring
    rings_in_program_memory_carry_requests,
    registered_buffers_read_and_write,
    registered_buffer_stays_pinned_after_munmap,
);
