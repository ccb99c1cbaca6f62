// SPDX-License-Identifier: GPL-2.0
//! The co-kernel panics or hangs; Linux does not.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static PANIC: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "panic", &[]));

claims!(PANIC:
    panic_during_boot_is_reported_and_leaves_everything_usable,
    mcreboot_with_a_panicking_cokernel_fails_and_rolls_back,
    panic_in_a_syscall_ends_the_program_with_a_clear_error,
    panic_in_the_timer_ends_the_program_with_a_clear_error,
    panic_in_an_nmi_ends_the_program_with_a_clear_error,
    hang_in_a_syscall_is_noticed_and_ends_the_program_with_a_clear_error,
    hang_while_linux_takes_pages_back_does_not_hold_linux_up,
    unknown_boot_arguments_are_refused,
);
