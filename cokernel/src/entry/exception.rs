// SPDX-License-Identifier: GPL-2.0
//! Exceptions: a program's become signals or are resolved; the kernel's own are bugs, except where it touches
//! user memory.

use cokernel_logic::signals::number::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};

use crate::addr::USER_END;
use crate::arch::exception::{self, code, vector, SI_KERNEL};
use crate::arch::{uaccess, UserFrame};
use crate::mm::fault::{self, Access, FaultOutcome};
use crate::panic;
use crate::process::signal::deliver;
use crate::task::sched;
use crate::task::signal::Trap;

/// Bits of a page fault's error code.
mod page_fault {
    pub const PRESENT: u64 = 1 << 0;
    pub const WRITE: u64 = 1 << 1;
    pub const MALFORMED_TABLE: u64 = 1 << 3;
    pub const EXEC: u64 = 1 << 4;
    pub const PROTECTION_KEY: u64 = 1 << 5;
}

/// A program's exception.
pub fn from_user(vector: u64, error: u64, frame: &mut UserFrame) {
    let rip = frame.rip;
    let (signo, code, addr) = match vector {
        vector::PAGE_FAULT => {
            // Before anything else may fault.
            let address = exception::fault_address();
            match user_page_fault(address, error) {
                FaultOutcome::Resolved => return,
                FaultOutcome::Signal { signo, code, addr } => {
                    remember_page_fault(address, error);
                    (signo, code, addr)
                }
            }
        }
        vector::DIVIDE => (SIGFPE, code::FPE_INTDIV, rip),
        vector::X87 | vector::SIMD => (SIGFPE, exception::floating_point_code(vector), rip),
        vector::DEBUG => (SIGTRAP, exception::debug_code(), rip),
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
    deliver::raise_fault(signo, code, addr);
    sched::current().request_return_work();
}

/// The description of the fault that the handler will find in its `sigcontext`. Of the kernel's half of
/// the address space, a program must not learn what is there (Linux's `set_signal_archinfo`).
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
pub fn in_kernel(vector: u64, error: u64, frame: &mut UserFrame) {
    if let Some(fixup) = uaccess::fixup(frame.rip) {
        let resolved = vector == vector::PAGE_FAULT
            && exception::fault_address() < USER_END
            && user_page_fault(exception::fault_address(), error) == FaultOutcome::Resolved;
        if !resolved {
            frame.rip = fixup;
        }
        return;
    }
    if vector == vector::PAGE_FAULT {
        let address = exception::fault_address();
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
