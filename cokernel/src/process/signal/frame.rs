// SPDX-License-Identifier: GPL-2.0
//! Frames of signal handlers: put on the user stack and taken back. What is where in them says
//! [`cokernel_logic::signal_frame`].

use alloc::vec;
use alloc::vec::Vec;

use cokernel_logic::signal_frame::{
    decode, encode, seal_fpu, unseal_fpu, Interrupted, Place, FPU_ALIGNMENT, MAGIC2_BYTES,
    RETURN_BYTES,
};
use cokernel_logic::signals::SignalSet;

use crate::arch::{fpu, protection_key, uaccess, UserFrame};
use crate::errno::Errno;
use crate::task::sched;
use crate::task::signal::{flag, Action, Info, SignalStack, Trap};

/// RFLAGS a handler starts without: trap, direction, resume.
const CLEARED_RFLAGS: u64 = 0x1_0500;

/// Puts a frame for `info` on the stack and makes `frame` start its handler.
///
/// # Errors
///
/// `EFAULT`: there is no room, or the action has no restorer.
pub fn push(
    frame: &mut UserFrame,
    info: &Info,
    action: &Action,
    mask: SignalSet,
    stack: SignalStack,
    trap: Trap,
) -> Result<(), Errno> {
    if action.flags & flag::RESTORER == 0 {
        return Err(Errno::EFAULT);
    }
    let state = fpu_state();
    let place = Place::find(frame.rsp, action, &stack, state.len() as u64).ok_or(Errno::EFAULT)?;
    let interrupted = Interrupted {
        registers: registers(frame).map(|register| *register),
        selectors: [frame.cs, frame.ss],
        mask,
        stack,
        trap,
    };
    let bytes = encode(&interrupted, info, action.restorer, place.fpstate);
    // The stack of the handler may have a key that the thread could not touch.
    protection_key::deny_nothing();
    uaccess::write_bytes(place.fpstate, &state).map_err(|_| Errno::EFAULT)?;
    uaccess::write_bytes(place.address, &bytes).map_err(|_| Errno::EFAULT)?;
    fpu::reset_current();
    frame.rdi = u64::from(info.signal);
    frame.rsi = place.siginfo();
    frame.rdx = place.ucontext();
    frame.rax = 0;
    frame.rip = action.handler;
    frame.rsp = place.address;
    frame.rflags &= !CLEARED_RFLAGS;
    frame.orig_rax = u64::MAX;
    frame.sanitise().then_some(()).ok_or(Errno::EFAULT)
}

/// Takes the frame at the stack pointer (the restorer's return address is gone) back into `frame`;
/// the signal mask to go back to, and the words of the signal stack.
///
/// # Errors
///
/// `EFAULT`: unreadable or malformed.
pub fn pop(frame: &mut UserFrame) -> Result<(SignalSet, [u64; 3]), Errno> {
    let address = frame.rsp.wrapping_sub(8);
    protection_key::deny_nothing();
    let mut bytes = [0u8; RETURN_BYTES];
    uaccess::read_bytes(address, &mut bytes).map_err(|_| Errno::EFAULT)?;
    let returned = decode(&bytes);
    if returned.fpstate != 0 {
        restore_fpu(returned.fpstate)?;
    } else {
        fpu::reset_current();
    }
    for (register, value) in registers(frame).into_iter().zip(returned.registers) {
        *register = value;
    }
    frame.orig_rax = u64::MAX;
    if !frame.sanitise() {
        return Err(Errno::EFAULT);
    }
    Ok((returned.mask, returned.stack))
}

/// The registers in the order of `struct sigcontext`.
fn registers(frame: &mut UserFrame) -> [&mut u64; 18] {
    let UserFrame {
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rdi,
        rsi,
        rbp,
        rbx,
        rdx,
        rax,
        rcx,
        rsp,
        rip,
        rflags,
        ..
    } = frame;
    [
        r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags,
    ]
}

/// The current FPU state as Linux puts it on the stack: with its size and magic numbers.
fn fpu_state() -> Vec<u8> {
    let length = fpu::bytes();
    let features = fpu::features();
    let behind = if features.is_some() { MAGIC2_BYTES } else { 0 };
    let mut state = vec![0; length + behind];
    sched::with_fpu(|fpu| fpu.save_to(&mut state[..length]));
    if let Some(features) = features {
        seal_fpu(&mut state, features);
    }
    state
}

fn restore_fpu(address: u64) -> Result<(), Errno> {
    if address % FPU_ALIGNMENT != 0 {
        return Err(Errno::EFAULT);
    }
    let mut state = vec![0; fpu::bytes()];
    uaccess::read_bytes(address, &mut state).map_err(|_| Errno::EFAULT)?;
    // The software part is ours, not the CPU's.
    unseal_fpu(&mut state);
    sched::with_fpu(|fpu| fpu.load_from(&state)).map_err(|_| Errno::EFAULT)
}
