// SPDX-License-Identifier: GPL-2.0
//! Aligned GiBs in what was taken from Linux: making them whole, and keeping them so, because the
//! co-kernel can map each with one entry.

use crate::ffi::pages::{self, Block};
use crate::proto::layout::LARGE_PAGE_BYTES;
use crate::proto::uapi::MemorySpec;
use kernel::prelude::*;

/// Bytes of a GiB.
pub(crate) const GIANT_BYTES: u64 = 1 << 30;
/// Blocks of a GiB.
const GIANT_BLOCKS: usize = (GIANT_BYTES / LARGE_PAGE_BYTES) as usize;
/// GiBs below the end of ZONE_DMA32.
const DMA32_GIANTS: u64 = 4;
/// So many GiBs more than are wanted may be tried in vain.
const SPARE_TRIES: usize = 8;

/// A GiB of which some blocks, on one node, are there.
#[derive(Clone, Copy)]
struct Tally {
    /// Address / [`GIANT_BYTES`].
    number: u64,
    node: u32,
    /// Blocks that are there.
    count: usize,
}

fn number_of(block: &Block) -> u64 {
    block.phys() / GIANT_BYTES
}

/// The GiBs that ascending `blocks` lie in, ascending.
fn tallies(blocks: &[Block]) -> Result<KVVec<Tally>> {
    let mut tallies: KVVec<Tally> = KVVec::new();
    for block in blocks {
        let (number, node) = (number_of(block), block.node());
        match tallies.as_mut_slice().last_mut() {
            Some(last) if last.number == number && last.node == node => last.count += 1,
            _ => tallies.push(
                Tally {
                    number,
                    node,
                    count: 1,
                },
                GFP_KERNEL,
            )?,
        }
    }
    Ok(tallies)
}

/// Takes as many whole GiBs of `node` as `count` blocks have room for, and are to be had: Linux moves
/// elsewhere what it has there, unless it cannot be moved. The caller takes the blocks that are missing
/// then one by one. They are not asked of Linux that way from the start, because it gives away first
/// what it has broken already.
///
/// # Errors
///
/// ENOMEM: no memory for notes.
pub(crate) fn claim(node: u32, count: usize) -> Result<KVVec<Block>> {
    let goals = count / GIANT_BLOCKS;
    let mut whole = KVVec::with_capacity(count, GFP_KERNEL)?;
    let mut loose = KVVec::with_capacity(count, GFP_KERNEL)?;
    let mut vain = 0;
    for number in candidates(node) {
        if whole.len() / GIANT_BLOCKS == goals || vain == goals + SPARE_TRIES {
            break;
        }
        if !claim_one(number, node, count, &mut whole, &mut loose) {
            vain += 1;
        }
    }
    for block in loose {
        let _ = whole.push_within_capacity(block);
    }
    Ok(whole)
}

/// GiBs of `node` that may be whole: above 4 GiB first, because some devices reach no further. The very
/// first one never is.
fn candidates(node: u32) -> impl Iterator<Item = u64> {
    let (start, end) = pages::node_span(node);
    let (first, end) = (start.div_ceil(GIANT_BYTES).max(1), end / GIANT_BYTES);
    let low = (first..end.min(DMA32_GIANTS)).rev();
    Iterator::chain(first.max(DMA32_GIANTS)..end, low)
}

/// Adds GiB `number` to `whole`, or what was to be had of it to `loose`; what is loose makes place, so
/// that there are never more than `count` blocks. Whether it is whole.
fn claim_one(
    number: u64,
    node: u32,
    count: usize,
    whole: &mut KVVec<Block>,
    loose: &mut KVVec<Block>,
) -> bool {
    let before = whole.len();
    let start = number * GIANT_BYTES;
    for phys in (start..start + GIANT_BYTES).step_by(LARGE_PAGE_BYTES as usize) {
        let Some(block) = Block::claim(phys, node) else {
            while whole.len() > before {
                let _ = whole.pop().map(|block| loose.push_within_capacity(block));
            }
            return false;
        };
        if whole.len() + loose.len() == count {
            drop(loose.pop());
        }
        let _ = whole.push_within_capacity(block);
    }
    true
}

/// Those of the ascending `blocks`, of which there are enough, that shall be given to who wants
/// `wanted`: whole GiBs as far as possible, then what is in none. An answer a block.
///
/// # Errors
///
/// ENOMEM: no memory for notes.
pub(crate) fn choose(blocks: &[Block], wanted: &MemorySpec) -> Result<KVVec<bool>> {
    let mut left = *wanted;
    let mut whole = tallies(blocks)?;
    whole.retain(|tally| tally.count == GIANT_BLOCKS);
    let is_whole = |number: u64| whole.binary_search_by_key(&number, |it| it.number).is_ok();
    let mut choice = KVVec::with_capacity(blocks.len(), GFP_KERNEL)?;
    let mut chosen_number = None;
    for block in blocks {
        let number = number_of(block);
        let bytes = left.bytes.get_mut(block.node() as usize);
        if chosen_number != Some(number) && is_whole(number) {
            if let Some(bytes) = bytes.filter(|bytes| **bytes >= GIANT_BYTES) {
                *bytes -= GIANT_BYTES;
                chosen_number = Some(number);
            }
        }
        choice.push(chosen_number == Some(number), GFP_KERNEL)?;
    }
    for breaks_giants in [false, true] {
        for (block, is_chosen) in blocks.iter().zip(choice.as_mut_slice()) {
            let bytes = left.bytes.get_mut(block.node() as usize);
            let fits = breaks_giants || !is_whole(number_of(block));
            if let Some(bytes) = bytes.filter(|bytes| **bytes != 0 && fits && !*is_chosen) {
                *bytes -= LARGE_PAGE_BYTES;
                *is_chosen = true;
            }
        }
    }
    Ok(choice)
}
