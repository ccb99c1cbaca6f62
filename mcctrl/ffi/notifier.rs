// SPDX-License-Identifier: GPL-2.0
//! Linux's own mappings in the window of a process: looking at them, and hearing of every change
//! before it happens (`mmu_interval_notifier`, `hmm_range_fault`, `follow_pfnmap_start`).

use super::extra;
use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use crate::proto::process::{caching, mirror as page_bits};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use kernel::{bindings, prelude::*, sync::Arc, task::Task};

/// Most pages of one look.
pub(crate) const BLOCK_PAGES: usize = 16;

/// A listener to changes.
pub(crate) trait IntervalOps: Send + Sync + Sized + 'static {
    /// The operations of its notifiers.
    fn operations() -> &'static IntervalOperations<Self>;

    /// Linux is about to change its mapping of [`start`, `end`), and goes on when this returns. `note`,
    /// called under the lock under which [`Notifier::has_changed`] is called, makes looks that began
    /// before start again. `false`: the caller must not sleep, and this would have to.
    fn invalidate(&self, start: u64, end: u64, may_sleep: bool, note: impl FnOnce()) -> bool;
}

/// Hears of changes in the window of one address space of Linux, until it is dropped.
pub(crate) struct Notifier<T: IntervalOps> {
    subscription: UnsafeCell<bindings::mmu_interval_notifier>,
    /// The listener that it tells.
    listener: Arc<T>,
}

// SAFETY: the subscription is made for use from any thread; the listener is `Send` and `Sync`.
unsafe impl<T: IntervalOps> Send for Notifier<T> {}
// SAFETY: as above.
unsafe impl<T: IntervalOps> Sync for Notifier<T> {}

/// Operations of notifiers that tell `T`s; they live in a static.
pub(crate) struct IntervalOperations<T>(bindings::mmu_interval_notifier_ops, PhantomData<fn(T)>);

// SAFETY: never written; Linux only reads it.
unsafe impl<T> Sync for IntervalOperations<T> {}

impl<T: IntervalOps> IntervalOperations<T> {
    /// The operations call `T`'s.
    pub(crate) const fn new() -> Self {
        let operations = bindings::mmu_interval_notifier_ops {
            invalidate: Some(on_invalidate::<T>),
            ..pin_init::zeroed()
        };
        Self(operations, PhantomData)
    }
}

impl<T: IntervalOps> Notifier<T> {
    /// Begins to hear of changes in [`start`, `+ bytes`) of the calling process. `listener` must
    /// keep the value no longer than its window is mapped, or neither is ever freed. ESRCH if the caller is
    /// no process.
    pub(crate) fn new(listener: Arc<T>, start: u64, bytes: u64) -> Result<Pin<KBox<Self>>> {
        // SAFETY: `current` is valid, and its address space is its own to read.
        let mm = unsafe { (*Task::current_raw()).mm };
        if mm.is_null() {
            return Err(ESRCH);
        }
        let new = Self {
            subscription: UnsafeCell::new(pin_init::zeroed()),
            listener,
        };
        let notifier = KBox::into_raw(KBox::new(new, GFP_KERNEL)?);
        // SAFETY: the address space is the caller's; the subscription stays where it is until it is
        // removed on drop, and the operations live for ever.
        let done = unsafe {
            bindings::mmu_interval_notifier_insert(
                (*notifier).subscription.get(),
                mm,
                start as c_ulong,
                bytes as c_ulong,
                &T::operations().0,
            )
        };
        if done == 0 {
            // SAFETY: it comes from `into_raw`.
            return Ok(KBox::into_pin(unsafe { KBox::from_raw(notifier) }));
        }
        // Not inserted, so dropping must not remove it: only its parts are dropped.
        // SAFETY: it comes from `into_raw`, and the wrapper has the same layout.
        let parts = unsafe { KBox::from_raw(notifier.cast::<ManuallyDrop<Self>>()) };
        // SAFETY: nobody reads the field again.
        drop(unsafe { core::ptr::read(&parts.listener) });
        Err(Error::from_errno(done))
    }

