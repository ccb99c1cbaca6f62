// SPDX-License-Identifier: GPL-2.0
//! The lists of blocks with something free: one for each kind of block and node, doubly linked by block numbers.

use super::Frames;
use crate::block::{Block, Kind, NONE};

impl Frames {
    /// The blocks of a list from `head` on.
    pub(super) fn list(&self, head: u32) -> impl Iterator<Item = (u32, &Block)> {
        let mut number = head;
        core::iter::from_fn(move || {
            let block = self.blocks.get(number as usize)?;
            let this = core::mem::replace(&mut number, block.next);
            Some((this, block))
        })
    }

    /// Changes a block and moves it to the list where it then belongs.
    pub(super) fn change<R>(&mut self, number: u32, change: impl FnOnce(&mut Block) -> R) -> R {
        let block = &mut self.blocks[number as usize];
        let (old_kind, old_zeros) = (block.kind(), block.zeros);
        let result = change(block);
        let (new_kind, new_zeros) = (block.kind(), block.zeros);
        let node = &mut self.nodes[block.node as usize];
        node.zeros = node.zeros + u64::from(new_zeros) - u64::from(old_zeros);
        if node.lacks_zeros() {
            self.to_clean |= 1 << block.node;
        }
        if old_kind == new_kind || self.held == number {
            return result;
        }
        if let Some(kind) = old_kind {
            self.unlink(number, kind);
        }
        if let Some(kind) = new_kind {
            self.link(number, kind);
        }
        result
    }

    pub(super) fn link(&mut self, number: u32, kind: Kind) {
        let Block { node, giant, .. } = self.blocks[number as usize];
        if kind != Kind::Partial {
            self.nodes[node as usize].whole_blocks += 1;
            self.giants.block_came(giant);
        }
        let list = self.blocks[number as usize].list(kind);
        let head = &mut self.nodes[node as usize].heads[list];
        let next = core::mem::replace(head, number);
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.previous = number;
        }
        let block = &mut self.blocks[number as usize];
        (block.previous, block.next) = (NONE, next);
    }

    pub(super) fn unlink(&mut self, number: u32, kind: Kind) {
        let Block {
            next,
            previous,
            node,
            giant,
            ..
        } = self.blocks[number as usize];
        if kind != Kind::Partial {
            self.nodes[node as usize].whole_blocks -= 1;
            self.giants.block_went(giant);
        }
        let list = self.blocks[number as usize].list(kind);
        match self.blocks.get_mut(previous as usize) {
            Some(block) => block.next = next,
            None => self.nodes[node as usize].heads[list] = next,
        }
        if let Some(block) = self.blocks.get_mut(next as usize) {
            block.previous = previous;
        }
    }
}
