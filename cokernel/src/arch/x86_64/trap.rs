// SPDX-License-Identifier: GPL-2.0
//! Exceptions and interrupts: from the stubs of [`super::idt`] to safe handlers, and the common way
//! back to user mode.

use core::sync::atomic::Ordering;

use cokernel_logic::signals::number::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
use ihk_ikc::layout::{COKERNEL_IPI_VECTOR, DOORBELL_VECTOR, TIMER_VECTOR};

use super::frame::UserFrame;
use super::{apic, context, cpu, idt, timer, tlb, uaccess};
use crate::mm::addr::USER_END;
use crate::mm::fault::{self, Access, FaultOutcome};
use crate::task::{sched, signal};
use crate::{ikc, panic};

core::arch::global_asm!(
    // Stack: vector, error code, rip, cs, rflags, rsp, ss. The vector's place becomes rdi's.
    ".globl trap_common",
    "trap_common:",
    "cld",
    "test byte ptr [rsp + 24], 3",
    "jz 1f",
    "swapgs",
    "1:",
    "push rsi",
    "mov rsi, [rsp + 8]",
    "mov [rsp + 8], rdi",
    "mov rdi, rsi",
    "push rdx",
    "push rcx",
    "push rax",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov rsi, rsp",
    "xor ebp, ebp",
    "call trap_entry",
    // rsp = the UserFrame.
    ".globl return_to_user",
    "return_to_user:",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rax",
    "pop rcx",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "add rsp, 8",
    "test byte ptr [rsp + 8], 3",
    "jz 2f",
    "swapgs",
    "2:",
    "iretq",
    // The GS base may be anybody's: take this CPU's from the top of its own interrupt stack, where
    // `tables` put it, and put the interrupted code's back afterwards.
    ".globl trap_paranoid",
    "trap_paranoid:",
    "cld",
    "push rsi",
    "mov rsi, [rsp + 8]",
    "mov [rsp + 8], rdi",
    "mov rdi, rsi",
    "push rdx",
    "push rcx",
    "push rax",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov rsi, rsp",
    "mov ecx, {gs_base}",
    "rdmsr",
    "shl rdx, 32",
    "or rax, rdx",
    "mov r12, rax",
    "mov rax, [rsp + 168]",
    "mov rdx, rax",
    "shr rdx, 32",
    "wrmsr",
    "xor ebp, ebp",
    "call trap_paranoid_entry",
    "mov ecx, {gs_base}",
    "mov rax, r12",
    "mov rdx, rax",
    "shr rdx, 32",
    "wrmsr",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rax",
    "pop rcx",
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "add rsp, 8",
    "iretq",
    gs_base = const super::msr::GS_BASE,
);

/// Bits of a page fault's error code.
mod page_fault {
    pub(super) const WRITE: u64 = 1 << 1;
    pub(super) const MALFORMED_TABLE: u64 = 1 << 3;
    pub(super) const EXEC: u64 = 1 << 4;
    pub(super) const PROTECTION_KEY: u64 = 1 << 5;
}

/// Vector numbers of exceptions.
mod vector {
    pub(super) const DIVIDE: u64 = 0;
    pub(super) const DEBUG: u64 = 1;
    pub(super) const BREAKPOINT: u64 = 3;
    pub(super) const INVALID_OPCODE: u64 = 6;
    pub(super) const DEVICE_NOT_AVAILABLE: u64 = 7;
    pub(super) const STACK_SEGMENT: u64 = 12;
    pub(super) const PAGE_FAULT: u64 = 14;
    pub(super) const X87: u64 = 16;
    pub(super) const ALIGNMENT: u64 = 17;
    pub(super) const SIMD: u64 = 19;
    pub(super) const FIRST_INTERRUPT: u64 = 32;
}

/// `si_code` values.
mod code {
    pub(super) const SI_KERNEL: i32 = 0x80;
    pub(super) const FPE_INTDIV: i32 = 1;
    pub(super) const ILL_ILLOPN: i32 = 2;
    pub(super) const TRAP_BRKPT: i32 = 1;
    pub(super) const BUS_ADRALN: i32 = 1;
    pub(super) const SEGV_MAPERR: i32 = 1;
    pub(super) const SEGV_PKUERR: i32 = 4;
}

/// # Safety
///
/// Called only by `trap_common`, with `frame` on this CPU's kernel stack.
#[no_mangle]
unsafe extern "C" fn trap_entry(vector: u64, frame: *mut UserFrame) {
    // SAFETY: by this function's contract `frame` is valid and ours alone until we return.
    let frame = unsafe { &mut *frame };
    let error = core::mem::replace(&mut frame.orig_rax, u64::MAX);
    if vector >= vector::FIRST_INTERRUPT {
        interrupt(vector);
    } else if frame.is_user() {
        user_exception(vector, error, frame);
    } else {
        kernel_exception(vector, error, frame);
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

/// What happens before every return to user mode: others' turns, signals, a frame that is sound.
/// Interrupts are off from the last look until user mode.
#[inline]
pub(super) fn prepare_return(frame: &mut UserFrame) {
    let quiet = !cpu::this_cpu().is_resched_requested() && !sched::current().needs_return_work();
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
            signal::before_return(frame);
            continue;
        }
        if frame.sanitise() {
            return;
        }
        frame.rip = 0; // once: the signal below ends the program or sets a handler's address
        signal::raise_fault(SIGSEGV, code::SI_KERNEL, 0);
        me.request_return_work();
    }
}

