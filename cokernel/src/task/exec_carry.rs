// SPDX-License-Identifier: GPL-2.0
//! The state that an exec carries from a process's program to the next one: CPU time, and where the main
//! thread runs.
//!
//! The next program begins as a new process of the co-kernel with the same process id, which takes
//! it.

use alloc::collections::BTreeMap;

use cokernel_logic::affinity::Affinity;
use cokernel_logic::policy::Policy;
use ihk_ikc::scheduling::Scheduling;

use crate::arch::time::{ticks_to_ns, tsc};
use crate::sync::SpinLock;

/// Longest time from one program's exec to the beginning of the next one, ns. A process that is not
/// there by then has ended on the way, which nobody tells the co-kernel, or was stopped for that
/// long and begins with nothing of its predecessor.
const LONGEST_EXEC_NS: u64 = 10_000_000_000;

/// The affinity and the memory policy of a thread, and how it is scheduled.
#[derive(Clone, Copy)]
pub struct Placement {
    /// The CPUs.
    pub affinity: Affinity,
    /// The nodes.
    pub policy: Policy,
    /// Policy and priorities.
    pub scheduling: Scheduling,
}

impl Default for Placement {
    fn default() -> Self {
        Self {
            affinity: Affinity::ALL,
            policy: Policy::default(),
            scheduling: Scheduling::default(),
        }
    }
}

/// The state that goes from one program of a process to the next; times are ticks.
pub struct Carried {
    /// The time at which exec began, in ticks.
    pub since: u64,
    /// Process id of who forked the process, 0 if Linux made it.
    pub parent: i32,
    /// Time of the process's programs so far.
    pub before: u64,
    /// The placement of the next program's main thread.
    pub placement: Placement,
    /// Time of children that have ended, and of their children.
    pub children: u64,
    /// Times of children that have ended and not been waited for, by process id.
    pub unwaited: BTreeMap<i32, u64>,
}

/// The state that processes carry over which are just executing another program, by process id.
static OVER_EXEC: SpinLock<BTreeMap<i32, Carried>> = SpinLock::new(BTreeMap::new());

/// Forgets processes that have ended on the way to the next program.
fn drop_ended(over_exec: &mut BTreeMap<i32, Carried>) {
    let now = tsc();
    over_exec.retain(|_, carried| ticks_to_ns(now.saturating_sub(carried.since)) < LONGEST_EXEC_NS);
}

/// Keeps `carried` for the next program of process `pid`.
pub fn put(pid: i32, carried: Carried) {
    OVER_EXEC.lock().insert(pid, carried);
}

/// Takes what the program before has left for process `pid`, if there was one.
pub fn take(pid: i32) -> Option<Carried> {
    let mut over_exec = OVER_EXEC.lock();
    drop_ended(&mut over_exec);
    over_exec.remove(&pid)
}

/// Forgets what was kept for process `pid`, whose exec failed.
pub fn remove(pid: i32) {
    OVER_EXEC.lock().remove(&pid);
}
