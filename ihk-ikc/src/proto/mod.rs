// SPDX-License-Identifier: GPL-2.0
//! Map of the contract: what is shared between ihk.ko, mcctrl.ko, the co-kernel and user space.
//!
//! | file | what crosses there |
//! |---|---|
//! | [`boot`] | `BootParams`: ihk.ko tells the co-kernel what it owns |
//! | [`control`] | one page group per instance: status, usage, doorbell targets |
//! | [`clock`] | what Linux's clocks say |
//! | [`kmsg`] | the co-kernel's log |
//! | [`ring`], [`packet`], [`channel`] | inter-kernel communication (IKC): control messages |
//! | [`errno`] | error numbers, and the answer of a call as one word |
//! | [`syscalls`] | where each system call is done, why there, and what else is known about it |
//! | [`slot`] | the delegation slot: the hot path of a delegated system call |
//! | [`process`] | what mcexec says of a program, what a worker is asked beyond system calls |
//! | [`scheduling`] | policy and priorities of a thread |
//! | [`queue`] | calls that an app leaves in its own memory for servers of the proxy |
//! | [`exposed`] | which frames Linux may have mapped |
//! | [`page_table`] | page tables: the co-kernel's, that mcctrl reads, and those its CPUs start on |
//! | [`view`] | what the co-kernel tells of processes and of itself |
//! | [`uapi`] | ioctl numbers and arguments of `/dev/mcd0` and `/dev/mcosN` |
//!
//! Rules: `core` only, `super::` paths only (the modules include this file by path), every shared
//! structure has size and offset asserts, every shared word names its one writer, and no lock is
//! ever shared between the two kernels.

pub mod atomic;
pub mod boot;
pub mod channel;
pub mod clock;
pub mod control;
pub mod errno;
pub mod exposed;
pub mod kmsg;
pub mod layout;
pub mod packet;
pub mod page_table;
pub mod process;
pub mod queue;
pub mod ring;
pub mod scheduling;
pub mod slot;
pub mod syscalls;
pub mod uapi;
pub mod view;

/// Version of everything below. ihk.ko, mcctrl.ko, the co-kernel image, mcexec and the tools must
/// carry the same number; a mismatch is refused with one line that names both.
pub const ABI_VERSION: u32 = 25;
