// SPDX-License-Identifier: GPL-2.0
//! Looking after frames that were revoked while somebody still held them. Their exposed bits stay
//! set, so the co-kernel does not reuse them; the bits are cleared when they are let go.

use super::pin_list::Pin;
use crate::ffi::page::Hold;
use crate::process::instance::Instance;
use crate::proto::packet::{ToCokernel, PINS_LET_GO};

/// Clears the bits of frames that were let go. `true` if some still wait.
pub(crate) fn recheck(instance: &Instance) -> bool {
    let mut waiting = instance.pins.lock().take();
    let before = waiting.len();
    waiting.retain(|pin| !settle(instance, pin));
    if waiting.len() < before {
        // An error means that the instance is gone, and its pinned frames with it.
        let _ = instance.send(0, &ToCokernel::RevokeDone { token: PINS_LET_GO });
    }
    let mut pins = instance.pins.lock();
    pins.put_back(waiting);
    pins.is_watching()
}

/// Whether `pin` needs no more watching. With exclusive access: else a fault might map the
/// frame between the look and the clearing of its bit.
fn settle(instance: &Instance, pin: &Pin) -> bool {
    let Some(access) = pin.proxy.memory.access_exclusively() else {
        return true;
    };
    let partition = access.partition();
    let Some(frame) = partition.frame_by_number(pin.frame) else {
        return true;
    };
    instance.conceal_if_free(&partition, frame) != Hold::Pinned
}
