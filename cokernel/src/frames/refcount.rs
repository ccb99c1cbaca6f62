// SPDX-License-Identifier: GPL-2.0
//! Reference counts of frames: how many address spaces have a frame, beyond the first. Forks raise
//! the counts, whoever takes a frame out of an address space lowers them, and the last one frees
//! it.
//!
//! The page cache ([`crate::frames::page_cache`]) counts as an address space more: while it has a
//! page, every address space that has it is a further one, so none of them writes it or frees it.
//!
//! Counts exist only for blocks with a shared frame. Lock order: like the frame allocator's lock,
//! before the heap's.

use alloc::boxed::Box;
use alloc::vec::Vec;

use cokernel_logic::frames::FRAMES_PER_BLOCK;
use ihk_ikc::exposed::FrameRun;

use crate::arch::pte::Mapping;
use crate::frames::extents::{self, blocks_of};
use crate::frames::table;
use crate::partition;
use crate::sync::SpinLock;

/// The counts of one block.
struct Block {
    /// Per frame: address spaces that have it, minus one.
    further: [u32; FRAMES_PER_BLOCK as usize],
    /// Frames whose count is not 0.
    shared: u32,
}

/// The reference counts of all frames.
struct Counts {
    /// By number of the block; grows to what is needed.
    blocks: Vec<Option<Box<Block>>>,
    /// A bit for each frame: it is kept as a page of a file.
    kept: Vec<u64>,
}

static COUNTS: SpinLock<Counts> = SpinLock::new(Counts {
    blocks: Vec::new(),
    kept: Vec::new(),
});

/// The outcome of lowering a count.
enum Lowered {
    /// Somebody has the frame still.
    Shared,
    /// It is kept, but no address space has it any more.
    Idle,
    /// Nobody else has it.
    Own,
}

/// Makes room for marks of kept frames. Once, when the heap works.
pub fn init() {
    let words = (partition::block_count() * FRAMES_PER_BLOCK).div_ceil(64);
    COUNTS.lock().kept.resize(words as usize, 0);
}

/// One more address space has all frames of `run`.
///
/// # Errors
///
/// `Err` if a count would overflow; nothing was changed.
pub fn add(run: FrameRun) -> Result<(), Overflow> {
    let mut counts = COUNTS.lock();
    let is_full = |frame| counts.further(frame) == u32::MAX;
    if frames(run).any(is_full) {
        return Err(Overflow);
    }
    for part in blocks_of(run) {
        let woken = frames(part).filter(|&frame| counts.raise(frame)).count();
        table::used_again(part.first, woken as u64);
    }
    Ok(())
}

/// More address spaces have a frame than can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// An address space gives up `run`: hands those frames to `free` that nobody else has.
pub fn release(run: FrameRun, mut free: impl FnMut(FrameRun)) {
    let mut own = extents::ExtentList::new();
    {
        let mut counts = COUNTS.lock();
        for part in blocks_of(run) {
            let mut idle = 0;
            if !counts.has_shared(part) {
                own.push(part);
                continue;
            }
            for first in frames(part) {
                match counts.lower(first) {
                    Lowered::Own => own.push(FrameRun { first, count: 1 }),
                    Lowered::Idle => idle += 1,
                    Lowered::Shared => {}
                }
            }
            table::may_be_reclaimed(part.first, idle);
        }
    }
    own.as_slice().iter().copied().for_each(&mut free);
}

/// `frame`, which nobody else has, is kept from now on.
pub fn keep(frame: u32) {
    let mut counts = COUNTS.lock();
    counts.mark(frame, true);
    table::may_be_reclaimed(frame, 1);
}

/// `frame` is kept no longer. `true`: nobody else has it, free it.
pub fn let_go(frame: u32) -> bool {
    let mut counts = COUNTS.lock();
    counts.mark(frame, false);
    match counts.lower(frame) {
        Lowered::Own => {
            table::used_again(frame, 1);
            true
        }
        Lowered::Shared | Lowered::Idle => false,
    }
}

/// Whether another address space has a frame of `mapping`, too.
pub fn is_shared(mapping: &Mapping) -> bool {
    let Some(run) = extents::run_of(mapping) else {
        return false;
    };
    let counts = COUNTS.lock();
    blocks_of(run)
        .filter(|part| counts.has_shared(*part))
        .flat_map(frames)
        .any(|frame| counts.further(frame) != 0)
}

/// Whether no address space has `frame`, which is kept.
pub fn is_idle(frame: u32) -> bool {
    COUNTS.lock().further(frame) == 0
}

fn frames(run: FrameRun) -> core::ops::Range<u32> {
    run.first..run.first + run.count
}

impl Counts {
    /// Whether the block of `part` has shared frames; most have not.
    fn has_shared(&self, part: FrameRun) -> bool {
        let block = self.blocks.get((part.first / FRAMES_PER_BLOCK) as usize);
        block.is_some_and(Option::is_some)
    }

    fn further(&self, frame: u32) -> u32 {
        match self.blocks.get((frame / FRAMES_PER_BLOCK) as usize) {
            Some(Some(block)) => block.further[(frame % FRAMES_PER_BLOCK) as usize],
            _ => 0,
        }
    }

    fn is_kept(&self, frame: u32) -> bool {
        let word = self.kept.get(frame as usize / 64);
        word.is_some_and(|word| word & 1 << (frame % 64) != 0)
    }

    fn mark(&mut self, frame: u32, kept: bool) {
        if let Some(word) = self.kept.get_mut(frame as usize / 64) {
            let bit = 1 << (frame % 64);
            *word = if kept { *word | bit } else { *word & !bit };
        }
    }

    fn block_of(&mut self, frame: u32) -> &mut Block {
        let index = (frame / FRAMES_PER_BLOCK) as usize;
        if self.blocks.len() <= index {
            self.blocks
                .resize_with(partition::block_count() as usize, || None);
        }
        self.blocks[index].get_or_insert_with(|| {
            Box::new(Block {
                further: [0; FRAMES_PER_BLOCK as usize],
                shared: 0,
            })
        })
    }

    /// Raises the count of `frame`; `true` if it was kept and no address space had it.
    fn raise(&mut self, frame: u32) -> bool {
        let block = self.block_of(frame);
        let count = &mut block.further[(frame % FRAMES_PER_BLOCK) as usize];
        let is_first = *count == 0;
        block.shared += u32::from(is_first);
        *count += 1;
        is_first && self.is_kept(frame)
    }

    /// Lowers the count of `frame`, if it is shared.
    fn lower(&mut self, frame: u32) -> Lowered {
        let slot = self.blocks.get_mut((frame / FRAMES_PER_BLOCK) as usize);
        let Some(slot) = slot else {
            return Lowered::Own;
        };
        let Some(block) = slot else {
            return Lowered::Own;
        };
        let count = &mut block.further[(frame % FRAMES_PER_BLOCK) as usize];
        if *count == 0 {
            return Lowered::Own;
        }
        *count -= 1;
        let is_last = *count == 0;
        block.shared -= u32::from(is_last);
        if block.shared == 0 {
            *slot = None;
        }
        if is_last && self.is_kept(frame) {
            Lowered::Idle
        } else {
            Lowered::Shared
        }
    }
}
