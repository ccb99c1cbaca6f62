// SPDX-License-Identifier: GPL-2.0
//! Failures that tests ask for by boot arguments; see [`crate::kargs`].

use core::sync::atomic::{AtomicU32, Ordering};

use crate::arch::{self, apic};
use crate::kargs::{self, Place};

/// The time at which `test_panic=timer` and `test_panic=nmi` strike after boot: late enough that booting has
/// succeeded on a busy machine too, and that a program can be there.
const TIMER_NS: u64 = 1_000_000_000;

/// The failure wanted, as one of the constants below.
static WANTED: AtomicU32 = AtomicU32::new(NONE);
const NONE: u32 = 0;
const PANIC_IN_SYSCALL: u32 = 1;
const PANIC_IN_TIMER: u32 = 2;
const PANIC_IN_NMI: u32 = 3;
const HANG_IN_SYSCALL: u32 = 4;
const HANG_IN_MIRROR: u32 = 5;

/// Before the instance says that it runs.
pub fn at_boot() {
    assert!(
        kargs::get().test_panic != Some(Place::Boot),
        "test_panic=boot"
    );
}

/// Prepares what is wanted after boot. Returns after how many nanoseconds this CPU's timer shall interrupt
/// it, if it shall. The boot CPU, when the instance runs.
pub fn arm() -> Option<u64> {
    let kargs = kargs::get();
    let wanted = match (kargs.test_panic, kargs.test_hang) {
        (Some(Place::Syscall), _) => PANIC_IN_SYSCALL,
        (Some(Place::Timer), _) => PANIC_IN_TIMER,
        (Some(Place::Nmi), _) => PANIC_IN_NMI,
        (_, Some(Place::Syscall)) => HANG_IN_SYSCALL,
        (_, Some(Place::Mirror)) => HANG_IN_MIRROR,
        _ => NONE,
    };
    WANTED.store(wanted, Ordering::Relaxed);
    matches!(wanted, PANIC_IN_TIMER | PANIC_IN_NMI).then_some(TIMER_NS)
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
        HANG_IN_SYSCALL => hang(),
        _ => {}
    }
}

fn hang() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// The failure when Linux takes back pages it has shown.
pub fn in_mirror() {
    if WANTED.load(Ordering::Relaxed) == HANG_IN_MIRROR {
        hang();
    }
}

/// In every timer interrupt.
pub fn in_timer() {
    match WANTED.load(Ordering::Relaxed) {
        PANIC_IN_TIMER => panic!("test_panic=timer"),
        PANIC_IN_NMI => apic::send_nmi(arch::cpu_index()),
        _ => {}
    }
}

/// In a non-maskable interrupt: whether it shall panic.
pub fn nmi_shall_panic() -> bool {
    WANTED.load(Ordering::Relaxed) == PANIC_IN_NMI
}
