// SPDX-License-Identifier: GPL-2.0
//! System calls by `int 0x80`, the gate of 32-bit programs.

use cokernel_logic::argument::uint;
use cokernel_logic::syscall::int80::{arguments, number_of};

use crate::arch::UserFrame;
use crate::errno::Errno;
use crate::{failure, syscall};

/// Performs the call that `frame` asks for. All registers but its result stay as they are.
pub fn call(frame: &mut UserFrame) {
    failure::in_syscall();
    let asked = frame.rax & 0xffff_ffff;
    let Some(number) = number_of(uint(asked)) else {
        return frame.set_return(Err(Errno::ENOSYS));
    };
    let before = *frame;
    let registers = [
        before.rbx, before.rcx, before.rdx, before.rsi, before.rdi, before.rbp,
    ];
    [
        frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
    ] = arguments(registers);
    frame.orig_rax = number;
    syscall::dispatch(frame);
    // A call that begins again does so by this gate and its number.
    *frame = UserFrame {
        rax: frame.rax,
        orig_rax: asked,
        ..before
    };
}
