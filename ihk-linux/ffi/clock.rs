// SPDX-License-Identifier: GPL-2.0
//! Linux's clocks: what they say, and hearing that one was set.

use super::{cpu, extra, notifier};
use crate::proto::clock::{Clocks, SHIFT};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;

/// What the clocks say now; how fast they go is what Linux measured when it booted.
pub(crate) fn now() -> Clocks {
    let (tsc, monotonic_ns) = cpu::clock_pair();
    // SAFETY: no requirement.
    let offset = unsafe { bindings::ktime_mono_to_any(0, bindings::tk_offsets_TK_OFFS_REAL) };
    Clocks {
        tsc,
        monotonic_ns,
        multiplier: nominal(),
        real_offset_ns: u64::try_from(offset).unwrap_or(0),
    }
}

/// Nanoseconds per tick, as Linux measured when it booted.
pub(crate) fn nominal() -> u64 {
    (1_000_000 << SHIFT) / cpu::tsc_khz().max(1)
}

/// Somebody who hears that a clock was set.
pub(crate) trait Hears {
    /// A clock was set. In an interrupt.
    fn clock_was_set();
}

/// While this lives, `T` hears.
pub(crate) struct Listener<T: Hears> {
    place: KBox<Place>,
    _who: PhantomData<T>,
}

#[repr(C)]
struct Place {
    // The first field: `on_update` finds the rest from its address.
    block: UnsafeCell<bindings::notifier_block>,
    interrupt: UnsafeCell<bindings::irq_work>,
}

// SAFETY: registering and unregistering may happen on different tasks.
unsafe impl<T: Hears> Send for Listener<T> {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl<T: Hears> Sync for Listener<T> {}

impl<T: Hears> Listener<T> {
    /// Registers it.
    pub(crate) fn register() -> Result<Self> {
        let block = bindings::notifier_block {
            notifier_call: Some(on_update),
            next: core::ptr::null_mut(),
            priority: 0,
        };
        // SAFETY: zeroes are interrupt work that is not queued (`IRQ_WORK_INIT`).
        let mut interrupt: bindings::irq_work = unsafe { core::mem::zeroed() };
        interrupt.func = Some(on_set::<T>);
        let place = Place {
            block: UnsafeCell::new(block),
            interrupt: UnsafeCell::new(interrupt),
        };
        let place = KBox::new(place, GFP_KERNEL)?;
        // SAFETY: the block stays where it is until `drop` has unregistered it.
        to_result(unsafe { extra::pvclock_gtod_register_notifier(place.block.get()) })?;
        Ok(Self {
            place,
            _who: PhantomData,
        })
    }
}

impl<T: Hears> Drop for Listener<T> {
    fn drop(&mut self) {
        // SAFETY: registered by `register`; nobody queues the interrupt work afterwards.
        unsafe { extra::pvclock_gtod_unregister_notifier(self.place.block.get()) };
        // SAFETY: it stays where it is; process context.
        unsafe { bindings::irq_work_sync(self.place.interrupt.get()) };
    }
}

/// Called at each update of the clocks, while Linux's own words about them must not be read: what is to be
/// done is put off until that is over.
///
/// # Safety
///
/// `block` is that of a [`Place`].
unsafe extern "C" fn on_update(
    block: *mut bindings::notifier_block,
    was_set: c_ulong,
    _timekeeper: *mut c_void,
) -> c_int {
    if was_set != 0 {
        // SAFETY: the caller's promise; the block is the first field.
        let place = unsafe { &*block.cast::<Place>() };
        // SAFETY: it stays where it is until it has run.
        unsafe { bindings::irq_work_queue(place.interrupt.get()) };
    }
    notifier::DONE
}

extern "C" fn on_set<T: Hears>(_interrupt: *mut bindings::irq_work) {
    T::clock_was_set();
}
