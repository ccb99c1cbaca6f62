// SPDX-License-Identifier: GPL-2.0
//! Files that a program has mapped privately, kept open under the numbers by which the co-kernel asks
//! for their pages, until it says that no mapping is left, or the window goes. A number means the same
//! file in a child of fork; a child of vfork, which has its parent's mappings, has the same table.

use crate::ffi::irq_lock::IrqLock;
use crate::ffi::source::Source;
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::Arc,
};

/// The files of one address space.
pub(crate) struct MappedFiles(IrqLock<Table>);

struct Table {
    open: RBTree<u32, Source>,
    count: usize,
    /// The last number given out.
    last: u32,
}

impl MappedFiles {
    /// None.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let table = Table {
            open: RBTree::new(),
            count: 0,
            last: 0,
        };
        Ok(Arc::new(Self(IrqLock::new(table)), GFP_KERNEL)?)
    }

    /// Keeps `source` open; its number. ENOMEM, ENFILE: all numbers were used.
    pub(crate) fn add(&self, source: Source) -> Result<u32> {
        let place = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut table = self.0.lock();
        let number = table.last.checked_add(1).ok_or(ENFILE)?;
        table.last = number;
        table.insert(place, number, source);
        Ok(number)
    }

    /// The file of number `number`.
    pub(crate) fn get(&self, number: u32) -> Option<Source> {
        self.0.lock().open.get(&number).cloned()
    }

    /// Closes the file of number `number`. Any context.
    pub(crate) fn remove(&self, number: u32) {
        let mut table = self.0.lock();
        let closed = table.open.remove(&number);
        table.count = table.count.saturating_sub(usize::from(closed.is_some()));
        drop(table);
        // With interrupts on again if they were on before.
        drop(closed);
    }

    /// Returns a table of the same files under the same numbers. Sleeps.
    pub(crate) fn duplicate(&self) -> Result<Arc<Self>> {
        let copy = Self::new()?;
        let mut places = KVVec::new();
        loop {
            let count = self.0.lock().count;
            while places.len() < count {
                places.push(RBTreeNodeReservation::new(GFP_KERNEL)?, GFP_KERNEL)?;
            }
            let from = self.0.lock();
            if from.count > places.len() {
                continue;
            }
            let mut to = copy.0.lock();
            to.last = from.last;
            for (number, source) in from.open.iter() {
                if let Some(place) = places.pop() {
                    to.insert(place, *number, source.clone());
                }
            }
            break;
        }
        Ok(copy)
    }
}

impl Table {
    fn insert(&mut self, place: RBTreeNodeReservation<u32, Source>, number: u32, source: Source) {
        // Numbers are given out once, so nothing is replaced.
        drop(self.open.insert(place.into_node(number, source)));
        self.count = self.count.saturating_add(1);
    }
}
