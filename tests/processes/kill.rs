// SPDX-License-Identifier: GPL-2.0
//! Programs are killed at every moment and leave nothing behind.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static KILL: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "kill", &[]));

claims!(KILL:
    killed_while_computing_leaves_nothing_behind,
    killed_in_a_delegated_call_leaves_nothing_behind,
    killed_while_waiting_in_the_cokernel_leaves_nothing_behind,
    killed_at_twenty_moments_of_loading_leaves_nothing_behind,
    terminated_while_computing_dies_by_sigterm,
    terminated_in_a_delegated_call_dies_by_sigterm,
    signal_from_outside_runs_the_programs_handler,
    eight_killed_at_once_leave_nothing_behind,
    stopped_program_stops_computing_and_goes_on_when_continued,
    killed_reader_of_a_pipe_ends_its_writer,
);
