// SPDX-License-Identifier: GPL-2.0
//! Local system calls, as far as they need no machine: arguments in, a checked request or an error number
//! out.

pub mod clone;
pub mod futex;
pub mod int80;
pub mod madvise;
pub mod membarrier;
pub mod memory;
pub mod mlock;
pub mod mmap;
pub mod mremap;
pub mod rlimit;
pub mod signal;
