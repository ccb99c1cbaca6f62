// SPDX-License-Identifier: GPL-2.0
//! Looking after frames that were revoked while somebody still held them. Their exposed bits stay
//! set, so the co-kernel does not reuse them; the bits are cleared when they are let go.

use super::pin_list::Pin;
use crate::ffi::page::Hold;
use crate::process::instance::Instance;
use crate::process::proxy::Proxy;
use crate::proto::packet::{ToCokernel, PINS_LET_GO};
use kernel::prelude::*;

/// Frames that may wait for one user, 64 MiB, before Linux sees single pages of the user's programs only. Twice
/// as many, and no program begins any more.
const MOST_HELD: usize = 16_384;
/// The administrator's user, who may anyhow.
const ROOT: u32 = 0;

/// Charges the user of `proxy`, which is about to begin, with what waits for it. EAGAIN if that is too much.
pub(crate) fn charge(proxy: &Proxy) -> Result {
    let held = match proxy.user {
        ROOT => 0,
        user => proxy.instance.pins.lock().held_by(user),
    };
    proxy.show_single_pages(held > MOST_HELD);
    if held > 2 * MOST_HELD {
        Err(EAGAIN)
    } else {
        Ok(())
    }
}

/// Does so for those that run, after something was revoked or let go.
pub(super) fn charge_all(instance: &Instance) {
    instance.for_each_proxy(|proxy| {
        // Those that run go on.
        let _ = charge(proxy);
    });
}

/// Clears the bits of frames that were let go. `true` if some still wait.
pub(crate) fn recheck(instance: &Instance) -> bool {
    let mut waiting = instance.pins.lock().take();
    let before = waiting.len();
    waiting.retain(|pin| !settle(instance, pin));
    if waiting.len() < before {
        // An error means that the instance is gone, and its pinned frames with it.
        let _ = instance.send(0, &ToCokernel::RevokeDone { token: PINS_LET_GO });
    }
    let some_wait = {
        let mut pins = instance.pins.lock();
        pins.put_back(waiting);
        pins.is_watching()
    };
    if before != 0 {
        charge_all(instance);
    }
    some_wait
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
