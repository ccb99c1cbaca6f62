// SPDX-License-Identifier: GPL-2.0
//! The registers of the threads of a process that ends with a core dump, kept until the proxy has
//! written it.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::UserFrame;
use crate::sync::SpinLock;

/// The registers of one thread at its end.
pub struct ThreadRegisters {
    /// Its thread id.
    pub tid: i32,
    /// Its integer registers.
    pub frame: UserFrame,
    /// Its FS and GS base.
    pub bases: [u64; 2],
    /// Its FPU and vector registers, see [`ihk_ikc::view::what::REGISTERS`].
    pub fpu: Vec<u64>,
}

/// The registers of a process's threads that have ended, for its core dump.
#[derive(Default)]
pub struct CoreRegisters {
    is_wanted: AtomicBool,
    threads: SpinLock<Vec<ThreadRegisters>>,
}

impl CoreRegisters {
    /// Runs `body` on the registers of the thread that was number `index` to end.
    pub fn with<R>(&self, index: usize, body: impl FnOnce(&ThreadRegisters) -> R) -> Option<R> {
        self.threads.lock().get(index).map(body)
    }

    /// Notes that the process ends with a core: threads that end from now on leave their registers.
    pub fn want(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Returns whether the process ends with a core.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Adds the registers of a thread, unless they are there already.
    pub fn add(&self, registers: ThreadRegisters) {
        let mut all = self.threads.lock();
        if all.iter().all(|other| other.tid != registers.tid) {
            all.push(registers);
        }
    }
}
