// SPDX-License-Identifier: GPL-2.0
//! Frames that several address spaces have: how many, beyond the first. Forks raise the counts,
//! whoever takes a frame out of an address space lowers them, and the last one frees it.
//!
//! Counts exist only for blocks with a shared frame. Lock order: like the frame allocator's lock,
//! before the heap's.

use alloc::boxed::Box;
use alloc::vec::Vec;

use cokernel_logic::frames::FRAMES_PER_BLOCK;
use ihk_ikc::exposed::FrameRun;

use crate::arch::paging::Mapping;
use crate::mm::phys;
use crate::mm::runs;
use crate::sync::SpinLock;

/// The counts of one block.
struct Block {
    /// Per frame: address spaces that have it, minus one.
    further: [u16; FRAMES_PER_BLOCK as usize],
    /// Frames whose count is not 0.
    shared: u32,
}

/// By number of the block; grows to what is needed.
static BLOCKS: SpinLock<Vec<Option<Box<Block>>>> = SpinLock::new(Vec::new());

/// One more address space has all frames of `run`.
///
/// # Errors
///
/// `Err` if a count would overflow; nothing was changed.
pub fn add(run: FrameRun) -> Result<(), Overflow> {
    let mut blocks = BLOCKS.lock();
    let is_full = |frame| further(&blocks, frame) == u16::MAX;
    if frames(run).any(is_full) {
        return Err(Overflow);
    }
    for frame in frames(run) {
        let block = block_of(&mut blocks, frame);
        let count = &mut block.further[(frame % FRAMES_PER_BLOCK) as usize];
        block.shared += u32::from(*count == 0);
        *count += 1;
    }
    Ok(())
}

/// More address spaces have a frame than can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// An address space gives up `run`: hands those frames to `free` that nobody else has.
pub fn release(run: FrameRun, mut free: impl FnMut(FrameRun)) {
    let mut own = runs::RunList::new();
    {
        let mut blocks = BLOCKS.lock();
        for part in parts(run) {
            if !has_shared(&blocks, part) {
                own.push(part);
                continue;
            }
            let not_shared = |frame: &u32| !lower(&mut blocks, *frame);
            frames(part)
                .filter(not_shared)
                .for_each(|first| own.push(FrameRun { first, count: 1 }));
        }
    }
    own.as_slice().iter().copied().for_each(&mut free);
}

/// Whether another address space has a frame of `mapping`, too.
pub fn is_shared(mapping: &Mapping) -> bool {
    let Some(run) = runs::run_of(mapping) else {
        return false;
    };
    let blocks = BLOCKS.lock();
    parts(run)
        .filter(|part| has_shared(&blocks, *part))
        .flat_map(frames)
        .any(|frame| further(&blocks, frame) != 0)
}

/// `run` cut into parts that lie in one block each.
fn parts(run: FrameRun) -> impl Iterator<Item = FrameRun> {
    let end = run.first + run.count;
    let mut first = run.first;
    core::iter::from_fn(move || {
        let count = (FRAMES_PER_BLOCK - first % FRAMES_PER_BLOCK).min(end - first);
        let part = FrameRun { first, count };
        first += count;
        (count != 0).then_some(part)
    })
}

/// Whether the block of `part` has shared frames; most have not.
fn has_shared(blocks: &[Option<Box<Block>>], part: FrameRun) -> bool {
    let block = blocks.get((part.first / FRAMES_PER_BLOCK) as usize);
    block.is_some_and(Option::is_some)
}

fn frames(run: FrameRun) -> core::ops::Range<u32> {
    run.first..run.first + run.count
}

fn further(blocks: &[Option<Box<Block>>], frame: u32) -> u16 {
    match blocks.get((frame / FRAMES_PER_BLOCK) as usize) {
        Some(Some(block)) => block.further[(frame % FRAMES_PER_BLOCK) as usize],
        _ => 0,
    }
}

fn block_of(blocks: &mut Vec<Option<Box<Block>>>, frame: u32) -> &mut Block {
    let index = (frame / FRAMES_PER_BLOCK) as usize;
    if blocks.len() <= index {
        blocks.resize_with(phys::block_count() as usize, || None);
    }
    blocks[index].get_or_insert_with(|| {
        Box::new(Block {
            further: [0; FRAMES_PER_BLOCK as usize],
            shared: 0,
        })
    })
}

/// Lowers the count of `frame`; `false` if it is not shared.
fn lower(blocks: &mut [Option<Box<Block>>], frame: u32) -> bool {
    let Some(slot) = blocks.get_mut((frame / FRAMES_PER_BLOCK) as usize) else {
        return false;
    };
    let Some(block) = slot else { return false };
    let count = &mut block.further[(frame % FRAMES_PER_BLOCK) as usize];
    if *count == 0 {
        return false;
    }
    *count -= 1;
    block.shared -= u32::from(*count == 0);
    if block.shared == 0 {
        *slot = None;
    }
    true
}
