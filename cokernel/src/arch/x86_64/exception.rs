// SPDX-License-Identifier: GPL-2.0
//! The CPU's description of an exception: its vector, the address of a page fault, and why the debug and
//! the floating-point units raised theirs.

use x86_64::registers::control::Cr2;
use x86_64::registers::debug::{Dr6, Dr6Flags};
use x86_64::registers::mxcsr;

/// Vector numbers of exceptions.
pub mod vector {
    pub const DIVIDE: u64 = 0;
    pub const DEBUG: u64 = 1;
    pub const BREAKPOINT: u64 = 3;
    pub const INVALID_OPCODE: u64 = 6;
    pub const DEVICE_NOT_AVAILABLE: u64 = 7;
    pub const STACK_SEGMENT: u64 = 12;
    pub const PAGE_FAULT: u64 = 14;
    pub const X87: u64 = 16;
    pub const ALIGNMENT: u64 = 17;
    pub const SIMD: u64 = 19;
}

/// `si_code` of what has no better one.
pub const SI_KERNEL: i32 = 0x80;

/// Other `si_code` values.
pub mod code {
    pub const FPE_INTDIV: i32 = 1;
    pub const ILL_ILLOPN: i32 = 2;
    pub const TRAP_BRKPT: i32 = 1;
    pub const BUS_ADRALN: i32 = 1;
    pub const SEGV_MAPERR: i32 = 1;
}

/// Address of the last page fault.
pub fn fault_address() -> u64 {
    Cr2::read_raw()
}

/// `si_code` of a debug exception; clears the status for the next one.
pub fn debug_code() -> i32 {
    const TRAP_TRACE: i32 = 2;
    let status = Dr6::read();
    // SAFETY: DR6 only reports. The crate has no way to write it.
    unsafe {
        core::arch::asm!("mov dr6, {}", in(reg) 0xffff_0ff0u64, options(nomem, nostack, preserves_flags));
    }
    if status.contains(Dr6Flags::STEP) {
        TRAP_TRACE
    } else {
        code::TRAP_BRKPT
    }
}

/// `si_code` of a floating-point exception, from the unit that raised it.
pub fn floating_point_code(vector: u64) -> i32 {
    let raised = if vector == vector::SIMD {
        let mxcsr = mxcsr::read().bits();
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