    /// Whether it hears of the calling process.
    pub(crate) fn is_of_current(&self) -> bool {
        // SAFETY: set once, by `new`; `current` is valid.
        unsafe { (*self.subscription.get()).mm == (*Task::current_raw()).mm }
    }

    fn mm(&self) -> *mut bindings::mm_struct {
        // SAFETY: set once, by `new`.
        unsafe { (*self.subscription.get()).mm }
    }

    /// Makes Linux map the page at `address`, as if the caller had touched it. EFAULT: there is none
    /// to be had, or no right to it, or the caller is another process; EINTR: it is being killed.
    pub(crate) fn touch(&self, address: u64, write: bool) -> Result {
        if !self.is_of_current() {
            return Err(EFAULT);
        }
        let access = if write {
            bindings::fault_flag_FAULT_FLAG_WRITE
        } else {
            0
        };
        let mut unlocked = false;
        // SAFETY: the calling process's own address space, as was just seen, with its lock held around.
        let done = unsafe {
            bindings::mmap_read_lock(self.mm());
            let done = bindings::fixup_user_fault(
                self.mm(),
                address as c_ulong,
                access as c_uint,
                &mut unlocked,
            );
            bindings::mmap_read_unlock(self.mm());
            done
        };
        kernel::error::to_result(done)
    }

    /// The beginning of a look: changes that are under way end first. Sleeps.
    pub(crate) fn begin(&self) -> Sequence {
        // SAFETY: the subscription is inserted.
        Sequence(unsafe { bindings::mmu_interval_read_begin(self.subscription.get()) })
    }

    /// Whether something has changed since `begin`. Under the lock that [`IntervalOps::invalidate`]
    /// takes around the step it is given.
    pub(crate) fn has_changed(&self, since: Sequence) -> bool {
        // SAFETY: set up by `new`; one word, which Linux changes as a whole, read once.
        unsafe {
            core::ptr::addr_of!((*self.subscription.get()).invalidate_seq).read_volatile()
                != since.0
        }
    }

    /// Returns what is mapped from `start` on, seen from the page at `touched`: pages of a device
    /// if that is one, else pages of memory. EBUSY: it has changed since `since`.
    pub(crate) fn look(&self, start: u64, touched: u64, since: Sequence) -> Result<Found> {
        match self.look_at_device(start, touched) {
            Some(pages) => Ok(Found {
                pages,
                is_device: true,
            }),
            None => Ok(Found {
                pages: self.look_at_memory(start, since)?,
                is_device: false,
            }),
        }
    }

    /// `None` if what is mapped at `touched` is memory, or nothing.
    fn look_at_device(&self, start: u64, touched: u64) -> Option<[u64; BLOCK_PAGES]> {
        const DEVICE: c_ulong = bindings::VM_IO | bindings::VM_PFNMAP;
        // SAFETY: the lock of the address space is held around everything that is done with the area.
        unsafe {
            bindings::mmap_read_lock(self.mm());
            let area = bindings::vma_lookup(self.mm(), touched as c_ulong);
            let is_device = !area.is_null() && (*area).__bindgen_anon_2.vm_flags & DEVICE != 0;
            let pages = is_device.then(|| {
                core::array::from_fn(|index| {
                    device_page(area, start.saturating_add(index as u64 * PAGE_BYTES))
                })
            });
            bindings::mmap_read_unlock(self.mm());
            pages
        }
    }

    fn look_at_memory(&self, start: u64, since: Sequence) -> Result<[u64; BLOCK_PAGES]> {
        let mut found: [c_ulong; BLOCK_PAGES] = [0; BLOCK_PAGES];
        let mut range = extra::hmm_range {
            notifier: self.subscription.get().cast(),
            notifier_seq: since.0,
            start: start as c_ulong,
            end: start.saturating_add(BLOCK_PAGES as u64 * PAGE_BYTES) as c_ulong,
            hmm_pfns: found.as_mut_ptr(),
            ..Default::default()
        };
        // SAFETY: the range describes `found`, and the lock of the address space is held around.
        let done = unsafe {
            bindings::mmap_read_lock(self.mm());
            let done = extra::hmm_range_fault(&mut range);
            bindings::mmap_read_unlock(self.mm());
            done
        };
        kernel::error::to_result(done)?;
        Ok(found.map(|entry| page_of(entry as u64)))
    }
}

