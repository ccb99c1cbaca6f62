// SPDX-License-Identifier: GPL-2.0
//! Taking memory back that Linux may have mapped (the right half of the picture in
//! `ihk_ikc::exposed`).
//!
//! The caller has swapped the page table entries (a full barrier) and flushed its translations.
//! Frames whose exposed bit is clear are free at once. The others are in limbo: Linux is asked to
//! drop its mappings, and what is still pinned after its answer stays in [`crate::frames::pinned`].

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{fence, AtomicBool, AtomicU64, Ordering};

use cokernel_logic::vma::Range;
use ihk_ikc::exposed;
use ihk_ikc::exposed::FrameRun;
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::packet::{ProcessHandle, ToLinux, PINS_LET_GO};

use crate::addr::to_usize;
use crate::arch::relax;
use crate::arch::time::PollTimeout;
use crate::frames::extents::ExtentList;
use crate::frames::owned::OwnedRun;
use crate::frames::shared::SharedExtents;
use crate::frames::shared::SharedRun;
use crate::frames::{pinned, prezero};
use crate::sync::SpinLock;
use crate::task::process::{self, Process};
use crate::{ikc, klog, partition};

/// Runs that fit into the one page a request carries.
const RUNS_PER_REQUEST: usize = to_usize(PAGE_BYTES) / size_of::<FrameRun>();
/// Most retired page tables that wait for an occasion to be freed.
const MAX_RETIRED: usize = 256;
/// The longest time that Linux may take; without an answer in this time it is as good as gone.
const REVOKE_TIMEOUT_US: u64 = 1_000_000;

/// Requests Linux has not answered. Nothing else is locked under it.
static PENDING: SpinLock<Vec<Revocation>> = SpinLock::new(Vec::new());
static NEXT_TOKEN: AtomicU64 = AtomicU64::new(1);

/// The frames that Linux is to let go of.
enum Runs {
    /// They live on elsewhere in the address space.
    Named(ExtentList),
    /// They are given up afterwards: free, or kept until Linux unpins them.
    Limbo(SharedExtents),
}

/// The action once Linux has dropped all its mappings.
enum Then {
    /// The thread that waits is told.
    Tell(Arc<AtomicBool>),
    /// The process is forgotten.
    ForgetProcess,
}

/// A revocation in progress.
struct Revocation {
    token: u64,
    process: ProcessHandle,
    /// The process in whose window Linux sees them.
    owner: ProcessHandle,
    range: Range,
    runs: Runs,
    /// The number of runs, the last ones, that the request named to Linux that is not answered.
    asked: usize,
    then: Then,
}

/// Frees `frames`, which were mapped in `range` of `process`, as soon as Linux allows it. Returns
/// when the addresses may be used again; `true` if Linux had mapped some.
pub fn release(process: &Process, range: Range, frames: SharedExtents) -> bool {
    let mut limbo = SharedExtents::default();
    free_unexposed(frames, &mut limbo);
    let exposed = !limbo.list().is_empty();
    if exposed || process.space.with(|inner| inner.table.retired_count()) > MAX_RETIRED {
        add_retired_tables(process, &mut limbo);
        ask_and_wait(process, range, Runs::Limbo(limbo));
    }
    exposed
}

/// Makes Linux drop its mappings of `frames` in `range` of `process`; they stay in use.
pub fn withdraw(process: &Process, range: Range, frames: ExtentList) {
    if !frames.is_empty() {
        ask_and_wait(process, range, Runs::Named(frames));
    }
}

/// Frees `limbo`, all that is left of `process`, whose proxy is gone, and then the process. Does
/// not wait.
pub fn release_process(process: &Process, limbo: SharedExtents) {
    if limbo.list().is_empty() {
        process::forget(process.handle);
    } else {
        // Of a child of vfork this names the child: its parent's window may be gone already, and
        // with it every mapping.
        let (owner, window) = (process.handle, process.space.window);
        let runs = Runs::Limbo(limbo);
        ask(process, owner, window, runs, Then::ForgetProcess);
    }
}

/// Linux leaves the address space once to answer us; after that it walks no retired table.
fn add_retired_tables(process: &Process, limbo: &mut SharedExtents) {
    for table in process.space.with(|inner| inner.table.take_retired()) {
        limbo.push(table);
    }
}

