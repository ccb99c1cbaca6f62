// SPDX-License-Identifier: GPL-2.0
//! Registers and callers for the panic report. Addresses are the image's own (`llvm-symbolizer`,
//! `addr2line -e cokernel.elf`).

use core::fmt;

use ihk_ikc::layout::IMAGE_BASE;

use super::frame::UserFrame;
use crate::addr::to_usize;

/// Farthest from the stack pointer that a frame is believed to lie.
const STACK_SPAN: u64 = 32 << 10;

/// Prints the registers of interrupted code.
pub fn registers(frame: &UserFrame, print: fn(fmt::Arguments<'_>)) {
    let f = frame;
    print(format_args!(
        "  rip {:016x} cs {:x} rflags {:x} rsp {:016x} ss {:x}",
        f.rip, f.cs, f.rflags, f.rsp, f.ss
    ));
    print(format_args!(
        "  rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}",
        f.rax, f.rbx, f.rcx, f.rdx
    ));
    print(format_args!(
        "  rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}",
        f.rsi, f.rdi, f.rbp, f.r8
    ));
    print(format_args!(
        "  r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}",
        f.r9, f.r10, f.r11, f.r12
    ));
    print(format_args!(
        "  r13 {:016x} r14 {:016x} r15 {:016x}",
        f.r13, f.r14, f.r15
    ));
}

/// Fills `calls` with return addresses, innermost first; how many. Starts at the interrupted code
/// in the kernel if there is one, else at the caller.
pub fn calls(frame: Option<&UserFrame>, calls: &mut [u64]) -> usize {
    let (mut base, stack) = match frame {
        Some(frame) if !frame.is_user() => (frame.rbp, frame.rsp),
        _ => here(),
    };
    let mut count = 0;
    for slot in calls {
        // A frame record: the caller's base pointer, then the return address.
        let plausible = base >= stack && base - stack < STACK_SPAN && base % 8 == 0;
        if !plausible {
            break;
        }
        let record = core::ptr::with_exposed_provenance::<[u64; 2]>(to_usize(base));
        // SAFETY: on the stack in use, above its stack pointer; should it reach past the end, the
        // fault ends the report, not more.
        let [next, address] = unsafe { record.read() };
        if address < IMAGE_BASE || next <= base && next != 0 {
            break;
        }
        *slot = address;
        count += 1;
        base = next;
    }
    count
}

fn here() -> (u64, u64) {
    let (base, stack): (u64, u64);
    // SAFETY: reads two registers.
    unsafe {
        core::arch::asm!("mov {}, rbp", "mov {}, rsp", out(reg) base, out(reg) stack, options(nomem, nostack, preserves_flags));
    }
    (base, stack)
}
