// SPDX-License-Identifier: GPL-2.0
//! On which CPU of Linux a worker runs: the one that serves its thread's core (`ihkosctl set ikc_map`),
//! if the process may use that one; else wherever the process may.
//!
//! What the process may use is what it was started with, of the CPUs that were there then. A program's
//! own wishes are about cores of the co-kernel and do not come here.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::OnceLock;

use ihk_ikc::slot::DelegationSlot;
use nix::errno::Errno;
use nix::sched::{sched_getaffinity, sched_setaffinity, CpuSet};
use nix::unistd::Pid;

/// The calling thread, where Linux wants a thread id.
const SELF: Pid = Pid::from_raw(0);
/// What this thread has inherited is not known.
const UNKNOWN: u32 = u32::MAX;

/// The CPUs that workers of this process were told to run on, a bit each. No lock: a child may be forked
/// while another thread is here.
static SERVERS: [AtomicU64; CpuSet::count() / 64] =
    [const { AtomicU64::new(0) }; CpuSet::count() / 64];
/// How many those are.
static SERVER_COUNT: AtomicUsize = AtomicUsize::new(0);
/// What the process was started with, and how many that are.
static ALLOWED: OnceLock<(CpuSet, usize)> = OnceLock::new();

thread_local! {
    /// [`DelegationSlot::server`] as this worker follows it.
    static FOLLOWED: Cell<u32> = const { Cell::new(0) };
}

/// This thread has just become a worker, perhaps made by one that has a place.
pub(super) fn begin() {
    // By the first worker, before there is anybody to fork.
    allowed();
    if SERVER_COUNT.load(Ordering::Relaxed) != 0 {
        FOLLOWED.set(UNKNOWN);
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
    match SERVER_COUNT.load(Ordering::Relaxed) {
        0 => ALLOWED.get().map_or(1, |(_, count)| *count),
        servers => servers,
    }
}

/// To CPU `server` − 1; 0: to all.
fn go_to(server: u32) {
    let wanted = server.checked_sub(1).map(|cpu| cpu as usize);
    let chosen = wanted.filter(|cpu| allowed().is_set(*cpu).unwrap_or(false));
    // Where Linux refuses, as for a CPU that has gone, the worker stays where it is.
    let _ = match chosen {
        Some(cpu) => single(cpu).and_then(|set| sched_setaffinity(SELF, &set)),
        None => sched_setaffinity(SELF, allowed()),
    };
    if let Some(cpu) = chosen {
        note(cpu);
    }
}

fn single(cpu: usize) -> Result<CpuSet, Errno> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(set)
}

/// Workers run on `cpu` from now on.
fn note(cpu: usize) {
    let bit = 1 << (cpu % 64);
    let word = SERVERS.get(cpu / 64);
    if word.is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0) {
        SERVER_COUNT.fetch_add(1, Ordering::Relaxed);
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