/// Frees those of `frames` that Linux does not know; adds the others to `limbo`.
pub fn free_unexposed(frames: SharedExtents, limbo: &mut SharedExtents) {
    fence(Ordering::SeqCst);
    frames.for_each(|run| {
        if exposed::any_set(partition::exposed_bits(), run.run()) {
            limbo.push(run);
        } else {
            run.give_up(drop::<OwnedRun>);
        }
    });
}

/// Goes on after Linux has dropped the mappings that request `token` named.
pub fn on_revoked(token: u64) {
    if token == PINS_LET_GO {
        pinned::recheck();
        return;
    }
    let Some(mut revocation) = take(token) else {
        klog!("revocation {token}: an answer to no open question (given up, or never asked)");
        return;
    };
    revocation.settle();
    let left = !revocation.runs.list().is_empty();
    match process::find(revocation.process).filter(|_| left) {
        Some(process) => return revocation.send(&process),
        None => revocation.then.perform(revocation.process),
    }
    pinned::recheck();
}

impl Runs {
    const fn list(&self) -> &ExtentList {
        match self {
            Self::Named(list) => list,
            Self::Limbo(runs) => runs.list(),
        }
    }
}

impl Then {
    fn perform(&self, process: ProcessHandle) {
        match self {
            Self::Tell(done) => done.store(true, Ordering::Release),
            Self::ForgetProcess => process::forget(process),
        }
    }
}

impl Revocation {
    /// Names further runs to Linux, on a page that `process`, whose revocation it is, keeps for that.
    fn send(mut self, process: &Process) {
        let runs = self.runs.list();
        let from = runs.len().saturating_sub(RUNS_PER_REQUEST);
        let words = process.revoke_array.words();
        for (word, run) in words.iter().zip(&runs[from..]) {
            word.store(
                u64::from(run.first) | u64::from(run.count) << 32,
                Ordering::Relaxed,
            );
        }
        let message = ToLinux::Revoke {
            token: self.token,
            process: self.owner,
            start: self.range.start,
            end: self.range.end,
            runs: process.revoke_array.start().as_u64(),
            run_count: u32::try_from(runs.len() - from).unwrap_or(0),
        };
        self.asked = runs.len() - from;
        PENDING.lock().push(self);
        ikc::send(&message);
    }

    /// Deals with the frames of the request that was answered.
    fn settle(&mut self) {
        match &mut self.runs {
            Runs::Named(list) => list.truncate(list.len() - self.asked),
            Runs::Limbo(runs) => drop(runs.split_back(self.asked)),
        }
    }
}

fn take(token: u64) -> Option<Revocation> {
    let mut pending = PENDING.lock();
    let index = pending
        .iter()
        .position(|revocation| revocation.token == token)?;
    Some(pending.swap_remove(index))
}

fn ask(process: &Process, owner: ProcessHandle, range: Range, runs: Runs, then: Then) -> u64 {
    let token = NEXT_TOKEN.fetch_add(1, Ordering::Relaxed);
    let revocation = Revocation {
        token,
        process: process.handle,
        owner,
        range,
        runs,
        asked: 0,
        then,
    };
    revocation.send(process);
    token
}

/// Waits for Linux, serving it meanwhile: it may itself wait for this CPU. The answer comes to the
/// process's own CPU, whichever asked; that one sets `done`.
fn ask_and_wait(process: &Process, range: Range, runs: Runs) {
    let done = Arc::new(AtomicBool::new(false));
    let then = Then::Tell(done.clone());
    let token = ask(process, process.space.owner(), range, runs, then);
    let mut timeout = PollTimeout::of_us(REVOKE_TIMEOUT_US);
    while !done.load(Ordering::Acquire) {
        // Linux is slow, not this CPU: our heartbeat must go on, or Linux's time-out for us ends
        // before ours for it.
        ikc::beat();
        ikc::poll();
        prezero::clear_some(1);
        relax();
        if timeout.is_over() {
            give_up(token);
            return;
        }
    }
}

/// Linux does not answer: its mappings may live on, so the frames must not be used again.
fn give_up(token: u64) {
    let Some(revocation) = take(token) else {
        return;
    };
    klog!(
        "revocation {token}: no answer from Linux; {} runs of frames are kept",
        revocation.runs.list().len()
    );
    if let Runs::Limbo(runs) = revocation.runs {
        runs.for_each(|run: SharedRun| run.give_up(pinned::keep));
    }
}
