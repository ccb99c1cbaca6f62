// SPDX-License-Identifier: GPL-2.0
//! Linux's `struct rt_sigframe` on the user stack: what is where, and what is in it.
//!
//! ```text
//!  higher   FPU state (XSAVE, standard format), 64-byte aligned, magic number behind it
//!           siginfo (128 bytes)
//!           ucontext: flags, link, stack, sigcontext (registers), mask
//!  lower    return address: the restorer           ◄── stack pointer of the handler
//! ```

use crate::pending::Info;
use crate::signal_action::{flag, Action};
use crate::signal_stack::SignalStack;
use crate::signals::number::SIGSEGV;
use crate::signals::SignalSet;

/// Bytes below the stack pointer that belong to the function that runs (System V ABI).
const RED_ZONE: u64 = 128;
/// Bytes of the frame, without the FPU state.
pub const FRAME_BYTES: usize = SIGINFO + 128;
/// The number of bytes of a frame that `sigreturn` reads.
pub const RETURN_BYTES: usize = SIGINFO;
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
/// `si_code` of such a fault.
pub const SEGV_PKUERR: i32 = 4;
/// `uc_flags`: FPU state has its extended part, selectors are complete.
const UC_FLAGS: u64 = 7;
/// In the software-reserved part of the FPU state: what follows the legacy part.
const SOFTWARE: usize = 464;
const SOFTWARE_BYTES: usize = 48;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Bytes of the magic number behind an FPU state in its extended format.
pub const MAGIC2_BYTES: usize = 4;
/// The FPU state's alignment on the stack.
pub const FPU_ALIGNMENT: u64 = 64;

const _: () = assert!(FRAME_BYTES == 440);

/// An exception, as handlers see it in their `sigcontext`. It stays what it was until the next one, as
/// on Linux.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trap {
    /// Vector number.
    pub number: u64,
    /// The CPU's error code.
    pub error: u64,
    /// Address of the last page fault (CR2).
    pub address: u64,
}

/// The place of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its lowest address: the stack pointer of the handler.
    pub address: u64,
    /// The address of the FPU state.
    pub fpstate: u64,
}

impl Place {
    /// For a thread with stack pointer `sp` and signal stack `stack`, and `fpu_bytes` of FPU state.
    /// `None`: there is no room.
    #[must_use]
    pub fn find(sp: u64, action: &Action, stack: &SignalStack, fpu_bytes: u64) -> Option<Self> {
        let fpstate = top(sp, action, stack).checked_sub(fpu_bytes)? & !(FPU_ALIGNMENT - 1);
        let aligned = fpstate.checked_sub(FRAME_BYTES as u64)? & !15;
        // As a function finds its stack: a multiple of 16 before its return address was pushed.
        let address = aligned.checked_sub(8)?;
        let overflows = stack.contains(sp) && address < stack.start;
        (!overflows).then_some(Self { address, fpstate })
    }

    /// The address of the `siginfo_t`, the handler's second argument.
    #[must_use]
    pub const fn siginfo(&self) -> u64 {
        self.address + SIGINFO as u64
    }

    /// The address of the `ucontext_t`, the handler's third argument.
    #[must_use]
    pub const fn ucontext(&self) -> u64 {
        self.address + UCONTEXT as u64
    }
}

/// The address below which the frame lies.
fn top(sp: u64, action: &Action, stack: &SignalStack) -> u64 {
    let wanted = action.flags & flag::ONSTACK != 0 && stack.size != 0;
    if wanted && !stack.contains(sp) {
        return stack.start.saturating_add(stack.size);
    }
    sp.saturating_sub(RED_ZONE)
}

/// The state of the interrupted program that a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted {
    /// In the order of `struct sigcontext`: r8–r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip,
    /// rflags.
    pub registers: [u64; 18],
    /// Code and stack selector.
    pub selectors: [u64; 2],
    /// The signal mask to go back to.
    pub mask: SignalSet,
    /// The signal stack to go back to.
    pub stack: SignalStack,
    /// The last exception.
    pub trap: Trap,
}

