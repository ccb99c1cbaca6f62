// SPDX-License-Identifier: GPL-2.0
//! Access to the partition: who may touch it, and when. This is not the revocation of pages
//! (`revoke/mod.rs`), which only uses it. There is one [`Revocable`] per instance
//! (creation of processes, looks at slots) and one per address space (faults share access, revocations
//! have it exclusively).
//!
//! Access that was revoked is never given again. `detach` revokes all access to the instance, so
//! whatever is done with access is done to an attached instance.
//!
//! Lock order, outermost first:
//! 1. notifier of a mirror (held while Linux's pages are looked at)
//! 2. mmap lock or area lock (Linux takes it before a fault)
//! 3. access by the instance
//! 4. `Instance::creating`
//! 5. access by an address space
//! 6. Linux's own: i_mmap lock, page table locks
//! 7. `Mirror::dropping` (a change of Linux's mapping waits for the co-kernel); `Instance::pins` and
//!    `Instance::file_versions`, with nothing but short locks under them
//! 8. with interrupts off: the table of instances, `Instance::proxies`, then any one of request
//!    table, revocation queue, wait queue, `Instance::looking`, `Mirror::shown`
//!
//! Nobody waits for the co-kernel with access by an address space, or with a lock of Linux held that
//! could be dropped.

use crate::ffi::ihk::Partition;
use crate::ffi::rwsem::{ReadGuard, RwSem, WriteGuard};
use crate::ffi::window_file::Mapping;
use kernel::{fs::file::File, prelude::*, sync::aref::ARef};

/// The state that the semaphore guards.
struct Accessible {
    /// Access has not been revoked.
    is_attached: bool,
    /// The window's mapping while its file is open; none for that of an instance.
    mapping: Option<Mapping>,
}

/// Access to a partition that can be revoked; see the module documentation. As Linux's `Revocable`, but
/// whoever waits for it sleeps.
#[pin_data]
pub(crate) struct Revocable {
    os: u32,
    #[pin]
    state: RwSem<Accessible>,
}

impl Revocable {
    /// Access to the partition of `os`, which must be attached.
    pub(crate) fn new(os: u32) -> impl PinInit<Self> {
        pin_init!(Self {
            os,
            state <- RwSem::new(
                Accessible { is_attached: true, mapping: None },
                c"mcctrl access",
                kernel::static_lock_class!()
            ),
        })
    }

    /// Shared access. Sleeps while somebody has it exclusively. `None`: revoked.
    pub(crate) fn access(&self) -> Option<Access<'_>> {
        let state = self.state.read();
        state.is_attached.then_some(Access {
            os: self.os,
            _state: state,
        })
    }

    /// As [`Self::access`], but `None` also if it would have to sleep.
    pub(crate) fn try_access(&self) -> Option<Access<'_>> {
        let state = self.state.try_read()?;
        state.is_attached.then_some(Access {
            os: self.os,
            _state: state,
        })
    }

    /// Exclusive access: nobody maps anything meanwhile. Sleeps. `None`: revoked.
    pub(crate) fn access_exclusively(&self) -> Option<ExclusiveAccess<'_>> {
        let state = self.state.write();
        state
            .is_attached
            .then_some(ExclusiveAccess { os: self.os, state })
    }

    /// Drops what is mapped of [`start`, `+ bytes`) of the window; for callers that keep faults
    /// away by other means.
    pub(crate) fn zap(&self, start: u64, bytes: u64) {
        if let Some(mapping) = &self.state.read().mapping {
            mapping.zap(start, bytes);
        }
    }

    /// The window's file is open.
    pub(crate) fn set_mapping(&self, mapping: Mapping) {
        self.state.write().mapping = Some(mapping);
    }

    /// The window's file, unless it is being released or has been.
    pub(crate) fn window_file(&self) -> Option<ARef<File>> {
        self.state.read().mapping.as_ref()?.file()
    }

    /// The window's file is being released.
    pub(crate) fn drop_mapping(&self) {
        self.state.write().mapping = None;
    }

    /// Revokes access and drops everything that is mapped.
    pub(crate) fn revoke(&self) {
        let mut state = self.state.write();
        state.is_attached = false;
        if let Some(mapping) = &state.mapping {
            mapping.zap(0, 0);
        }
    }
}

/// Access beside others.
pub(crate) struct Access<'a> {
    os: u32,
    _state: ReadGuard<'a, Accessible>,
}

impl Access<'_> {
    /// The partition, for as long as we have access.
    pub(crate) fn partition(&self) -> Partition<'_> {
        // SAFETY: the instance was attached when we got access, and `detach` revokes it, which
        // waits for us.
        unsafe { Partition::assume_attached(self.os) }
    }
}

/// Access that nobody shares.
pub(crate) struct ExclusiveAccess<'a> {
    os: u32,
    state: WriteGuard<'a, Accessible>,
}

impl ExclusiveAccess<'_> {
    /// The partition, for as long as we have access.
    pub(crate) fn partition(&self) -> Partition<'_> {
        // SAFETY: as for `Access::partition`.
        unsafe { Partition::assume_attached(self.os) }
    }

    /// Drops what is mapped of [`start`, `+ bytes`) of the window.
    pub(crate) fn zap(&self, start: u64, bytes: u64) {
        if let Some(mapping) = &self.state.mapping {
            mapping.zap(start, bytes);
        }
    }
}
