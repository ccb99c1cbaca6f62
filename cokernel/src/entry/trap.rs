// SPDX-License-Identifier: GPL-2.0
//! From the stubs of [`crate::arch`] to safe handlers of exceptions and interrupts, and the common way back to
//! user mode.

use core::sync::atomic::Ordering;

use cokernel_logic::signals::number::SIGSEGV;
use ihk_ikc::layout::{COKERNEL_IPI_VECTOR, DOORBELL_VECTOR, TIMER_VECTOR};

use crate::arch::exception::{fault_address, SI_KERNEL};
use crate::arch::{self, apic, idt, UserFrame};
use crate::aspace::shootdown;
use crate::entry::{exception, int80, timer_interrupt};
use crate::process::signal::deliver;
use crate::task::{sched, stack};
use crate::{failure, ikc, panic};

/// Vectors below are exceptions.
const FIRST_INTERRUPT: u64 = 32;

/// # Safety
///
/// Called only by `trap_common`, with `frame` on this CPU's kernel stack.
#[no_mangle]
unsafe extern "C" fn trap_entry(vector: u64, frame: *mut UserFrame) {
    // SAFETY: by this function's contract `frame` is valid and ours alone until we return.
    let frame = unsafe { &mut *frame };
    let error = core::mem::replace(&mut frame.orig_rax, u64::MAX);
    if vector == u64::from(idt::SYSCALL32) && frame.is_user() {
        int80::call(frame);
    } else if vector >= FIRST_INTERRUPT {
        interrupt(vector);
    } else if frame.is_user() {
        exception::from_user(vector, error, frame);
    } else {
        exception::in_kernel(vector, error, frame);
    }
    if frame.is_user() {
        prepare_return(frame);
    }
}

/// # Safety
///
/// Called only by `trap_paranoid`, with `frame` on the interrupt stack of the vector.
#[no_mangle]
unsafe extern "C" fn trap_paranoid_entry(vector: u64, frame: *mut UserFrame) {
    // SAFETY: by this function's contract `frame` is valid and ours alone until we return.
    let frame = unsafe { &mut *frame };
    match u8::try_from(vector) {
        Ok(idt::NMI) => non_maskable(frame),
        Ok(idt::MACHINE_CHECK) => panic::die(format_args!("machine check"), Some(frame)),
        _ => double_fault(frame),
    }
}

/// # Safety
///
/// Called only by `context_start_user`, with `frame` at the top of this thread's kernel stack.
#[no_mangle]
unsafe extern "C" fn exit_to_user(frame: *mut UserFrame) {
    // SAFETY: by this function's contract `frame` is valid and ours alone until we return.
    prepare_return(unsafe { &mut *frame });
}

/// Prepares every return to user mode: others' turns, signals, a frame that is sound. Interrupts are off
/// from the last look until user mode.
#[inline]
pub fn prepare_return(frame: &mut UserFrame) {
    let quiet = !arch::this_cpu().is_resched_requested() && !sched::current().needs_return_work();
    if !quiet || !frame.sanitise() {
        work_before_return(frame);
    }
}

#[cold]
fn work_before_return(frame: &mut UserFrame) {
    loop {
        sched::resched_if_asked();
        let me = sched::current();
        if me.needs_return_work() && me.take_return_work() {
            sched::obey_affinity();
            deliver::before_return(frame);
            continue;
        }
        if frame.sanitise() {
            return;
        }
        frame.rip = 0; // once: the signal below ends the program or sets a handler's address
        deliver::raise_fault(SIGSEGV, SI_KERNEL, 0);
        me.request_return_work();
    }
}

fn interrupt(vector: u64) {
    let cpu = arch::cpu_index();
    let count = &ikc::control().interrupts[cpu as usize];
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
    ikc::beat();
    apic::end_of_interrupt();
    panic::stop_if_asked();
    match u8::try_from(vector) {
        Ok(DOORBELL_VECTOR) => ikc::on_doorbell(),
        Ok(COKERNEL_IPI_VECTOR) => {
            shootdown::serve();
            sched::note_arrival();
        }
        Ok(TIMER_VECTOR) => timer_interrupt::interrupt(),
        _ => {} // Linux's broadcasts reach us too
    }
}

fn non_maskable(frame: &UserFrame) {
    panic::stop_if_asked();
    if failure::nmi_shall_panic() {
        panic::die(format_args!("test_panic=nmi"), Some(frame));
    }
    // Linux asks whether this CPU runs at all. Its panic and backtrace requests are broadcast, too, and not for us.
    ikc::count_nmi();
}

fn double_fault(frame: &UserFrame) -> ! {
    let address = fault_address();
    if stack::is_guard(address) {
        panic::die(
            format_args!("kernel stack overflow at {address:#x}"),
            Some(frame),
        );
    }
    panic::die(
        format_args!("double fault, last page fault at {address:#x}"),
        Some(frame),
    );
}
