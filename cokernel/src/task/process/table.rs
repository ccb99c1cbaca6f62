// SPDX-License-Identifier: GPL-2.0
//! The table of processes: who lives, by handle and by id.
//!
//! A handle is an index and the generation of its entry, so that an old one is recognised.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use ihk_ikc::packet::{ProcessHandle, ToLinux};

use crate::errno::Errno;
use crate::ikc;
use crate::sync::SpinLock;
use crate::task::process::Process;
use crate::task::thread::Thread;

/// Most processes at once; a handle has 16 bits for the index.
const MAX_PROCESSES: usize = 4096;

struct Entry {
    generation: u32,
    state: EntryState,
}

enum EntryState {
    Free,
    /// The process is being made.
    Reserved,
    Live(Arc<Process>),
}

static TABLE: SpinLock<Vec<Entry>> = SpinLock::new(Vec::new());

/// Those that are entered, as of now.
pub fn all() -> Vec<Arc<Process>> {
    let table = TABLE.lock();
    let live = table.iter().filter_map(|entry| match &entry.state {
        EntryState::Live(process) => Some(process.clone()),
        EntryState::Free | EntryState::Reserved => None,
    });
    live.collect()
}

/// The thread with id `tid`, of whatever process.
pub fn find_thread(tid: i32) -> Option<Arc<Thread>> {
    let mut threads = all().into_iter().flat_map(|process| process.threads());
    threads.find(|thread| thread.data.tid == tid)
}

/// Hands every thread of every process to `visit`, which may wait.
pub fn for_each_thread(visit: impl Fn(&Thread)) {
    for process in all() {
        process.threads().iter().for_each(|thread| visit(thread));
    }
}

/// The process Linux means by `handle`, if it still exists.
pub fn find(handle: ProcessHandle) -> Option<Arc<Process>> {
    let table = TABLE.lock();
    let entry = table
        .get(index_of(handle))
        .filter(|entry| entry.generation == handle >> 16)?;
    match &entry.state {
        EntryState::Live(process) => Some(process.clone()),
        EntryState::Free | EntryState::Reserved => None,
    }
}

/// The process that has most memory mapped, but `except`; of several, the youngest.
pub fn biggest(except: Option<ProcessHandle>) -> Option<Arc<Process>> {
    let table = TABLE.lock();
    let live = table.iter().filter_map(|entry| match &entry.state {
        EntryState::Live(process) if Some(process.handle) != except => Some(process),
        _ => None,
    });
    live.max_by_key(|process| {
        let bytes = process.space.with(|inner| inner.table.resident_bytes());
        (bytes, process.pid)
    })
    .cloned()
}

/// The process with id `pid`, if there is one that does not end.
pub fn find_by_pid(pid: i32) -> Option<Arc<Process>> {
    let table = TABLE.lock();
    let processes = table.iter().filter_map(|entry| match &entry.state {
        EntryState::Live(process) => Some(process),
        EntryState::Free | EntryState::Reserved => None,
    });
    processes
        .into_iter()
        .find(|process| process.pid == pid && !process.is_dying())
        .cloned()
}

/// Reserves a handle, has `make` make its process, and enters it.
///
/// # Errors
///
/// `EAGAIN` if the table is full, else that of `make`.
pub fn enter(
    make: impl FnOnce(ProcessHandle) -> Result<Process, Errno>,
) -> Result<Arc<Process>, Errno> {
    let handle = reserve().ok_or(Errno::EAGAIN)?;
    let made = make(handle).map(Arc::new);
    let state = match &made {
        Ok(process) => EntryState::Live(process.clone()),
        Err(_) => EntryState::Free,
    };
    TABLE.lock()[index_of(handle)].state = state;
    if made.is_ok() {
        ikc::control()
            .usage
            .processes
            .fetch_add(1, Ordering::Relaxed);
    }
    made
}

/// Everything `handle` owned is free: it is dead, and Linux is told.
pub fn forget(handle: ProcessHandle) {
    let state = {
        let mut table = TABLE.lock();
        let Some(entry) = table.get_mut(index_of(handle)) else {
            return;
        };
        entry.generation = entry.generation % 0xffff + 1;
        core::mem::replace(&mut entry.state, EntryState::Free)
    };
    drop(state);
    ikc::control()
        .usage
        .processes
        .fetch_sub(1, Ordering::Relaxed);
    ikc::send(&ToLinux::ProcessFreed { process: handle });
}

fn reserve() -> Option<ProcessHandle> {
    let mut table = TABLE.lock();
    let index = match table
        .iter()
        .position(|entry| matches!(entry.state, EntryState::Free))
    {
        Some(index) => index,
        None if table.len() < MAX_PROCESSES => {
            table.push(Entry {
                generation: 1,
                state: EntryState::Free,
            });
            table.len() - 1
        }
        None => return None,
    };
    table[index].state = EntryState::Reserved;
    Some(table[index].generation << 16 | u32::try_from(index).ok()?)
}

const fn index_of(handle: ProcessHandle) -> usize {
    (handle & 0xffff) as usize
}
