// SPDX-License-Identifier: GPL-2.0
//! Signals from Linux's side: storms, terminals, stop and continue, the clock.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static SIGNALS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "signals", &[]));

claims!(SIGNALS:
    a_thousand_signals_in_every_wait_are_counted,
    linux_can_storm_a_program,
    keys_stop_continue_and_interrupt_a_job,
    a_shell_under_mcexec_controls_jobs,
    keys_reach_a_handler,
    stops_and_continues_reach_waitpid_of_linux,
    a_step_of_the_clock_is_seen_at_once,
);