fn interrupt(vector: u64) {
    let cpu = cpu::cpu_index();
    let count = &ikc::control().interrupts[cpu as usize];
    count.store(
        count.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
    ikc::beat();
    apic::end_of_interrupt();
    panic::stop_if_asked();
    match u8::try_from(vector) {
        Ok(DOORBELL_VECTOR) => ikc::drain(),
        Ok(COKERNEL_IPI_VECTOR) => {
            tlb::serve();
            sched::note_arrival();
        }
        Ok(TIMER_VECTOR) => timer::interrupt(),
        _ => {} // Linux's broadcasts reach us too
    }
}

fn user_exception(vector: u64, error: u64, frame: &mut UserFrame) {
    let rip = frame.rip;
    let (signo, code, addr) = match vector {
        vector::PAGE_FAULT => match user_page_fault(fault_address(), error) {
            FaultOutcome::Resolved => return,
            FaultOutcome::Signal { signo, code, addr } => (signo, code, addr),
        },
        vector::DIVIDE => (SIGFPE, code::FPE_INTDIV, rip),
        vector::X87 | vector::SIMD => (SIGFPE, floating_point_code(vector), rip),
        vector::DEBUG => (SIGTRAP, debug_code(), rip),
        vector::BREAKPOINT => (SIGTRAP, code::SI_KERNEL, 0),
        vector::INVALID_OPCODE | vector::DEVICE_NOT_AVAILABLE => (SIGILL, code::ILL_ILLOPN, rip),
        vector::STACK_SEGMENT => (SIGBUS, code::SI_KERNEL, 0),
        vector::ALIGNMENT => (SIGBUS, code::BUS_ADRALN, 0),
        _ => (SIGSEGV, code::SI_KERNEL, 0),
    };
    signal::raise_fault(signo, code, addr);
    sched::current().request_return_work();
}

/// The kernel's own exceptions are bugs, except where it touches user memory.
fn kernel_exception(vector: u64, error: u64, frame: &mut UserFrame) {
    if let Some(fixup) = uaccess::fixup(frame.rip) {
        let resolved = vector == vector::PAGE_FAULT
            && fault_address() < USER_END
            && user_page_fault(fault_address(), error) == FaultOutcome::Resolved;
        if !resolved {
            frame.rip = fixup;
        }
        return;
    }
    if vector == vector::PAGE_FAULT {
        let address = fault_address();
        panic::die(
            format_args!("page fault at {address:#x}, error code {error:#x}"),
            Some(frame),
        );
    }
    panic::die(
        format_args!("exception {vector}, error code {error:#x}"),
        Some(frame),
    );
}

fn user_page_fault(address: u64, error: u64) -> FaultOutcome {
    assert!(
        error & page_fault::MALFORMED_TABLE == 0,
        "malformed page table entry for {address:#x}"
    );
    let refusal = |code| FaultOutcome::Signal {
        signo: SIGSEGV,
        code,
        addr: address,
    };
    if address >= USER_END {
        return refusal(code::SEGV_MAPERR);
    }
    if error & page_fault::PROTECTION_KEY != 0 {
        return refusal(code::SEGV_PKUERR);
    }
    let access = Access {
        write: error & page_fault::WRITE != 0,
        exec: error & page_fault::EXEC != 0,
    };
    fault::handle_user(address, access)
}

fn non_maskable(frame: &UserFrame) {
    panic::stop_if_asked();
    if crate::failure::nmi_shall_panic() {
        panic::die(format_args!("test_panic=nmi"), Some(frame));
    }
    // Linux's panic and backtrace requests are broadcast; they are not for us.
}

fn double_fault(frame: &UserFrame) -> ! {
    let address = fault_address();
    if context::is_guard(address) {
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

fn fault_address() -> u64 {
    let value: u64;
    // SAFETY: reading CR2 has no effect.
    unsafe {
        core::arch::asm!("mov {}, cr2", out(reg) value, options(nomem, nostack, preserves_flags))
    };
    value
}

/// `si_code` of a debug exception; clears the status for the next one.
fn debug_code() -> i32 {
    const SINGLE_STEP: u64 = 1 << 14;
    const TRAP_TRACE: i32 = 2;
    let status: u64;
    // SAFETY: DR6 only reports.
    unsafe {
        core::arch::asm!("mov {}, dr6", out(reg) status, options(nomem, nostack, preserves_flags));
        core::arch::asm!("mov dr6, {}", in(reg) 0xffff_0ff0u64, options(nomem, nostack, preserves_flags));
    }
    if status & SINGLE_STEP != 0 {
        TRAP_TRACE
    } else {
        code::TRAP_BRKPT
    }
}

/// `si_code` of a floating-point exception, from the unit that raised it.
fn floating_point_code(vector: u64) -> i32 {
    let raised = if vector == vector::SIMD {
        let mut mxcsr = 0u32;
        // SAFETY: stores to the variable.
        unsafe {
            core::arch::asm!("stmxcsr [{}]", in(reg) &mut mxcsr, options(nostack, preserves_flags))
        };
        mxcsr & !(mxcsr >> 7)
    } else {
        let (mut control, mut status) = (0u16, 0u16);
        // SAFETY: stores to the variables.
        unsafe {
            core::arch::asm!("fnstcw [{}]", in(reg) &mut control, options(nostack, preserves_flags));
            core::arch::asm!("fnstsw [{}]", in(reg) &mut status, options(nostack, preserves_flags));
        }
        u32::from(status & !control)
    };
    // In the order of Linux: invalid, divide by zero, overflow, underflow or denormal, inexact.
    match raised & 0x3f {
        bits if bits & 0x01 != 0 => 7,
        bits if bits & 0x04 != 0 => 3,
        bits if bits & 0x08 != 0 => 4,
        bits if bits & 0x12 != 0 => 5,
        bits if bits & 0x20 != 0 => 6,
        _ => 0,
    }
}
