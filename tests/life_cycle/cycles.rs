// SPDX-License-Identifier: GPL-2.0
//! Starting and stopping gives every core and byte back to Linux.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static CYCLES: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "cycles", &[]));

claims!(CYCLES:
    reserved_cores_and_memory_leave_linux,
    mcreboot_with_the_same_arguments_changes_nothing,
    mcreboot_with_other_arguments_rebuilds,
    mcreboot_dry_run_changes_nothing,
    mcreboot_and_mcstop_are_refused_while_a_program_runs,
    stopping_twice_is_no_error,
    twenty_cycles_give_every_core_and_byte_back,
    cores_go_back_online_and_run_tasks,
    memory_goes_back_to_linux,
);
