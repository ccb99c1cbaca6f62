// SPDX-License-Identifier: GPL-2.0
//! What the threads of a process that leaves a core leave behind: their registers.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::arch::UserFrame;
use crate::sync::SpinLock;

/// What a thread leaves behind.
pub struct Remains {
    /// Its thread id.
    pub tid: i32,
    /// Its integer registers.
    pub frame: UserFrame,
    /// Its FS and GS base.
    pub bases: [u64; 2],
    /// Its FPU and vector registers, see [`ihk_ikc::view::what::REGISTERS`].
    pub fpu: Vec<u64>,
}

/// What the threads of a process have left behind.
#[derive(Default)]
pub struct PostMortem {
    is_wanted: AtomicBool,
    remains: SpinLock<Vec<Remains>>,
}

impl PostMortem {
    /// Runs `body` on what thread number `index` to end left behind.
    pub fn with<R>(&self, index: usize, body: impl FnOnce(&Remains) -> R) -> Option<R> {
        self.remains.lock().get(index).map(body)
    }

    /// The process ends with a core: threads that end from now on leave something behind.
    pub fn want(&self) {
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Whether it does.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Adds what a thread leaves behind, unless it has already done so.
    pub fn add(&self, remains: Remains) {
        let mut all = self.remains.lock();
        if all.iter().all(|other| other.tid != remains.tid) {
            all.push(remains);
        }
    }
}
