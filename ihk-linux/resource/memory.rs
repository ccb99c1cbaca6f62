// SPDX-License-Identifier: GPL-2.0
//! Memory taken from Linux: sets of 2 MiB blocks, kept in ascending order so that neighbours make
//! contiguous runs.

use super::giants;
use crate::ffi::draft::Draft;
use crate::ffi::pages::{self, Block};
use crate::proto::layout::{LARGE_PAGE_BYTES, MAX_NODES};
use crate::proto::uapi::MemorySpec;
use kernel::prelude::*;

/// End of ZONE_DMA: memory below is left to devices that reach no further.
const ZONE_DMA_END: u64 = 16 << 20;

/// Contiguous memory of one node.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    /// First physical address.
    pub(crate) phys: u64,
    /// Length.
    pub(crate) bytes: u64,
    /// NUMA node.
    pub(crate) node: u32,
}

impl Run {
    /// The number of aligned GiBs in it.
    pub(crate) const fn whole_giants(&self) -> u64 {
        let first = self.phys.div_ceil(giants::GIANT_BYTES);
        let end = (self.phys + self.bytes) / giants::GIANT_BYTES;
        end.saturating_sub(first)
    }
}

/// Blocks of one owner.
pub(crate) struct BlockSet {
    /// Ascending by address.
    blocks: KVVec<Block>,
}

