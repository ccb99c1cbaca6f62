// SPDX-License-Identifier: GPL-2.0
//! fork, exec, wait and signals between processes, as on Linux.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static PROCESSES: LazyLock<Reports> = LazyLock::new(|| {
    let patient = VmOptions {
        timeout: Some(900),
        ..linux_only()
    };
    Reports::of(patient, "processes", &[])
});

claims!(PROCESSES:
    pipelines_and_substitutions_work,
    subshells_keep_their_changes_to_themselves,
    traps_run_for_signals_between_processes,
    exit_statuses_and_signals_reach_the_parent,
    memory_of_parent_and_child_is_apart,
    shared_anonymous_memory_stays_shared,
    delegated_calls_see_the_right_copy,
    spawning_a_missing_program_is_reported,
    failed_exec_leaves_the_program_running,
    exec_passes_arguments_environment_and_descriptors,
    signal_mask_and_ignored_signals_survive_exec,
    waiting_signals_survive_exec,
    blocked_signals_wait_instead_of_killing,
    waiting_calls_with_a_mask_end_by_the_signal,
    stopped_and_continued_children_are_reported,
    sessions_and_process_groups_are_linuxs,
    python_multiprocessing_works,
    perl_forks_and_executes,
    timeout_and_xargs_do_their_work,
    make_and_gcc_build_the_same_program,
    shell_scripts_with_jobs_end_alike,
    python_subprocesses_and_signals_work,
    two_hundred_short_processes_leave_nothing_behind,
    limited_fork_bomb_leaves_nothing_behind,
    killing_a_parent_leaves_its_child_running,
    vfork_shares_memory_until_exec,
    clone_stores_ids_and_registers_survive,
    advice_for_fork_is_followed,
    death_between_two_programs_leaves_nothing_behind,
    processors_of_another_process_are_seen_and_set,
);
