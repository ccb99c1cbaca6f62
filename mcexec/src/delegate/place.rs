// SPDX-License-Identifier: GPL-2.0
//! On which CPU of Linux a worker runs: the one that serves its thread's core (`ihkosctl set ikc_map`),
//! if the process may use that one; else wherever the process may.
//!
//! What the process may use is what it was started with, of the CPUs that were there then. A program's own wishes are about cores of the
//! co-kernel and do not come here.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use ihk_ikc::slot::DelegationSlot;
use nix::errno::Errno;
use nix::sched::{sched_getaffinity, sched_setaffinity, CpuSet};
use nix::unistd::Pid;

/// The calling thread, where Linux wants a thread id.
const SELF: Pid = Pid::from_raw(0);
/// What this thread has inherited is not known.
const UNKNOWN: u32 = u32::MAX;

/// The CPUs that workers of this process were told to run on.
static SERVERS: Mutex<Option<CpuSet>> = Mutex::new(None);
/// How many those are.
static SERVER_COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// [`DelegationSlot::server`] as this worker follows it.
    static FOLLOWED: Cell<u32> = const { Cell::new(0) };
}

/// This thread has just become a worker, perhaps made by one that has a place.
pub(super) fn begin() {
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
    static ALLOWED_COUNT: OnceLock<usize> = OnceLock::new();
    match SERVER_COUNT.load(Ordering::Relaxed) {
        0 => *ALLOWED_COUNT.get_or_init(|| count(allowed()).max(1)),
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
    let Ok(mut servers) = SERVERS.lock() else {
        return;
    };
    let servers = servers.get_or_insert_with(CpuSet::new);
    // It is a CPU of `allowed`, so the set has room for it.
    let _ = servers.set(cpu);
    SERVER_COUNT.store(count(servers), Ordering::Relaxed);
}

/// What the process was started with; asked before any worker has a place.
fn allowed() -> &'static CpuSet {
    static ALLOWED: OnceLock<CpuSet> = OnceLock::new();
    ALLOWED.get_or_init(|| sched_getaffinity(SELF).unwrap_or_default())
}

fn count(set: &CpuSet) -> usize {
    (0..CpuSet::count())
        .filter(|cpu| set.is_set(*cpu).unwrap_or(false))
        .count()
}
