// SPDX-License-Identifier: GPL-2.0
//! The page cache: one copy of each page of a version of a file, for every process that maps it,
//! read-only or copied on write. Linux numbers the versions and has read the pages
//! ([`crate::mm::load`]); no program, and no proxy, ever had one of these frames for writing.
//!
//! A page that no process has stays until memory is wanted. Lock order: address space → page cache
//! → reference counts of frames → heap → frames.

use cokernel_logic::file_versions::{FileVersions, Inserted, PAGES_PER_CHUNK};
use ihk_ikc::exposed::FrameRun;
use spin::Once;

use crate::addr::to_usize;
use crate::frames::extents::single;
use crate::frames::page_frames::PageFrames;
use crate::frames::shared::SharedRun;
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

/// The frames of `pages` pages of `version`, from page `first` on, as far as they are kept.
pub fn look_up(version: u64, first: u64, pages: usize) -> PageFrames {
    let mut frames = PageFrames::none(pages);
    let Some(kept) = KEPT.get() else {
        return frames;
    };
    let mut kept = kept.lock();
    let mut found: Option<(u64, FrameRun)> = None;
    let mut take = |found: Option<(u64, FrameRun)>| {
        // SAFETY: the page cache has a count of each as long as it is locked.
        let run = found.map(|(page, run)| (page, unsafe { refcount::add(run) }));
        // Frames that too many have are read once more instead.
        if let Some((page, Ok(run))) = run {
            frames.put(to_usize(page - first), run);
        }
    };
    let range = first..first.saturating_add(pages as u64);
    kept.visit(version, range, |page, frame| match &mut found {
        Some((start, run))
            if *start + u64::from(run.count) == page && run.first + run.count == frame =>
        {
            run.count += 1;
        }
        _ => take(found.replace((page, single(frame)))),
    });
    take(found);
    drop(kept);
    frames
}

/// Keeps `own`, a frame that Linux has filled and nobody else has, as page `page` of `version`; if another
/// process was faster, `own` is given up, and what it has read is returned. The caller has seen that
/// there is room for [`STRUCTURE_BYTES`].
///
/// # Errors
///
/// There is no room: the frame is the caller's alone.
pub fn keep(version: u64, page: u64, own: SharedRun) -> Result<SharedRun, SharedRun> {
    let Some(kept) = KEPT.get().filter(|_| has_room()) else {
        return Err(own);
    };
    let is_full = || kept.lock().is_full_for(version, page);
    if is_full() && !reclaim(PAGES_PER_CHUNK as u64) {
        return Err(own);
    }
    let mut kept = kept.lock();
    let before = kept.chunks();
    let inserted = kept.insert(version, page, own.run().first);
    table::set_aside(kept.chunks() - before);
    match inserted {
        Inserted::Full => Err(own),
        // SAFETY: the page cache, which is locked, has a count of it.
        Inserted::There(other) => unsafe { refcount::add(single(other)) }.map_err(|_| own),
        Inserted::New => {
            let run = own.into_raw();
            refcount::keep(run.first);
            // SAFETY: the count of `own` is the page cache's now, which is locked.
            Ok(unsafe { refcount::add(run) }.expect("too many have what nobody else has"))
        }
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
    // SAFETY: the index has just forgotten it.
    if let Some(run) = unsafe { refcount::let_go(frame) } {
        pinned::free_or_keep(run);
    }
}
