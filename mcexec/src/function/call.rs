// SPDX-License-Identifier: GPL-2.0
//! The switch to a function of the program and back: stack pointer and FS base.

use std::arch::global_asm;

use nix::libc;

/// `AT_HWCAP2`: user mode may use the FSGSBASE instructions.
const HWCAP2_FSGSBASE: u64 = 1 << 1;

global_asm!(
    ".pushsection .text.mcexec_call_function,\"ax\",@progbits",
    ".globl mcexec_call_function",
    ".type mcexec_call_function,@function",
    "mcexec_call_function:", // rdi: function, argument, stack, thread pointer
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov r12, rsp",
    "rdfsbase r13",
    "mov rax, [rdi]",
    "mov rcx, [rdi + 16]",
    "mov rdx, [rdi + 24]",
    "mov rdi, [rdi + 8]",
    "mov rsp, rcx",
    "wrfsbase rdx",
    "xor ebp, ebp",
    "call rax", // keeps r12 and r13
    "wrfsbase r13",
    "mov rsp, r12",
    "cld",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    ".size mcexec_call_function, . - mcexec_call_function",
    ".popsection",
);

extern "C" {
    fn mcexec_call_function(call: *const Call) -> i64;
}

/// A call of a function: its argument, and what it runs with.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// Address of the function.
    pub function: u64,
    /// Argument of the function.
    pub argument: u64,
    /// One past the end of the stack.
    pub stack: u64,
    /// The FS base that the function has.
    pub thread_pointer: u64,
}

/// Returns whether the switch is possible on this processor.
pub(super) fn can_switch() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE != 0 }
}

/// Calls the function. Returns what it returned.
pub(super) fn perform(call: &Call) -> i64 {
    let aligned = Call {
        stack: call.stack & !63,
        ..*call
    };
    // SAFETY: the switch back restores what the C convention wants. What the function does is the
    // program's to answer for, as if it ran natively; this process has nothing else to lose.
    unsafe { mcexec_call_function(&raw const aligned) }
}
