// SPDX-License-Identifier: GPL-2.0
//! CPU time of a process beyond the clocks of its threads: that of the programs it was before exec
//! and of its children that have ended (the rusage of Linux). What an exec takes along is in
//! [`super::exec_carry`].

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::exec_carry::{self, Carried, Placement};
use crate::arch::time::tsc;
use crate::sync::SpinLock;

/// Most children whose time is kept for the moment they are waited for.
const MOST_UNWAITED: usize = 1024;

/// The CPU time of a process beyond that of its threads, in ticks.
#[derive(Default)]
pub struct Accounting {
    /// Process id of who forked it, 0 if Linux made it.
    parent: i32,
    /// Time of the programs before exec.
    before: u64,
    /// The placement of the main thread.
    placement: Placement,
    /// Time of children that have ended, and of their children.
    children: AtomicU64,
    /// Times of children that have ended and not been waited for, by process id; the oldest are
    /// forgotten when there are too many.
    unwaited: SpinLock<BTreeMap<i32, u64>>,
    /// Whether the parent has got this process's time, or an exec carries it over.
    is_settled: AtomicBool,
}

impl Accounting {
    /// The accounting of a process that `parent` forks.
    pub fn of_child(parent: i32) -> Self {
        Self {
            parent,
            ..Self::default()
        }
    }

    /// The accounting of a new program in process `pid`: it goes on with that of its predecessor,
    /// if there was one.
    pub fn of_program(pid: i32) -> Self {
        match exec_carry::take(pid) {
            Some(carried) => Self {
                parent: carried.parent,
                before: carried.before,
                placement: carried.placement,
                children: AtomicU64::new(carried.children),
                unwaited: SpinLock::new(carried.unwaited),
                is_settled: AtomicBool::new(false),
            },
            None => Self::default(),
        }
    }

    /// Returns the time of the programs before exec.
    pub const fn before(&self) -> u64 {
        self.before
    }

    /// Returns where the main thread begins.
    pub const fn placement(&self) -> Placement {
        self.placement
    }

    /// Takes the time of child `pid`, which has been waited for, and of its children. It is there
    /// once.
    pub fn take_child(&self, pid: i32) -> Option<u64> {
        self.unwaited.lock().remove(&pid)
    }

    /// Returns the time of children that have ended, and of their children.
    pub fn children(&self) -> u64 {
        self.children.load(Ordering::Relaxed)
    }

    /// Returns the process id of who forked it, 0 if Linux made it.
    pub const fn parent(&self) -> i32 {
        self.parent
    }

    /// Notes that process `pid`, whose accounting this is and which has run for `ticks`, is about
    /// to execute another program, whose main thread has `placement`.
    pub fn carry_over(&self, pid: i32, ticks: u64, placement: Placement) {
        self.is_settled.store(true, Ordering::Relaxed);
        let carried = Carried {
            since: tsc(),
            parent: self.parent,
            before: ticks,
            placement,
            children: self.children(),
            unwaited: self.unwaited.lock().clone(),
        };
        exec_carry::put(pid, carried);
    }

    /// Notes that process `pid`, whose accounting this is, goes on with its program because exec
    /// failed.
    pub fn cancel_exec(&self, pid: i32) {
        exec_carry::remove(pid);
        self.is_settled.store(false, Ordering::Relaxed);
    }

    /// Returns whether the caller shall give the time to the parent: true once.
    pub fn begin_settling(&self) -> bool {
        !self.is_settled.swap(true, Ordering::Relaxed)
    }

    /// Adds the `ticks` of child `pid`, which has ended, and of its children.
    pub fn add_child(&self, pid: i32, ticks: u64) {
        self.children.fetch_add(ticks, Ordering::Relaxed);
        let mut unwaited = self.unwaited.lock();
        if unwaited.len() >= MOST_UNWAITED {
            // Nobody waits for them, or not here.
            unwaited.clear();
        }
        unwaited.insert(pid, ticks);
    }
}
