// SPDX-License-Identifier: GPL-2.0
//! Frames that were revoked while somebody still held them (DMA under way, registered buffers,
//! pipes). Their exposed bits stay set, so the co-kernel does not reuse them; the bits are cleared
//! when they are let go.

use crate::ffi::page::Hold;
use crate::instance::Instance;
use crate::proto::packet::ToCokernel;
use crate::proxy::Proxy;
use kernel::{prelude::*, sync::Arc};

struct Pin {
    proxy: Arc<Proxy>,
    frame: u32,
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
                "os {}: no memory to watch frame {}: it stays in quarantine\n",
                proxy.instance.os,
                frame
            );
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

/// Clears the bits of frames that were let go. `true` if some still wait.
pub(crate) fn recheck(instance: &Instance) -> bool {
    let mut waiting = core::mem::take(&mut instance.pins.lock().0);
    let before = waiting.len();
    waiting.retain(|pin| !settle(instance, pin));
    if waiting.len() < before {
        // An error means that the instance is gone, and its quarantine with it.
        let _ = instance.send(0, &ToCokernel::RevokeDone { token: 0 });
    }
    let mut pins = instance.pins.lock();
    if pins.0.is_empty() {
        pins.0 = waiting;
    } else {
        for pin in waiting {
            pins.add(&pin.proxy, pin.frame);
        }
    }
    pins.is_watching()
}

/// Whether `pin` needs no more watching. Alone in the address space: else a fault might map the
/// frame between the look and the clearing of its bit.
fn settle(instance: &Instance, pin: &Pin) -> bool {
    let Some(alone) = pin.proxy.gate.enter_alone() else {
        return true;
    };
    let partition = alone.partition();
    let Some(frame) = partition.frame_by_number(pin.frame) else {
        return true;
    };
    instance.conceal_if_free(&partition, frame) != Hold::Pinned
}