impl<T: IntervalOps> Drop for Notifier<T> {
    fn drop(&mut self) {
        // SAFETY: it was inserted by `new`. Sleeps until no call of `on_invalidate` is under way.
        unsafe { bindings::mmu_interval_notifier_remove(self.subscription.get()) };
    }
}

/// The pages that [`Notifier::look`] found.
pub(crate) struct Found {
    /// Addresses of pages with [`page_bits`], 0 = nothing.
    pub(crate) pages: [u64; BLOCK_PAGES],
    /// They are no memory: nobody keeps count of what is dirty.
    pub(crate) is_device: bool,
}

/// The moment of a [`Notifier::begin`], as a number.
#[derive(Clone, Copy)]
pub(crate) struct Sequence(c_ulong);

/// An entry of `hmm_range_fault` as it goes to the co-kernel.
fn page_of(entry: u64) -> u64 {
    const VALID: u64 = extra::hmm_pfn_flags_HMM_PFN_VALID as u64;
    const WRITE: u64 = extra::hmm_pfn_flags_HMM_PFN_WRITE as u64;
    const ERROR: u64 = extra::hmm_pfn_flags_HMM_PFN_ERROR as u64;
    const FLAGS: u64 = extra::hmm_pfn_flags_HMM_PFN_FLAGS as u64;
    if entry & (VALID | ERROR) != VALID {
        return 0;
    }
    let write = if entry & WRITE != 0 {
        page_bits::WRITE
    } else {
        0
    };
    (entry & !FLAGS).wrapping_mul(PAGE_BYTES) | page_bits::PRESENT | write
}

/// The word by which the co-kernel learns of a page of a device; 0 if none is mapped at `address`,
/// or `area` ends before it.
///
/// # Safety
///
/// The mmap lock of the area is held.
unsafe fn device_page(area: *mut bindings::vm_area_struct, address: u64) -> u64 {
    let mut look = bindings::follow_pfnmap_args {
        vma: area,
        address: address as c_ulong,
        ..Default::default()
    };
    // SAFETY: the lock keeps the area. Linux checks that the address lies in it.
    if unsafe { bindings::follow_pfnmap_start(&mut look) } != 0 {
        return 0;
    }
    let is_large = look.addr_mask as u64 & LARGE_PAGE_BYTES / 2 == 0;
    let caching = caching::index_of(look.pgprot.pgprot as u64, is_large);
    let write = if look.writable { page_bits::WRITE } else { 0 };
    let page = (look.pfn as u64).wrapping_mul(PAGE_BYTES)
        | page_bits::PRESENT
        | write
        | caching << page_bits::CACHING_SHIFT;
    // SAFETY: ends what was begun above.
    unsafe { bindings::follow_pfnmap_end(&mut look) };
    page
}

/// # Safety
///
/// Called by Linux for a subscription of a [`Notifier<T>`], before it changes what it has mapped.
unsafe extern "C" fn on_invalidate<T: IntervalOps>(
    subscription: *mut bindings::mmu_interval_notifier,
    range: *const bindings::mmu_notifier_range,
    sequence: c_ulong,
) -> bool {
    // SAFETY: subscriptions are the field of a `Notifier<T>`, which is removed before it is freed.
    let listener = unsafe {
        let notifier = kernel::container_of!(
            subscription.cast::<UnsafeCell<bindings::mmu_interval_notifier>>(),
            Notifier<T>,
            subscription
        );
        &(*notifier).listener
    };
    // SAFETY: Linux passes a valid description.
    let (start, end, flags) = unsafe { ((*range).start, (*range).end, (*range).flags) };
    let may_sleep = flags & bindings::MMU_NOTIFIER_RANGE_BLOCKABLE != 0;
    listener.invalidate(start as u64, end as u64, may_sleep, || {
        // SAFETY: under the lock that `has_changed` is called under.
        unsafe {
            core::ptr::addr_of_mut!((*subscription).invalidate_seq).write_volatile(sequence);
        }
    })
}
