// SPDX-License-Identifier: GPL-2.0
//! What one boot can show of the kernel that `--kernel` names: the default lane runs these claims on each kernel that is
//! known to pass.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static KERNELS: LazyLock<Reports> = LazyLock::new(|| {
    let cores_and_memory = ["-c", "2-3", "-m", "512M@0"];
    Reports::of(linux_only(), "kernels", &cores_and_memory)
});

claims!(KERNELS:
    programs_run,
    every_cokernel_core_runs_programs,
    stopping_gives_everything_back,
    threads_share_work,
    files_are_mapped_and_processes_forked,
    newest_calls_are_answered_as_natively,
    killed_programs_leave_nothing_behind,
    five_cycles_give_everything_back,
);
