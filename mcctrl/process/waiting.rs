// SPDX-License-Identifier: GPL-2.0
//! Workers that sleep until the program asks something (WAIT), and the way back (RING). Hops 4a and 8a of a
//! delegated call.

use crate::ffi::errno;
use crate::ffi::wait::{Deadline, Until, Woken};
use crate::process::proxy::Proxy;
use crate::proto::packet::ToCokernel;
use crate::proto::slot::{MAX_SLOTS, SLOTS_PER_PAGE};
use crate::proto::uapi::Wait;
use kernel::prelude::*;

/// Sleeps until the ASLEEP flag of the slot is cleared. The flag is looked at after the task has
/// queued itself, and the co-kernel rings after it has cleared it, so no request is slept through.
/// EINTR for a signal, ETIMEDOUT, ESHUTDOWN if the instance died.
pub(crate) fn wait(proxy: &Proxy, wait: Wait) -> Result {
    let slot = wait.slot as usize;
    let worker = proxy.workers.get(slot).ok_or(EINVAL)?;
    let deadline = (wait.limit_us != 0).then(|| Deadline::after_us(wait.limit_us));
    loop {
        let mut look = Look::Asleep;
        let is_woken = || {
            look = look_at(proxy, slot);
            look != Look::Asleep
        };
        let woken = match deadline {
            Some(deadline) => worker.wait_precisely(Until::Signal, deadline, is_woken),
            None => worker.wait(Until::Signal, None, is_woken),
        };
        match (woken, look) {
            (_, Look::Awake) => return Ok(()),
            (_, Look::Gone) => return Err(errno::shutdown()),
            (Woken::Signal, _) => return Err(EINTR),
            (Woken::Timeout, _) => return Err(ETIMEDOUT),
            _ => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Asleep,
    Awake,
    Gone,
}

/// Does not sleep: the caller is about to. Access by an instance is revoked by `detach` only.
fn look_at(proxy: &Proxy, slot: usize) -> Look {
    let Some(guard) = proxy.instance.memory.try_access() else {
        return Look::Gone;
    };
    let partition = guard.partition();
    let page = proxy.slots(slot / SLOTS_PER_PAGE);
    let slots = page.and_then(|page| partition.slots(page));
    match slots.and_then(|slots| slots.get(slot % SLOTS_PER_PAGE)) {
        Some(slot) if slot.is_asleep() => Look::Asleep,
        Some(_) => Look::Awake,
        None => Look::Gone,
    }
}

/// Tells the co-kernel that the answer in slot `slot` is there.
pub(crate) fn ring(proxy: &Proxy, slot: usize) -> Result {
    let slot = u32::try_from(slot)
        .ok()
        .filter(|slot| (*slot as usize) < MAX_SLOTS)
        .ok_or(EINVAL)?;
    proxy.tell(|process| ToCokernel::WakeThread { process, slot })
}
