// SPDX-License-Identifier: GPL-2.0
//! Failures that tests ask for by boot arguments; see [`crate::kargs`].

use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::{self, apic, timer};
use crate::kargs::{self, Place};

/// When the timer of `test_panic=timer` fires after boot.
const TIMER_NS: u64 = 100_000_000;

/// The failure wanted, as one of the constants below.
static WANTED: AtomicU32 = AtomicU32::new(NONE);
const NONE: u32 = 0;
const PANIC_IN_SYSCALL: u32 = 1;
const PANIC_IN_TIMER: u32 = 2;
const PANIC_IN_NMI: u32 = 3;
const HANG_IN_SYSCALL: u32 = 4;

/// Before the instance says that it runs.
pub fn at_boot() {
    assert!(
        kargs::get().test_panic != Some(Place::Boot),
        "test_panic=boot"
    );
}

/// Prepares what is wanted after boot. The boot CPU, when the instance runs.
pub fn arm() {
    let kargs = kargs::get();
    let wanted = match (kargs.test_panic, kargs.test_hang) {
        (Some(Place::Syscall), _) => PANIC_IN_SYSCALL,
        (Some(Place::Timer), _) => PANIC_IN_TIMER,
        (Some(Place::Nmi), _) => PANIC_IN_NMI,
        (_, Some(Place::Syscall)) => HANG_IN_SYSCALL,
        _ => NONE,
    };
    WANTED.store(wanted, Ordering::Relaxed);
    match wanted {
        PANIC_IN_TIMER => timer::start_slice(TIMER_NS),
        PANIC_IN_NMI => apic::send_nmi(arch::cpu_index()),
        _ => {}
    }
}

/// At the start of every system call.
#[inline]
pub fn in_syscall() {
    if WANTED.load(Ordering::Relaxed) != NONE {
        fail_in_syscall();
    }
}

#[cold]
fn fail_in_syscall() {
    match WANTED.load(Ordering::Relaxed) {
        PANIC_IN_SYSCALL => panic!("test_panic=syscall"),
        HANG_IN_SYSCALL => loop {
            core::hint::spin_loop();
        },
        _ => {}
    }
}

/// In every timer interrupt.
pub fn in_timer() {
    assert!(
        WANTED.load(Ordering::Relaxed) != PANIC_IN_TIMER,
        "test_panic=timer"
    );
}

/// In a non-maskable interrupt: whether it shall panic.
pub fn nmi_shall_panic() -> bool {
    WANTED.load(Ordering::Relaxed) == PANIC_IN_NMI
}