impl BlockSet {
    pub(crate) const fn new() -> Self {
        Self {
            blocks: KVVec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Bytes per node.
    pub(crate) fn spec(&self) -> MemorySpec {
        let mut spec = MemorySpec::default();
        for block in self.blocks.iter() {
            if let Some(bytes) = spec.bytes.get_mut(block.node() as usize) {
                *bytes += LARGE_PAGE_BYTES;
            }
        }
        spec
    }

    /// Contiguous runs, ascending, without blocks that Linux has pinned for a program of an earlier
    /// instance: a transfer may be under way there still. Sleeps.
    pub(crate) fn runs(&self) -> Result<KVVec<Run>> {
        let mut runs: KVVec<Run> = KVVec::new();
        for block in self.blocks.iter().filter(|block| !block.is_pinned()) {
            let (phys, node) = (block.phys(), block.node());
            match runs.as_mut_slice().last_mut() {
                Some(run) if run.phys + run.bytes == phys && run.node == node => {
                    run.bytes += LARGE_PAGE_BYTES;
                }
                _ => runs.push(
                    Run {
                        phys,
                        bytes: LARGE_PAGE_BYTES,
                        node,
                    },
                    GFP_KERNEL,
                )?,
            }
        }
        Ok(runs)
    }

    /// Takes all of `wanted` from Linux or nothing.
    ///
    /// # Errors
    ///
    /// EINVAL: empty, or not multiples of 2 MiB; ENOENT: a node without memory; ENOMEM: Linux has
    /// not that much to give.
    pub(crate) fn reserve(&mut self, wanted: &MemorySpec) -> Result {
        check(wanted)?;
        let total: u64 = wanted
            .bytes
            .iter()
            .fold(0, |sum, bytes| sum.saturating_add(*bytes));
        if total > pages::available_bytes() {
            return Err(ENOMEM);
        }
        let mut new = Self::new();
        for (node, count) in parts(wanted) {
            let mut part = Self::new();
            part.blocks = giants::claim(node, count)?;
            part.allocate(node, count.saturating_sub(part.blocks.len()))?;
            new.absorb(part)?;
        }
        self.absorb(new)
    }

    fn allocate(&mut self, node: u32, count: usize) -> Result {
        // Kept until the end, or Linux would hand out the same ones again.
        let mut refused: KVVec<Block> = KVVec::new();
        self.blocks.reserve(count, GFP_KERNEL)?;
        for _ in 0..count {
            loop {
                let block = Block::allocate(node).ok_or(ENOMEM)?;
                if block.phys() >= ZONE_DMA_END {
                    self.blocks.push(block, GFP_KERNEL)?;
                    break;
                }
                refused.push(block, GFP_KERNEL)?;
            }
        }
        Ok(())
    }

    /// Gives `wanted` back to Linux: all or, with ENOENT, nothing because this set has less.
    pub(crate) fn release(&mut self, wanted: &MemorySpec) -> Result {
        drop(self.split_off(wanted)?);
        Ok(())
    }

    /// Moves `wanted` to `target`: all or, with ENOENT, nothing because this set has less.
    pub(crate) fn move_to(&mut self, wanted: &MemorySpec, target: &mut Self) -> Result {
        target.blocks.reserve(self.blocks.len(), GFP_KERNEL)?;
        let moved = self.split_off(wanted)?;
        target.absorb(moved)
    }

    /// Moves everything to `target`.
    pub(crate) fn move_all_to(&mut self, target: &mut Self) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        self.move_to(&self.spec(), target)
    }

    /// Serves READ_MEMORY: copies the memory, seen as one piece, from `offset` on as far as there
    /// is room.
    pub(crate) fn copy_out(&self, offset: u64, answer: &mut Draft) -> Result {
        let mut skip = offset;
        for block in self.blocks.iter() {
            if skip >= LARGE_PAGE_BYTES {
                skip -= LARGE_PAGE_BYTES;
                continue;
            }
            let bytes = (LARGE_PAGE_BYTES - skip).min(answer.room());
            block.copy_out(skip as usize, bytes as usize, answer)?;
            skip = 0;
            if answer.room() == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Takes `wanted` out of this set: as many whole GiBs as it has room for, then what is in none; of
    /// these lowest addresses first, so that runs stay whole.
    fn split_off(&mut self, wanted: &MemorySpec) -> Result<Self> {
        check(wanted)?;
        let have = self.spec();
        if wanted
            .bytes
            .iter()
            .zip(&have.bytes)
            .any(|(wanted, have)| wanted > have)
        {
            return Err(ENOENT);
        }
        let mut taken = Self::new();
        let mut kept = Self::new();
        taken.blocks.reserve(self.blocks.len(), GFP_KERNEL)?;
        kept.blocks.reserve(self.blocks.len(), GFP_KERNEL)?;
        let choice = giants::choose(&self.blocks, wanted)?;
        for (block, is_chosen) in self.blocks.drain_all().zip(choice) {
            let side = if is_chosen { &mut taken } else { &mut kept };
            let _ = side.blocks.push_within_capacity(block);
        }
        *self = kept;
        Ok(taken)
    }

    /// Takes over all blocks of `other`. On an error `other` goes back to Linux.
    fn absorb(&mut self, mut other: Self) -> Result {
        self.blocks.reserve(other.blocks.len(), GFP_KERNEL)?;
        for block in other.blocks.drain_all() {
            let _ = self.blocks.push_within_capacity(block);
        }
        self.blocks.as_mut_slice().sort_unstable_by_key(Block::phys);
        Ok(())
    }
}

/// Nodes of `spec` with the number of blocks asked of each.
fn parts(spec: &MemorySpec) -> impl Iterator<Item = (u32, usize)> + '_ {
    (0..MAX_NODES as u32)
        .zip(&spec.bytes)
        .filter_map(|(node, &bytes)| {
            let count = usize::try_from(bytes / LARGE_PAGE_BYTES).ok()?;
            (count != 0).then_some((node, count))
        })
}

fn check(spec: &MemorySpec) -> Result {
    if spec.bytes.iter().all(|&bytes| bytes == 0)
        || spec.bytes.iter().any(|bytes| bytes % LARGE_PAGE_BYTES != 0)
    {
        return Err(EINVAL);
    }
    for (node, bytes) in (0..MAX_NODES as u32)
        .zip(&spec.bytes)
        .filter(|(_, bytes)| **bytes != 0)
    {
        match pages::node_bytes(node) {
            0 => return Err(ENOENT),
            present if *bytes > present => return Err(ENOMEM),
            _ => {}
        }
    }
    Ok(())
}
