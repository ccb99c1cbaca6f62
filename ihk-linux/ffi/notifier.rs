// SPDX-License-Identifier: GPL-2.0
//! Hearing that Linux panics, reboots or suspends.

use super::extra;
use core::cell::UnsafeCell;
use core::ptr::addr_of_mut;
use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;

/// The events that Linux tells about.
#[derive(Clone, Copy)]
pub(crate) enum Chain {
    /// Linux panics. The callback runs with interrupts off and must not sleep.
    Panic,
    /// Reboot, halt, power-off, kexec. Process context.
    Reboot,
    /// Suspend and hibernation, with the event's number. Process context.
    Power,
}

/// Called with the event; returns one of Linux's NOTIFY_ values.
pub(crate) type Function = unsafe extern "C" fn(
    block: *mut bindings::notifier_block,
    event: c_ulong,
    data: *mut c_void,
) -> c_int;

/// Nothing to say.
pub(crate) const DONE: c_int = bindings::NOTIFY_DONE as c_int;
/// Refused.
pub(crate) const BAD: c_int = bindings::NOTIFY_BAD as c_int;
/// Event of [`Chain::Power`]: about to suspend.
pub(crate) const SUSPEND: c_ulong = bindings::PM_SUSPEND_PREPARE as c_ulong;
/// Event of [`Chain::Power`]: about to hibernate.
pub(crate) const HIBERNATE: c_ulong = bindings::PM_HIBERNATION_PREPARE as c_ulong;

/// A registered callback.
pub(crate) struct Notifier {
    chain: Chain,
    block: KBox<UnsafeCell<bindings::notifier_block>>,
}

// SAFETY: registering and unregistering may happen on different tasks.
unsafe impl Send for Notifier {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Notifier {}

impl Notifier {
    /// Registers `function` with `chain`.
    pub(crate) fn register(chain: Chain, function: Function) -> Result<Self> {
        let block = bindings::notifier_block {
            notifier_call: Some(function),
            next: core::ptr::null_mut(),
            priority: 0,
        };
        let block = KBox::new(UnsafeCell::new(block), GFP_KERNEL)?;
        // SAFETY: the block stays where it is until `drop` has unregistered it.
        to_result(unsafe {
            match chain {
                Chain::Panic => bindings::atomic_notifier_chain_register(
                    addr_of_mut!(extra::panic_notifier_list),
                    block.get(),
                ),
                Chain::Reboot => extra::register_reboot_notifier(block.get()),
                Chain::Power => bindings::register_pm_notifier(block.get()),
            }
        })?;
        Ok(Self { chain, block })
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        let block = self.block.get();
        // SAFETY: registered by `register`.
        unsafe {
            match self.chain {
                Chain::Panic => bindings::atomic_notifier_chain_unregister(
                    addr_of_mut!(extra::panic_notifier_list),
                    block,
                ),
                Chain::Reboot => extra::unregister_reboot_notifier(block),
                Chain::Power => bindings::unregister_pm_notifier(block),
            };
        }
    }
}
