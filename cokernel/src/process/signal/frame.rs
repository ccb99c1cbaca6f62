// SPDX-License-Identifier: GPL-2.0
//! Linux's `struct rt_sigframe` on the user stack, with the extended FPU state above it.
//!
//! ```text
//!  higher   FPU state (XSAVE, standard format), 64-byte aligned, magic number behind it
//!           siginfo (128 bytes)
//!           ucontext: flags, link, stack, sigcontext (registers), mask
//!  lower    return address: the restorer           ◄── stack pointer of the handler
//! ```

use alloc::vec;
use alloc::vec::Vec;

use cokernel_logic::signals::number::SIGSEGV;
use cokernel_logic::signals::SignalSet;

use crate::arch::{fpu, protection_key, uaccess, UserFrame};
use crate::errno::Errno;
use crate::mm::fault::SEGV_PKUERR;
use crate::task::sched;
use crate::task::signal::{flag, Action, Info, SignalStack, Trap};

/// `si_code` of signals the kernel makes up.
pub const SI_KERNEL: i32 = 0x80;

/// What lies below the stack pointer belongs to the function that runs (System V ABI).
const RED_ZONE: u64 = 128;
/// Offsets in the frame.
const UCONTEXT: usize = 8;
const STACK: usize = UCONTEXT + 16;
const REGISTERS: usize = UCONTEXT + 40;
const SELECTORS: usize = REGISTERS + 144;
const TRAP: usize = SELECTORS + 8;
const FPSTATE: usize = REGISTERS + 184;
const MASK: usize = UCONTEXT + 296;
const SIGINFO: usize = UCONTEXT + 304;
/// `si_pkey`, of faults that a protection key brought about.
const SIGINFO_KEY: usize = SIGINFO + 32;
const FRAME_BYTES: usize = SIGINFO + 128;
/// `uc_flags`: FPU state has its extended part, selectors are complete.
const UC_FLAGS: u64 = 7;
/// In the software-reserved part of the FPU state: what follows the legacy part.
const SOFTWARE: usize = 464;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
const MAGIC2_BYTES: usize = 4;
/// `ss_flags`.
const SS_ONSTACK: u32 = 1;
const SS_DISABLE: u32 = 2;
const SS_AUTODISARM: u32 = 1 << 31;
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
    let top = stack_top(frame.rsp, action, &stack);
    let fpstate = top.checked_sub(state.len() as u64).ok_or(Errno::EFAULT)? & !63;
    let address = (fpstate
        .checked_sub(FRAME_BYTES as u64)
        .ok_or(Errno::EFAULT)?
        & !15)
        - 8;
    let overflows = stack.contains(frame.rsp) && address < stack.start;
    if overflows {
        return Err(Errno::EFAULT);
    }
    let mut bytes = encode(frame, info, action, mask, &stack, fpstate);
    put_trap(&mut bytes, trap, mask);
    // The stack of the handler may have a key that the thread could not touch.
    protection_key::deny_nothing();
    uaccess::write_bytes(fpstate, &state).map_err(|_| Errno::EFAULT)?;
    uaccess::write_bytes(address, &bytes).map_err(|_| Errno::EFAULT)?;
    fpu::reset_current();
    frame.rdi = u64::from(info.signal);
    frame.rsi = address + SIGINFO as u64;
    frame.rdx = address + UCONTEXT as u64;
    frame.rax = 0;
    frame.rip = action.handler;
    frame.rsp = address;
    frame.rflags &= !CLEARED_RFLAGS;
    frame.orig_rax = u64::MAX;
    frame.sanitise().then_some(()).ok_or(Errno::EFAULT)
}

