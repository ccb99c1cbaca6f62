// SPDX-License-Identifier: GPL-2.0
//! `UserFrame`: the registers of a program as an entry into the kernel saved them.

use super::gdt::{USER_CS, USER_SS};
use crate::addr::USER_END;
use crate::errno::{self, SyscallResult};

/// Bits of RFLAGS user space may choose: CF PF AF ZF SF TF DF OF NT AC ID.
const USER_RFLAGS: u64 = 0x0024_4dd5;
/// Interrupt enable, always on in user mode; and the bit that is always 1.
const FIXED_RFLAGS: u64 = 0x202;
/// Trap and resume flags: `sysret` cannot be trusted with them.
const NO_SYSRET_RFLAGS: u64 = 0x1_0100;

/// All integer registers of user mode, in the order of Linux's `struct pt_regs`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct UserFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The system call number; `u64::MAX` if the entry was no system call.
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

const _: () = assert!(size_of::<UserFrame>() == 21 * 8);

impl UserFrame {
    /// The first instruction of a program: all registers zero but these.
    pub fn new(entry: u64, stack: u64) -> Self {
        Self {
            orig_rax: u64::MAX,
            rip: entry,
            cs: u64::from(USER_CS),
            rflags: FIXED_RFLAGS,
            rsp: stack,
            ss: u64::from(USER_SS),
            ..Self::default()
        }
    }

    /// All of them, in order.
    pub const fn words(&self) -> [u64; 21] {
        [
            self.r15,
            self.r14,
            self.r13,
            self.r12,
            self.rbp,
            self.rbx,
            self.r11,
            self.r10,
            self.r9,
            self.r8,
            self.rax,
            self.rcx,
            self.rdx,
            self.rsi,
            self.rdi,
            self.orig_rax,
            self.rip,
            self.cs,
            self.rflags,
            self.rsp,
            self.ss,
        ]
    }

    /// Number of the system call.
    pub const fn number(&self) -> u64 {
        self.orig_rax
    }

    /// Its arguments.
    pub const fn args(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// Sets what the system call returns.
    pub const fn set_return(&mut self, answer: SyscallResult) {
        self.rax = errno::encode(answer);
    }

    /// Whether the frame is user mode's; else the kernel was interrupted.
    pub const fn is_user(&self) -> bool {
        self.cs & 3 == 3
    }

    /// Makes the frame one that the way back to user mode cannot choke on: selectors and system
    /// flags are ours. `false` if the program counter is not user space's.
    #[inline]
    pub fn sanitise(&mut self) -> bool {
        self.cs = u64::from(USER_CS);
        self.ss = u64::from(USER_SS);
        self.rflags = self.rflags & USER_RFLAGS | FIXED_RFLAGS;
        self.rip < USER_END
    }

    /// Whether `sysret` brings back exactly this frame.
    pub const fn fits_sysret(&self) -> bool {
        self.rcx == self.rip
            && self.r11 == self.rflags
            && self.rip < USER_END
            && self.rflags & NO_SYSRET_RFLAGS == 0
            && self.cs == USER_CS as u64
            && self.ss == USER_SS as u64
    }
}
