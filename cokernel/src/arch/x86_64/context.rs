// SPDX-License-Identifier: GPL-2.0
//! The only stack switch, and the registers that follow a thread besides.

use x86_64::registers::model_specific::{FsBase, KernelGsBase};
use x86_64::registers::segmentation::{Segment64, FS};
use x86_64::VirtAddr;

use super::features;
use super::frame::UserFrame;
use crate::addr::to_usize;

core::arch::global_asm!(
    // context_switch(rdi = &mut old Context, rsi = &new Context)
    ".globl context_switch",
    "context_switch:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [rdi], rsp",
    "mov rsp, [rsi]",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    // First return of a new thread: rsp = its UserFrame, r12 = what to call first.
    ".globl context_start_user",
    "context_start_user:",
    "xor ebp, ebp",
    "call r12",
    "mov rdi, rsp",
    "call exit_to_user",
    "jmp return_to_user",
);

extern "C" {
    fn context_switch(old: *mut Context, new: *const Context);
    fn context_start_user();
}

/// The context of a thread that does not run: its stack pointer; the rest lies on the stack.
#[repr(C)]
pub struct Context {
    rsp: u64,
}

impl Context {
    /// The context of a thread that has never run.
    pub const fn empty() -> Self {
        Self { rsp: 0 }
    }

    /// The context of a thread that, on the stack that ends at `top`, will call `first` and then go
    /// to user mode with `entry`.
    ///
    /// # Safety
    ///
    /// The stack is mapped and belongs to a thread that has not run yet.
    pub unsafe fn for_user(top: u64, entry: &UserFrame, first: extern "C" fn()) -> Self {
        /// The words that `context_switch` pops, and those above them.
        #[repr(C)]
        struct Initial {
            r15: u64,
            r14: u64,
            r13: u64,
            r12: u64,
            rbx: u64,
            rbp: u64,
            return_to: u64,
            frame: UserFrame,
        }
        let rsp = top - size_of::<Initial>() as u64;
        let initial = Initial {
            r15: 0,
            r14: 0,
            r13: 0,
            r12: first as usize as u64,
            rbx: 0,
            rbp: 0,
            return_to: context_start_user as *const () as u64,
            frame: *entry,
        };
        let slot = core::ptr::with_exposed_provenance_mut::<Initial>(to_usize(rsp));
        // SAFETY: by this function's contract.
        unsafe { slot.write(initial) };
        Self { rsp }
    }
}

/// Saves where this runs in `old` and goes on at `new`.
///
/// # Safety
///
/// `new` was made by [`Context::for_user`] or by this function, runs nowhere, and its stack is
/// mapped; both live until the switch is over.
pub unsafe fn switch(old: &mut Context, new: &Context) {
    // SAFETY: by this function's contract.
    unsafe { context_switch(old, new) };
}

/// Goes on with `body` at the top of the stack that ends at `top`.
///
/// # Safety
///
/// The stack is mapped and nobody's, and nothing of the present stack is needed any more.
pub unsafe fn run_on(top: u64, body: extern "C" fn() -> !) -> ! {
    // SAFETY: by this function's contract.
    unsafe {
        core::arch::asm!(
            "mov rsp, {top}",
            "xor ebp, ebp",
            "call {body}",
            "ud2",
            top = in(reg) top,
            body = in(reg) body,
            options(noreturn),
        )
    }
}

/// Saves user space's FS and GS bases and loads the next thread's.
pub fn switch_user_bases(old_fs: &mut u64, old_gs: &mut u64, new_fs: u64, new_gs: u64) {
    (*old_fs, *old_gs) = (fs_base(), gs_base());
    if new_fs != *old_fs {
        set_fs_base(new_fs);
    }
    if new_gs != *old_gs {
        set_gs_base(new_gs);
    }
}

/// The current thread's FS base in user mode.
pub fn fs_base() -> u64 {
    if features::has_fsgsbase() {
        return FS::read_base().as_u64();
    }
    FsBase::read().as_u64()
}

/// Sets the current thread's FS base; the address is user space's.
pub fn set_fs_base(value: u64) {
    let value = VirtAddr::new_truncate(value);
    if features::has_fsgsbase() {
        // SAFETY: the kernel does not use FS.
        return unsafe { FS::write_base(value) };
    }
    FsBase::write(value);
}

/// The current thread's GS base in user mode (`swapgs` keeps it aside while the kernel runs).
pub fn gs_base() -> u64 {
    KernelGsBase::read().as_u64()
}

/// Sets the current thread's GS base; the address is user space's.
pub fn set_gs_base(value: u64) {
    // `swapgs` on the way out brings it to user mode.
    KernelGsBase::write(VirtAddr::new_truncate(value));
}
