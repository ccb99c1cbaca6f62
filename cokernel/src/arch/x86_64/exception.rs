// SPDX-License-Identifier: GPL-2.0
//! Exceptions: a program's become signals or are resolved; the kernel's own are bugs, except where
//! it touches user memory.

use cokernel_logic::signals::number::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};

use super::frame::UserFrame;
use super::uaccess;
use crate::addr::USER_END;
use crate::mm::fault::{self, Access, FaultOutcome};
use crate::panic;
use crate::task::sched;
use crate::task::signal::{self, Trap};

/// Bits of a page fault's error code.
mod page_fault {
    pub(super) const PRESENT: u64 = 1 << 0;
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
}

/// `si_code` of what has no better one.
pub(super) const SI_KERNEL: i32 = 0x80;

/// Other `si_code` values.
mod code {
    pub(super) const FPE_INTDIV: i32 = 1;
    pub(super) const ILL_ILLOPN: i32 = 2;
    pub(super) const TRAP_BRKPT: i32 = 1;
    pub(super) const BUS_ADRALN: i32 = 1;
    pub(super) const SEGV_MAPERR: i32 = 1;
}

/// A program's exception.
pub(super) fn from_user(vector: u64, error: u64, frame: &mut UserFrame) {
    let rip = frame.rip;
    let (signo, code, addr) = match vector {
        vector::PAGE_FAULT => {
            // Before anything else may fault.
            let address = fault_address();
            match user_page_fault(address, error) {
                FaultOutcome::Resolved => return,
                FaultOutcome::Signal { signo, code, addr } => {
                    remember_page_fault(address, error);
                    (signo, code, addr)
                }
            }
        }
        vector::DIVIDE => (SIGFPE, code::FPE_INTDIV, rip),
        vector::X87 | vector::SIMD => (SIGFPE, floating_point_code(vector), rip),
        vector::DEBUG => (SIGTRAP, debug_code(), rip),
        vector::BREAKPOINT => (SIGTRAP, SI_KERNEL, 0),
        vector::INVALID_OPCODE | vector::DEVICE_NOT_AVAILABLE => (SIGILL, code::ILL_ILLOPN, rip),
        vector::STACK_SEGMENT => (SIGBUS, SI_KERNEL, 0),
        vector::ALIGNMENT => (SIGBUS, code::BUS_ADRALN, 0),
        _ => (SIGSEGV, SI_KERNEL, 0),
    };
    if vector != vector::PAGE_FAULT {
        let signals = &sched::current().data.signals;
        signals.set_trap(Trap {
            number: vector,
            error,
            ..signals.trap()
        });
    }
    signal::raise_fault(signo, code, addr);
    sched::current().request_return_work();
}

/// What the handler will find in its `sigcontext`. Of the kernel's half of the address space, a program
/// must not learn what is there (Linux's `set_signal_archinfo`).
fn remember_page_fault(address: u64, error: u64) {
    let hidden = if address >= USER_END {
        page_fault::PRESENT
    } else {
        0
    };
    sched::current().data.signals.set_trap(Trap {
        number: vector::PAGE_FAULT,
        error: error | hidden,
        address,
    });
}

/// The kernel's own exception.
pub(super) fn in_kernel(vector: u64, error: u64, frame: &mut UserFrame) {
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
        return refusal(fault::SEGV_PKUERR);
    }
    let access = Access {
        write: error & page_fault::WRITE != 0,
        exec: error & page_fault::EXEC != 0,
    };
    fault::handle_user(address, access)
}

/// Address of the last page fault.
pub(super) fn fault_address() -> u64 {
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
