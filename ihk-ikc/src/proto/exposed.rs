// SPDX-License-Identifier: GPL-2.0
//! Exposed bits, of the frames that Linux may have mapped or pinned: one per 4 KiB frame of the partition.
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
    /// Their number.
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
    let mut complete = true;
    for (index, mask) in words_of(run) {
        match bits.get(index) {
            Some(word) => _ = word.fetch_or(mask, Ordering::SeqCst),
            None => complete = false,
        }
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

/// Linux: no mapping and no pin of the frames in `mask` is left; bit n stands for frame 64 × `word` + n.
pub fn clear_in_word(bits: &[AtomicU64], word: usize, mask: u64) {
    if let Some(word) = bits.get(word) {
        word.fetch_and(!mask, Ordering::SeqCst);
    }
}

/// The marks of the frames from 64 × `word` on.
#[must_use]
pub fn word(bits: &[AtomicU64], word: usize) -> u64 {
    bits.get(word)
        .map_or(0, |word| word.load(Ordering::Acquire))
}

/// Cuts `run` at multiples of 64 frames: the words that hold its marks, and which bits of each.
pub fn words_of(run: FrameRun) -> impl Iterator<Item = (usize, u64)> {
    let end = u64::from(run.first) + u64::from(run.count);
    let mut frame = u64::from(run.first);
    core::iter::from_fn(move || {
        let (index, low) = (frame / 64, frame % 64);
        let take = (64 - low).min(end.checked_sub(frame).filter(|rest| *rest > 0)?);
        frame += take;
        Some((
            usize::try_from(index).ok()?,
            (u64::MAX >> (64 - take)) << low,
        ))
    })
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
    words_of(run).any(|(index, mask)| {
        bits.get(index)
            .is_none_or(|word| word.load(Ordering::Acquire) & mask != 0)
    })
}
