// SPDX-License-Identifier: GPL-2.0
//! What a process's next program has from this one: CPU time beyond the clocks of its threads, of the
//! programs it was before exec and of its children that have ended, and where it runs.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cokernel_logic::policy::Policy;

use super::affinity::Affinity;
use crate::arch::time::{ticks_to_ns, tsc};
use crate::sync::SpinLock;

/// Longest time from one program's exec to the beginning of the next one, ns. Who is not there by then
/// has ended on the way, which nobody tells the co-kernel, or was stopped for that long and begins
/// with nothing of its predecessor.
const LONGEST_EXEC_NS: u64 = 10_000_000_000;

/// Most children whose time is kept for the moment they are waited for.
const MOST_UNWAITED: usize = 1024;

/// See the module documentation. Times are ticks.
#[derive(Default)]
pub struct Ledger {
    /// Process id of who forked it, 0 if Linux made it.
    parent: i32,
    /// Of the programs before exec.
    before: u64,
    placement: Placement,
    /// Of children that have ended, and theirs.
    children: AtomicU64,
    /// By process id: the same of each child that has not been waited for, if not too many came since.
    unwaited: SpinLock<BTreeMap<i32, u64>>,
    /// The parent has got its own, or an exec carries it over.
    is_settled: AtomicBool,
}

/// Where a thread runs and where its pages come from.
#[derive(Clone, Copy)]
pub struct Placement {
    /// The CPUs.
    pub affinity: Affinity,
    /// The nodes.
    pub policy: Policy,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            affinity: Affinity::ALL,
            policy: Policy::default(),
        }
    }
}

/// What goes from one program of a process to the next.
struct Carried {
    /// Since when, ticks.
    since: u64,
    parent: i32,
    before: u64,
    placement: Placement,
    children: u64,
    unwaited: BTreeMap<i32, u64>,
}

/// By process id: who is just executing another program.
static OVER_EXEC: SpinLock<BTreeMap<i32, Carried>> = SpinLock::new(BTreeMap::new());

/// Forgets who has ended on the way to the next program.
fn drop_ended(over_exec: &mut BTreeMap<i32, Carried>) {
    let now = tsc();
    over_exec.retain(|_, carried| ticks_to_ns(now.saturating_sub(carried.since)) < LONGEST_EXEC_NS);
}

impl Ledger {
    /// Of a process that `parent` forks.
    pub fn of_child(parent: i32) -> Self {
        Self {
            parent,
            ..Self::default()
        }
    }

    /// Of a new program: that of its predecessor in process `pid`, if there was one.
    pub fn of_program(pid: i32) -> Self {
        let mut over_exec = OVER_EXEC.lock();
        drop_ended(&mut over_exec);
        match over_exec.remove(&pid) {
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

    /// Of the programs before exec.
    pub const fn before(&self) -> u64 {
        self.before
    }

    /// That of the main thread when it begins.
    pub const fn placement(&self) -> Placement {
        self.placement
    }

    /// That of child `pid`, which has been waited for, and of its children; once.
    pub fn take_child(&self, pid: i32) -> Option<u64> {
        self.unwaited.lock().remove(&pid)
    }

    /// Of children that have ended, and theirs.
    pub fn children(&self) -> u64 {
        self.children.load(Ordering::Relaxed)
    }

    /// Process id of who forked it, 0 if Linux made it.
    pub const fn parent(&self) -> i32 {
        self.parent
    }

    /// Process `pid`, which has this and has run for `ticks`, is about to execute another program, whose main
    /// thread has `placement`.
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
        OVER_EXEC.lock().insert(pid, carried);
    }

    /// Process `pid`, which has this, goes on with its program after all.
    pub fn keep(&self, pid: i32) {
        OVER_EXEC.lock().remove(&pid);
        self.is_settled.store(false, Ordering::Relaxed);
    }

    /// Whether the time is the parent's now, who gets it once.
    pub fn begin_settling(&self) -> bool {
        !self.is_settled.swap(true, Ordering::Relaxed)
    }

    /// Child `pid` has ended after `ticks`, with those of its children.
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
