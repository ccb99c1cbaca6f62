// SPDX-License-Identifier: GPL-2.0
//! The entry of the instruction `syscall`: registers become a [`super::frame::UserFrame`], and on the
//! way out again registers. Hop 1 of a delegated call.

use x86_64::registers::model_specific::{LStar, SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::VirtAddr;

use super::cpu::{KERNEL_STACK, USER_STACK};
use super::gdt::{KERNEL_CS, USER32_CS, USER_CS, USER_SS};
use super::msr;

core::arch::global_asm!(
    ".globl syscall_landing",
    "syscall_landing:",
    "swapgs",
    "mov gs:[{user_stack}], rsp",
    "mov rsp, gs:[{kernel_stack}]",
    "push {user_ss}",
    "push qword ptr gs:[{user_stack}]",
    "push r11",
    "push {user_cs}",
    "push rcx",
    "push rax", // orig_rax
    "push rdi",
    "push rsi",
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
    "mov rdi, rsp",
    "xor ebp, ebp",
    "call syscall_entry",
    "test al, al",
    "jz return_to_user",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "add rsp, 8", // r11 = rflags, popped below
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rax",
    "add rsp, 8", // rcx = rip, popped below
    "pop rdx",
    "pop rsi",
    "pop rdi",
    "add rsp, 8", // orig_rax
    "pop rcx",
    "add rsp, 8", // cs
    "pop r11",
    "pop rsp", // user space's; no interrupt can come before user mode but on a stack of its own
    "swapgs",
    "sysretq",
    // 32-bit `syscall` does not exist here: ENOSYS.
    ".globl syscall32_landing",
    "syscall32_landing:",
    "mov eax, -38",
    "sysret",
    user_stack = const USER_STACK,
    kernel_stack = const KERNEL_STACK,
    user_ss = const USER_SS,
    user_cs = const USER_CS,
);

extern "C" {
    fn syscall_landing();
    fn syscall32_landing();
}

/// Flags off on entry, as Linux has them: all a program could use against the kernel.
const CLEARED_FLAGS: RFlags = RFlags::from_bits_truncate(0x0025_7fd5);

/// Points `syscall` to this file. Every CPU.
pub(super) fn init() {
    LStar::write(VirtAddr::new(syscall_landing as *const () as u64));
    SFMask::write(CLEARED_FLAGS);
    // SAFETY: the entry points are those above; the selectors are in the table `gdt` loaded.
    unsafe {
        // `syscall` loads the second as CS, and SS 8 behind it; `sysret` CS 16 behind the first.
        Star::write_raw(USER32_CS, KERNEL_CS);
        msr::write(msr::CSTAR, syscall32_landing as *const () as u64);
    }
}