/// Takes the frame at the stack pointer (the restorer's return address is gone) back into `frame`;
/// the signal mask and signal stack to go back to.
///
/// # Errors
///
/// `EFAULT`: unreadable or malformed.
pub fn pop(frame: &mut UserFrame) -> Result<(SignalSet, SignalStack), Errno> {
    let address = frame.rsp.wrapping_sub(8);
    protection_key::deny_nothing();
    let mut bytes = [0u8; SIGINFO];
    uaccess::read_bytes(address, &mut bytes).map_err(|_| Errno::EFAULT)?;
    let fpstate = get(&bytes, FPSTATE);
    if fpstate != 0 {
        restore_fpu(fpstate)?;
    } else {
        fpu::reset_current();
    }
    for (index, register) in registers(frame).into_iter().enumerate() {
        *register = get(&bytes, REGISTERS + index * 8);
    }
    frame.orig_rax = u64::MAX;
    if !frame.sanitise() {
        return Err(Errno::EFAULT);
    }
    let flags = u32::from_le_bytes(core::array::from_fn(|byte| bytes[STACK + 8 + byte]));
    let size = if flags & SS_DISABLE != 0 {
        0
    } else {
        get(&bytes, STACK + 16)
    };
    let stack = SignalStack {
        start: get(&bytes, STACK),
        size,
        autodisarm: flags & SS_AUTODISARM != 0,
    };
    Ok((SignalSet(get(&bytes, MASK)), stack))
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

/// Where the frame begins downwards.
fn stack_top(sp: u64, action: &Action, stack: &SignalStack) -> u64 {
    let wanted = action.flags & flag::ONSTACK != 0 && stack.size != 0;
    if wanted && !stack.contains(sp) {
        return stack.start.saturating_add(stack.size);
    }
    sp.saturating_sub(RED_ZONE)
}

/// The frame, without the FPU state.
fn encode(
    frame: &mut UserFrame,
    info: &Info,
    action: &Action,
    mask: SignalSet,
    stack: &SignalStack,
    fpstate: u64,
) -> Vec<u8> {
    let mut bytes = vec![0; FRAME_BYTES];
    put(&mut bytes, 0, action.restorer);
    put(&mut bytes, UCONTEXT, UC_FLAGS);
    put(&mut bytes, STACK, stack.start);
    put(
        &mut bytes,
        STACK + 8,
        u64::from(stack_flags(stack, frame.rsp)),
    );
    put(&mut bytes, STACK + 16, stack.size);
    let selectors = frame.cs & 0xffff | (frame.ss & 0xffff) << 48;
    for (index, register) in registers(frame).into_iter().enumerate() {
        put(&mut bytes, REGISTERS + index * 8, *register);
    }
    put(&mut bytes, SELECTORS, selectors);
    put(&mut bytes, FPSTATE, fpstate);
    put(&mut bytes, MASK, mask.0);
    bytes[SIGINFO..SIGINFO + 4].copy_from_slice(&info.signal.to_le_bytes());
    bytes[SIGINFO + 4..SIGINFO + 8].copy_from_slice(&info.errno.to_le_bytes());
    bytes[SIGINFO + 8..SIGINFO + 12].copy_from_slice(&info.code.to_le_bytes());
    put(&mut bytes, SIGINFO + 16, info.first);
    let second = if (info.signal, info.code) == (SIGSEGV, SEGV_PKUERR) {
        SIGINFO_KEY
    } else {
        SIGINFO + 24
    };
    put(&mut bytes, second, info.second);
    bytes
}

/// What the handler learns of the exception, and the lower half of the mask, which is there twice.
fn put_trap(bytes: &mut [u8], trap: Trap, mask: SignalSet) {
    for (index, word) in [trap.error, trap.number, mask.0, trap.address]
        .into_iter()
        .enumerate()
    {
        put(bytes, TRAP + index * 8, word);
    }
}

/// `ss_flags` of `stack` for a thread whose stack pointer is `sp`.
pub fn stack_flags(stack: &SignalStack, sp: u64) -> u32 {
    let state = match stack.size {
        0 => SS_DISABLE,
        _ if stack.contains(sp) => SS_ONSTACK,
        _ => 0,
    };
    state | if stack.autodisarm { SS_AUTODISARM } else { 0 }
}

/// The current FPU state as Linux puts it on the stack: with its size and magic numbers.
fn fpu_state() -> Vec<u8> {
    let length = fpu::bytes();
    let Some(features) = fpu::features() else {
        let mut state = vec![0; length];
        sched::with_fpu(|fpu| fpu.save_to(&mut state));
        return state;
    };
    let mut state = vec![0; length + MAGIC2_BYTES];
    sched::with_fpu(|fpu| fpu.save_to(&mut state[..length]));
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    state[SOFTWARE..SOFTWARE + 4].copy_from_slice(&MAGIC1.to_le_bytes());
    state[SOFTWARE + 4..SOFTWARE + 8].copy_from_slice(&size(length + MAGIC2_BYTES));
    put(&mut state, SOFTWARE + 8, features);
    state[SOFTWARE + 16..SOFTWARE + 20].copy_from_slice(&size(length));
    state[length..].copy_from_slice(&MAGIC2.to_le_bytes());
    state
}

fn restore_fpu(address: u64) -> Result<(), Errno> {
    if address % 64 != 0 {
        return Err(Errno::EFAULT);
    }
    let mut state = vec![0; fpu::bytes()];
    uaccess::read_bytes(address, &mut state).map_err(|_| Errno::EFAULT)?;
    // The software part is ours, not the CPU's.
    state[SOFTWARE..SOFTWARE + 48].fill(0);
    sched::with_fpu(|fpu| fpu.load_from(&state)).map_err(|_| Errno::EFAULT)
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|byte| bytes[at + byte]))
}

const _: () = assert!(FRAME_BYTES == 440);
