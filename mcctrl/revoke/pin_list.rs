// SPDX-License-Identifier: GPL-2.0
//! Frames that were revoked while somebody still held them (DMA under way, registered buffers,
//! pipes): which wait, and who had them.

use crate::process::proxy::Proxy;
use kernel::{prelude::*, sync::Arc};

/// A frame that waits.
pub(super) struct Pin {
    pub(super) proxy: Arc<Proxy>,
    pub(super) frame: u32,
}

/// The frames of one instance that wait.
pub(crate) struct Pins {
    waiting: KVec<Pin>,
    /// How many wait for each user, also while they are taken.
    held: KVec<(u32, usize)>,
}

impl Pins {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            waiting: KVec::new(),
            held: KVec::new(),
        }
    }

    /// `frame`, revoked from the address space of `proxy`, waits.
    pub(crate) fn add(&mut self, proxy: &Arc<Proxy>, frame: u32) {
        let pin = Pin {
            proxy: proxy.clone(),
            frame,
        };
        if self.waiting.push(pin, GFP_KERNEL).is_err() {
            pr_warn!(
                "os {}: no memory to watch frame {}: it counts as pinned from now on\n",
                proxy.instance.os,
                frame
            );
        } else {
            self.charge(proxy.user);
        }
    }

    /// One frame more waits for `user`.
    fn charge(&mut self, user: u32) {
        match self.held.iter_mut().find(|(who, _)| *who == user) {
            Some((_, count)) => *count += 1,
            // Without memory it is charged when it is looked at again.
            None => drop(self.held.push((user, 1), GFP_KERNEL)),
        }
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> KVec<Pin> {
        core::mem::take(&mut self.waiting)
    }

    /// `waiting`, which came from [`Self::take`], wait on.
    pub(super) fn put_back(&mut self, waiting: KVec<Pin>) {
        if self.waiting.is_empty() {
            self.waiting = waiting;
        } else {
            for pin in waiting {
                self.add(&pin.proxy, pin.frame);
            }
        }
        self.held = KVec::new();
        for index in 0..self.waiting.len() {
            if let Some(user) = self.waiting.get(index).map(|pin| pin.proxy.user) {
                self.charge(user);
            }
        }
    }

    /// How many frames wait that `user` has pinned, or that lie beside what it has pinned: Linux counts pins of
    /// a folio, not of its pages, so all that it could have seen wait.
    pub(super) fn held_by(&self, user: u32) -> usize {
        let found = self.held.iter().find(|(who, _)| *who == user);
        found.map_or(0, |(_, count)| *count)
    }

    /// Whether frames wait.
    pub(crate) fn is_watching(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The instance is gone, and its partition with it.
    pub(crate) fn forget_all(&mut self) {
        *self = Self::new();
    }
}
