// SPDX-License-Identifier: GPL-2.0
//! The page cache: one copy of each page of a version of a file, for every process that maps it,
//! read-only or copied on write. Linux numbers the versions and has read the pages
//! ([`crate::mm::load`]); no program, and no proxy, ever had one of these frames for writing.
//!
//! A page that no process has stays until memory is wanted. Lock order: address space → page cache
//! → reference counts of frames → heap → frames.

use cokernel_logic::file_versions::{FileVersions, Inserted, PAGES_PER_CHUNK};
pub use cokernel_logic::frame_runs::{adjacent, NO_FRAME as NONE};
use ihk_ikc::exposed::FrameRun;
use spin::Once;

use crate::addr::{count_of, to_usize};
use crate::frames::{pinned, refcount, table};
use crate::sync::SpinLock;

/// Chunks that are kept at most, whatever the size of the partition.
const MOST_CHUNKS: usize = 1024;
/// Kept pages take this part of the partition: 1 / this.
const MOST_FRACTION: u64 = 4;
/// Heap that keeping a page takes at most: the list of a chunk, and the counts of a block.
pub const STRUCTURE_BYTES: u64 = 8192;
/// Frames reclaimed beyond what is missing, so that the next one who needs some finds them.
const SURPLUS: u64 = 256;

static KEPT: Once<SpinLock<FileVersions>> = Once::new();

/// Makes room for the index. Once, when the heap works.
pub fn init() {
    KEPT.call_once(|| SpinLock::new(FileVersions::new(MOST_CHUNKS)));
}

/// The outcome for a page that Linux has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is kept. The caller has it like any process: it gives it up by [`refcount::release`].
    New,
    /// Another process was faster. The caller has this frame, as with `New`, and its own one still.
    There(u32),
    /// There is no room: the frame is the caller's alone.
    No,
}

/// Puts the frames of pages of `version`, from page `first` on, into `frames`, as far as they are
/// kept; the caller then has them like any process, and gives them up by [`refcount::release`].
pub fn look_up(version: u64, first: u64, frames: &mut [u32]) {
    let Some(kept) = KEPT.get() else { return };
    let mut kept = kept.lock();
    let pages = first..first.saturating_add(frames.len() as u64);
    kept.visit(version, pages, |page, frame| {
        frames[to_usize(page - first)] = frame;
    });
    let mut at = 0;
    while at < frames.len() {
        let count = adjacent(&frames[at..]);
        let run = FrameRun {
            first: frames[at],
            count: count_of(count),
        };
        // Frames that too many have are read once more instead.
        if run.first != NONE && refcount::add(run).is_err() {
            frames[at..at + count].fill(NONE);
        }
        at += count;
    }
}

/// Keeps `frame`, which Linux has filled and nobody else has, as page `page` of `version`. The
/// caller has seen that there is room for [`STRUCTURE_BYTES`].
pub fn keep(version: u64, page: u64, frame: u32) -> Kept {
    let Some(kept) = KEPT.get().filter(|_| has_room()) else {
        return Kept::No;
    };
    let is_full = || kept.lock().is_full_for(version, page);
    if is_full() && !reclaim(PAGES_PER_CHUNK as u64) {
        return Kept::No;
    }
    let mut kept = kept.lock();
    let before = kept.chunks();
    let inserted = kept.insert(version, page, frame);
    table::set_aside(kept.chunks() - before);
    let (frame, outcome) = match inserted {
        Inserted::Full => return Kept::No,
        Inserted::There(other) => (other, Kept::There(other)),
        Inserted::New => {
            refcount::keep(frame);
            (frame, Kept::New)
        }
    };
    // A frame that is just being kept is nobody's, so its count has room.
    match refcount::add(single(frame)) {
        Ok(()) => outcome,
        Err(refcount::Overflow) => Kept::No,
    }
}

fn has_room() -> bool {
    let most = table::stats().total / MOST_FRACTION;
    pages() < most || reclaim(SURPLUS)
}

/// Pages that are kept.
fn pages() -> u64 {
    KEPT.get().map_or(0, |kept| kept.lock().pages())
}

/// Forgets `version`: the file has another content now. Who has its pages keeps them.
pub fn forget(version: u64) {
    let Some(kept) = KEPT.get() else { return };
    let mut kept = kept.lock();
    let before = kept.chunks();
    kept.forget(version, drop_frame);
    table::take_up(before - kept.chunks());
}

/// Frees at least `count` frames that no process has, if there are so many; whether there were.
pub fn reclaim(count: u64) -> bool {
    if table::reclaimable() < count {
        return false;
    }
    shrink(count.saturating_add(SURPLUS)) >= count
}

/// Frees all frames that no process has, for who needs large pages; whether there were any.
pub fn reclaim_all() -> bool {
    table::reclaimable() != 0 && shrink(u64::MAX) != 0
}

fn shrink(count: u64) -> u64 {
    let Some(kept) = KEPT.get() else { return 0 };
    let mut kept = kept.lock();
    let before = kept.chunks();
    let pages = kept.shrink(count, refcount::is_idle, drop_frame);
    let chunks = before - kept.chunks();
    table::take_up(chunks);
    pages + chunks
}

fn drop_frame(frame: u32) {
    if refcount::let_go(frame) {
        pinned::free_or_keep(single(frame));
    }
}

/// A run of one frame.
pub const fn single(frame: u32) -> FrameRun {
    FrameRun {
        first: frame,
        count: 1,
    }
}
