// SPDX-License-Identifier: GPL-2.0
//! Hop 5.4 of a delegated call: the worker goes to the CPU of Linux that is its placement.
//!
//! This is the CPU that serves its thread's core (`ihkosctl set ikc_map`), if the process may use
//! that one; otherwise the worker runs wherever the process may. A server of call queues belongs to
//! no core, and runs on any CPU of the map.
//!
//! The process may use the CPUs that it was started with, if they were there then. The affinity
//! that a program wants for itself is about cores of the co-kernel and does not come here.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::OnceLock;

use ihk_ikc::slot::DelegationSlot;
use nix::errno::Errno;
use nix::sched::{sched_getaffinity, sched_setaffinity, CpuSet};
use nix::unistd::Pid;

use crate::device;

/// The calling thread, where Linux wants a thread id.
const SELF: Pid = Pid::from_raw(0);
/// In [`FOLLOWED`]: this thread has inherited an affinity that nobody has noted.
const UNKNOWN: u32 = u32::MAX;

/// The number of workers of this process on each CPU. There is no lock, because a child may be forked
/// while another thread is here.
static WORKERS: [AtomicU32; CpuSet::count()] = [const { AtomicU32::new(0) }; CpuSet::count()];
/// On how many CPUs any worker is placed.
static USED_CPUS: AtomicUsize = AtomicUsize::new(0);
/// Whether a thread of this process has ever been placed.
static HAS_MOVED: AtomicBool = AtomicBool::new(false);
/// The CPUs that the process was started with, and their number.
static ALLOWED: OnceLock<(CpuSet, usize)> = OnceLock::new();

thread_local! {
    /// The value of [`DelegationSlot::server`] that this worker has followed.
    static FOLLOWED: Cell<u32> = const { Cell::new(0) };
    /// The CPU on which this worker is placed, if it is one.
    static PLACED_ON: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Begins in a thread that has just become the first worker of a process, which may be a forked
/// copy of one with many.
pub(super) fn begin_alone() {
    if USED_CPUS.swap(0, Ordering::Relaxed) != 0 {
        for count in &WORKERS {
            count.store(0, Ordering::Relaxed);
        }
    }
    if let Some(cpu) = PLACED_ON.get() {
        enter(cpu);
    }
    begin();
}

/// Begins in a thread that has just become a worker, perhaps made by one that is placed.
pub(super) fn begin() {
    // The first worker finds it out, before there is anybody to fork.
    allowed();
    if HAS_MOVED.load(Ordering::Relaxed) {
        FOLLOWED.set(UNKNOWN);
    }
}

/// Ends in a thread that is a worker no longer.
pub(super) fn end() {
    settle(None);
}

/// Lets a thread that a worker has made, and that serves no core, run wherever any core is served.
pub(super) fn roam() {
    if HAS_MOVED.load(Ordering::Relaxed) {
        // If Linux refuses, as when all those CPUs have gone, the thread stays where its maker
        // was.
        let _ = sched_setaffinity(SELF, &served());
    }
}

/// Goes where the thread that has just asked wants its worker.
pub(super) fn follow(slot: &DelegationSlot) {
    let server = slot.server.load(Ordering::Relaxed);
    if FOLLOWED.get() != server {
        FOLLOWED.set(server);
        go_to(server);
    }
}

/// Runs `exec`, which begins with what this process began with. If it fails the next call goes
/// back.
pub(super) fn without<T>(exec: impl FnOnce() -> T) -> T {
    if FOLLOWED.get() != 0 {
        go_to(0);
        FOLLOWED.set(UNKNOWN);
    }
    exec()
}

/// Returns how many CPUs the workers have.
pub(super) fn cpu_count() -> usize {
    match USED_CPUS.load(Ordering::Relaxed) {
        0 => ALLOWED.get().map_or(1, |(_, count)| *count),
        cpus => cpus,
    }
}

/// Moves this thread to CPU `server` − 1; 0 means all that the process may use.
fn go_to(server: u32) {
    let wanted = server.checked_sub(1).map(|cpu| cpu as usize);
    let chosen = wanted.filter(|cpu| allowed().is_set(*cpu).unwrap_or(false));
    HAS_MOVED.store(true, Ordering::Relaxed);
    // If Linux refuses, as for a CPU that has gone, the worker stays where it is.
    let _ = match chosen {
        Some(cpu) => single(cpu).and_then(|set| sched_setaffinity(SELF, &set)),
        None => sched_setaffinity(SELF, allowed()),
    };
    settle(chosen);
}

fn single(cpu: usize) -> Result<CpuSet, Errno> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(set)
}

/// Notes that this worker is placed on `cpu` from now on, or nowhere.
fn settle(cpu: Option<usize>) {
    let before = PLACED_ON.replace(cpu);
    if before == cpu {
        return;
    }
    if let Some(cpu) = cpu {
        enter(cpu);
    }
    let left = before.and_then(|cpu| WORKERS.get(cpu));
    if left.is_some_and(|count| count.fetch_sub(1, Ordering::Relaxed) == 1) {
        USED_CPUS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Notes that one worker more is placed on `cpu`.
fn enter(cpu: usize) {
    let count = WORKERS.get(cpu);
    if count.is_some_and(|count| count.fetch_add(1, Ordering::Relaxed) == 0) {
        USED_CPUS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns the CPUs that the map names and the process may use. Without a map, or if there are
/// none, it is all that the process may use.
fn served() -> CpuSet {
    let mut set = CpuSet::new();
    for server in device::servers().unwrap_or_default() {
        let cpu = usize::from(server).checked_sub(1);
        if let Some(cpu) = cpu.filter(|cpu| allowed().is_set(*cpu).unwrap_or(false)) {
            // It is one of a set of this size.
            let _ = set.set(cpu);
        }
    }
    if count(&set) == 0 {
        *allowed()
    } else {
        set
    }
}

/// Returns the CPUs that the process was started with. The first call comes before any worker is
/// placed.
fn allowed() -> &'static CpuSet {
    let (set, _) = ALLOWED.get_or_init(|| {
        let set = sched_getaffinity(SELF).unwrap_or_default();
        (set, count(&set).max(1))
    });
    set
}

fn count(set: &CpuSet) -> usize {
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .count()
}

#[cfg(test)]
mod tests {
    use super::{begin_alone, cpu_count, end, enter, settle};

    #[test]
    fn places_are_counted_while_somebody_has_them() {
        begin_alone();
        let anywhere = cpu_count();
        settle(Some(3));
        enter(3);
        enter(70);
        assert_eq!(cpu_count(), 2);
        // The one here leaves; another one is there still.
        settle(Some(70));
        assert_eq!(cpu_count(), 2);
        end();
        assert_eq!(cpu_count(), 2);
        settle(Some(5));
        assert_eq!(cpu_count(), 3);
        // A forked child has but its own.
        begin_alone();
        assert_eq!(cpu_count(), 1);
        end();
        assert_eq!(cpu_count(), anywhere);
    }
}