/// The frame for `info`, whose FPU state is at `fpstate`; its handler returns to `restorer`.
#[must_use]
pub fn encode(
    interrupted: &Interrupted,
    info: &Info,
    restorer: u64,
    fpstate: u64,
) -> [u8; FRAME_BYTES] {
    let mut bytes = [0; FRAME_BYTES];
    put(&mut bytes, 0, restorer);
    put(&mut bytes, UCONTEXT, UC_FLAGS);
    put_all(&mut bytes, STACK, &interrupted.stack.as_given());
    put_all(&mut bytes, REGISTERS, &interrupted.registers);
    let [code, stack] = interrupted.selectors;
    put(
        &mut bytes,
        SELECTORS,
        code & 0xffff | (stack & 0xffff) << 48,
    );
    // The lower half of the mask is there twice.
    let Trap {
        number,
        error,
        address,
    } = interrupted.trap;
    let mask = interrupted.mask.0;
    put_all(&mut bytes, TRAP, &[error, number, mask, address]);
    put(&mut bytes, FPSTATE, fpstate);
    put(&mut bytes, MASK, mask);
    put_info(&mut bytes, info);
    bytes
}

fn put_info(bytes: &mut [u8], info: &Info) {
    put_u32(bytes, SIGINFO, info.signal);
    bytes[SIGINFO + 4..SIGINFO + 8].copy_from_slice(&info.errno.to_le_bytes());
    bytes[SIGINFO + 8..SIGINFO + 12].copy_from_slice(&info.code.to_le_bytes());
    put(bytes, SIGINFO + 16, info.first);
    let second = if (info.signal, info.code) == (SIGSEGV, SEGV_PKUERR) {
        SIGINFO_KEY
    } else {
        SIGINFO + 24
    };
    put(bytes, second, info.second);
}

/// The state that `sigreturn` takes from a frame, which the program may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// As [`Interrupted::registers`].
    pub registers: [u64; 18],
    /// The address of the FPU state; 0 = it goes back to its first state.
    pub fpstate: u64,
    /// The signal mask to go back to.
    pub mask: SignalSet,
    /// The words of the signal stack to go back to.
    pub stack: [u64; 3],
}

/// Reads a frame.
#[must_use]
pub fn decode(bytes: &[u8; RETURN_BYTES]) -> Returned {
    let words = |at: usize, index: usize| get(bytes, at + index * 8);
    Returned {
        registers: core::array::from_fn(|index| words(REGISTERS, index)),
        fpstate: get(bytes, FPSTATE),
        mask: SignalSet(get(bytes, MASK)),
        stack: core::array::from_fn(|index| words(STACK, index)),
    }
}

/// Marks `state`, an FPU state with [`MAGIC2_BYTES`] behind it, as one in the extended format with
/// `features`.
pub fn seal_fpu(state: &mut [u8], features: u64) {
    let length = state.len() - MAGIC2_BYTES;
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    put_u32(state, SOFTWARE, MAGIC1);
    put_u32(state, SOFTWARE + 4, size(length + MAGIC2_BYTES));
    put(state, SOFTWARE + 8, features);
    put_u32(state, SOFTWARE + 16, size(length));
    put_u32(state, length, MAGIC2);
}

/// Takes out of an FPU state what software put there and the CPU does not know.
pub fn unseal_fpu(state: &mut [u8]) {
    state[SOFTWARE..SOFTWARE + SOFTWARE_BYTES].fill(0);
}

fn put(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn put_all(bytes: &mut [u8], at: usize, values: &[u64]) {
    for (index, value) in values.iter().enumerate() {
        put(bytes, at + index * 8, *value);
    }
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn get(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|byte| bytes[at + byte]))
}

#[cfg(all(test, not(loom)))]
mod tests;
