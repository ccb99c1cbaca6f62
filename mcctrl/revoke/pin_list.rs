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
pub(crate) struct Pins(KVec<Pin>);

impl Pins {
    /// None.
    pub(crate) const fn new() -> Self {
        Self(KVec::new())
    }

    /// `frame`, revoked from the address space of `proxy`, waits.
    pub(crate) fn add(&mut self, proxy: &Arc<Proxy>, frame: u32) {
        if self
            .0
            .push(
                Pin {
                    proxy: proxy.clone(),
                    frame,
                },
                GFP_KERNEL,
            )
            .is_err()
        {
            pr_warn!(
                "os {}: no memory to watch frame {}: it counts as pinned from now on\n",
                proxy.instance.os,
                frame
            );
        }
    }

    /// Takes all of them.
    pub(super) fn take(&mut self) -> KVec<Pin> {
        core::mem::take(&mut self.0)
    }

    /// `waiting`, which came from [`Self::take`], wait on.
    pub(super) fn put_back(&mut self, waiting: KVec<Pin>) {
        if self.0.is_empty() {
            self.0 = waiting;
        } else {
            for pin in waiting {
                self.add(&pin.proxy, pin.frame);
            }
        }
    }

    /// Whether frames wait.
    pub(crate) fn is_watching(&self) -> bool {
        !self.0.is_empty()
    }

    /// The instance is gone, and its partition with it.
    pub(crate) fn forget_all(&mut self) {
        self.0 = KVec::new();
    }
}
