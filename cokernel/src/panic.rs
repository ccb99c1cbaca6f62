// SPDX-License-Identifier: GPL-2.0
//! The end of an instance: the panic report, and the orderly stop.

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ihk_ikc::control::state;
use ihk_ikc::packet::ToLinux;

use crate::arch::time::Deadline;
use crate::arch::{self, apic, attention, backtrace, UserFrame};
use crate::{ikc, log};

/// The longest time that the other CPUs may take to stop.
const STOP_LIMIT_US: u64 = 2_000_000;
/// Longest backtrace.
const MAX_CALLS: usize = 24;

/// Set: every CPU that notices stops.
static STOPPING: AtomicBool = AtomicBool::new(false);
/// The CPU that writes the report.
static REPORTER: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;
/// CPUs that have stopped.
static STOPPED: AtomicU32 = AtomicU32::new(0);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    die(format_args!("{info}"), None)
}

/// Reports `reason`, with the registers of the interrupted code if there are any, and stops the
/// instance.
pub fn die(reason: fmt::Arguments<'_>, frame: Option<&UserFrame>) -> ! {
    let me = arch::cpu_index();
    if STOPPING.swap(true, Ordering::SeqCst) {
        // Another CPU reports; or this one failed while it did, and finishes without the rest.
        if REPORTER.swap(NOBODY, Ordering::SeqCst) != me {
            stop_this_cpu();
        }
    } else {
        REPORTER.store(me, Ordering::SeqCst);
        ask_others();
        report(reason, frame);
    }
    if ikc::try_control().is_none() {
        arch::halt_forever();
    }
    ikc::set_state(state::PANIC);
    stop_others();
    announce(state::PANIC);
    stop_this_cpu()
}

/// Stops every CPU in good order; the last one says `last_state`. Called on the CPU that was told.
pub fn stop_all(last_state: u32) -> ! {
    if STOPPING.swap(true, Ordering::SeqCst) {
        stop_this_cpu();
    }
    ask_others();
    let state = if stop_others() {
        last_state
    } else {
        log::line(format_args!("a CPU does not stop"));
        state::PANIC
    };
    ikc::control().cpus_stopped.fetch_add(1, Ordering::AcqRel);
    ikc::set_state(state);
    announce(state);
    arch::halt_forever()
}

/// Stops this CPU if the instance is stopping; interrupt handlers and wait loops ask.
pub fn stop_if_asked() {
    if STOPPING.load(Ordering::Acquire) {
        stop_this_cpu();
    }
}

/// Those that spin stop at once; the others when they are interrupted.
fn ask_others() {
    for cpu in other_cpus() {
        arch::request_attention(cpu, attention::STOP);
    }
}

fn other_cpus() -> impl Iterator<Item = u32> {
    let me = arch::cpu_index();
    (0..arch::cpu_count()).filter(move |cpu| *cpu != me)
}

fn report(reason: fmt::Arguments<'_>, frame: Option<&UserFrame>) {
    log::line_in_panic(format_args!("PANIC: {reason}"));
    if let Some(frame) = frame {
        backtrace::registers(frame, log::line_in_panic);
    }
    let mut calls = [0; MAX_CALLS];
    let found = backtrace::calls(frame, &mut calls);
    for address in &calls[..found] {
        log::line_in_panic(format_args!("  called from {address:#018x}"));
    }
}

fn announce(state: u32) {
    ikc::send(&ToLinux::StateChanged { state });
}

/// Interrupts the other CPUs and waits until all have stopped or the time is up; whether all have.
fn stop_others() -> bool {
    let others = arch::cpu_count() - 1;
    other_cpus().for_each(apic::send_ipi);
    let deadline = Deadline::after_us(STOP_LIMIT_US);
    while STOPPED.load(Ordering::Acquire) < others {
        if deadline.passed() {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

fn stop_this_cpu() -> ! {
    STOPPED.fetch_add(1, Ordering::AcqRel);
    if let Some(control) = ikc::try_control() {
        control.cpus_stopped.fetch_add(1, Ordering::AcqRel);
    }
    arch::halt_forever()
}
