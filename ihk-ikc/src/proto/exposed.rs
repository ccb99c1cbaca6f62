// SPDX-License-Identifier: GPL-2.0
//! Which frames Linux may have mapped or pinned: one bit per 4 KiB frame of the partition.
//!
//! Frames are numbered through all memory ranges in ascending order
//! ([`super::boot::MemoryRange::first_frame`]). Linux alone writes the bits: it sets one *before*
//! it looks at the co-kernel's page table for the last time and inserts the page, and clears it
//! when no mapping and no pin is left. The co-kernel reads the bits *after* it has changed the
//! page table entry. Both use full barriers, so either Linux sees the new entry or the co-kernel
//! sees the bit:
//!
//! ```text
//!  Linux fault                               co-kernel unmap or downgrade
//!  walk the table, find the frame            swap the entry (full barrier)
//!  set the bit (locked, full barrier)        read the bit
//!  walk again: same entry? insert : retry    clear → free now      set → limbo, REVOKE, wait
//! ```
//! Loom: `tests/loom_exposed.rs`.

use super::atomic::{fence, AtomicU64, Ordering};

/// Consecutive frames, in partition numbering.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameRun {
    /// First frame.
    pub first: u32,
    /// How many.
    pub count: u32,
}

const _: () = assert!(size_of::<FrameRun>() == 8);

/// Words needed for `frames` bits.
#[must_use]
pub const fn words_for(frames: u64) -> u64 {
    frames.div_ceil(64)
}

/// Linux: marks `frame` (full barrier). `false` if it is out of range.
#[must_use]
pub fn set(bits: &[AtomicU64], frame: u32) -> bool {
    let Some(word) = bits.get(frame as usize / 64) else {
        return false;
    };
    word.fetch_or(1 << (frame % 64), Ordering::SeqCst);
    fence(Ordering::SeqCst);
    true
}

/// Linux: marks all frames of `run`, whole words at a time (full barrier). `false` if some are out
/// of range; the others are marked all the same.
#[must_use]
pub fn set_run(bits: &[AtomicU64], run: FrameRun) -> bool {
    let end = u64::from(run.first) + u64::from(run.count);
    let mut frame = u64::from(run.first);
    let mut complete = true;
    while frame < end {
        let (index, low) = (frame / 64, frame % 64);
        let take = (64 - low).min(end - frame);
        let mask = (u64::MAX >> (64 - take)) << low;
        match usize::try_from(index)
            .ok()
            .and_then(|index| bits.get(index))
        {
            Some(word) => _ = word.fetch_or(mask, Ordering::SeqCst),
            None => complete = false,
        }
        frame += take;
    }
    fence(Ordering::SeqCst);
    complete
}

/// Linux: no mapping and no pin of `frame` is left.
pub fn clear(bits: &[AtomicU64], frame: u32) {
    if let Some(word) = bits.get(frame as usize / 64) {
        word.fetch_and(!(1 << (frame % 64)), Ordering::SeqCst);
    }
}

/// Whether `frame` is marked. The co-kernel calls it after a full barrier that follows the change
/// of the page table entry. Frames out of range count as marked: they are never freed by mistake.
#[must_use]
pub fn is_set(bits: &[AtomicU64], frame: u32) -> bool {
    bits.get(frame as usize / 64)
        .is_none_or(|word| word.load(Ordering::Acquire) & (1 << (frame % 64)) != 0)
}

/// Whether any frame of `run` is marked; looks at whole words where it can.
#[must_use]
pub fn any_set(bits: &[AtomicU64], run: FrameRun) -> bool {
    let end = u64::from(run.first) + u64::from(run.count);
    let mut frame = u64::from(run.first);
    while frame < end {
        let (index, low) = (frame / 64, frame % 64);
        let take = (64 - low).min(end - frame);
        let mask = (u64::MAX >> (64 - take)) << low;
        let marked = usize::try_from(index)
            .ok()
            .and_then(|index| bits.get(index))
            .is_none_or(|word| word.load(Ordering::Acquire) & mask != 0);
        if marked {
            return true;
        }
        frame += take;
    }
    false
}
