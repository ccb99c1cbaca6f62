// SPDX-License-Identifier: GPL-2.0
//! On which CPU of Linux a worker runs: the one that serves its thread's core (`ihkosctl set ikc_map`),
//! if the process may use that one; else wherever the process may. Who serves call queues belongs to no core, and
//! runs on any CPU of the map.
//!
//! What the process may use is what it was started with, of the CPUs that were there then. A program's
//! own wishes are about cores of the co-kernel and do not come here.

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
/// What this thread has inherited is not known.
const UNKNOWN: u32 = u32::MAX;

/// How many workers of this process have their place on each CPU. No lock: a child may be forked while
/// another thread is here.
static WORKERS: [AtomicU32; CpuSet::count()] = [const { AtomicU32::new(0) }; CpuSet::count()];
/// On how many CPUs there are any.
static PLACES: AtomicUsize = AtomicUsize::new(0);
/// Whether a thread of this process has ever had a place.
static HAS_MOVED: AtomicBool = AtomicBool::new(false);
/// What the process was started with, and how many that are.
static ALLOWED: OnceLock<(CpuSet, usize)> = OnceLock::new();

thread_local! {
    /// [`DelegationSlot::server`] as this worker follows it.
    static FOLLOWED: Cell<u32> = const { Cell::new(0) };
    /// Where this worker has its place.
    static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// This thread has just become the first worker of a process, which may be a forked copy of one with many.
pub(super) fn begin_alone() {
    if PLACES.swap(0, Ordering::Relaxed) != 0 {
        for count in &WORKERS {
            count.store(0, Ordering::Relaxed);
        }
    }
    if let Some(cpu) = PLACE.get() {
        enter(cpu);
    }
    begin();
}

/// This thread has just become a worker, perhaps made by one that has a place.
pub(super) fn begin() {
    // By the first worker, before there is anybody to fork.
    allowed();
    if HAS_MOVED.load(Ordering::Relaxed) {
        FOLLOWED.set(UNKNOWN);
    }
}

/// This thread is a worker no longer.
pub(super) fn end() {
    settle(None);
}

/// This thread was made by a worker and serves no core: it may run wherever any core is served.
pub(super) fn roam() {
    if HAS_MOVED.load(Ordering::Relaxed) {
        // Where Linux refuses, as when all those CPUs have gone, the thread stays where its maker was.
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

/// Runs `exec`, which begins with what this process began with. If it fails the next call goes back.
pub(super) fn without<T>(exec: impl FnOnce() -> T) -> T {
    if FOLLOWED.get() != 0 {
        go_to(0);
        FOLLOWED.set(UNKNOWN);
    }
    exec()
}

/// How many CPUs the workers have.
pub(super) fn cpu_count() -> usize {
    match PLACES.load(Ordering::Relaxed) {
        0 => ALLOWED.get().map_or(1, |(_, count)| *count),
        places => places,
    }
}

/// To CPU `server` − 1; 0: to all.
fn go_to(server: u32) {
    let wanted = server.checked_sub(1).map(|cpu| cpu as usize);
    let chosen = wanted.filter(|cpu| allowed().is_set(*cpu).unwrap_or(false));
    HAS_MOVED.store(true, Ordering::Relaxed);
    // Where Linux refuses, as for a CPU that has gone, the worker stays where it is.
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

/// This worker's place is `place` from now on.
fn settle(place: Option<usize>) {
    let before = PLACE.replace(place);
    if before == place {
        return;
    }
    if let Some(cpu) = place {
        enter(cpu);
    }
    let left = before.and_then(|cpu| WORKERS.get(cpu));
    if left.is_some_and(|count| count.fetch_sub(1, Ordering::Relaxed) == 1) {
        PLACES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One worker more has its place on `cpu`.
fn enter(cpu: usize) {
    let count = WORKERS.get(cpu);
    if count.is_some_and(|count| count.fetch_add(1, Ordering::Relaxed) == 0) {
        PLACES.fetch_add(1, Ordering::Relaxed);
    }
}

/// The CPUs that the map names and the process may use; all it may use if there are none, or no map.
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

/// What the process was started with; asked before any worker has a place.
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
