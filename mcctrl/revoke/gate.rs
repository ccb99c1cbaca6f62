// SPDX-License-Identifier: GPL-2.0
//! Gates: who may touch the partition, and when. There is one gate per instance (creation of
//! processes, looks at slots) and one per address space (faults inside, revocations alone).
//!
//! A gate that was closed never opens again. `detach` closes every gate of the instance, so
//! whatever is done inside a gate is done to an attached instance.
//!
//! Lock order, outermost first:
//! 1. notifier of a mirror (held while Linux's pages are looked at)
//! 2. mmap lock or area lock (Linux takes it before a fault)
//! 3. gate of the instance
//! 4. `Instance::creating`
//! 5. gate of an address space
//! 6. Linux's own: i_mmap lock, page table locks
//! 7. `Mirror::dropping` (a change of Linux's mapping waits for the co-kernel)
//! 8. with interrupts off: the table of instances, `Instance::proxies`, then any one of request
//!    table, revocation queue, wait queue, `Instance::looking`, `Mirror::shown`
//!
//! Nobody waits for the co-kernel inside the gate of an address space, or with a lock of Linux
//! held that could be dropped.

use crate::ffi::ihk::Partition;
use crate::ffi::rwsem::{ReadGuard, RwSem, WriteGuard};
use crate::ffi::window_file::Mapping;
use kernel::{fs::file::File, prelude::*, sync::aref::ARef};

/// What a gate guards.
struct Yard {
    open: bool,
    /// The window's mapping while its file is open; none for the gate of an instance.
    mapping: Option<Mapping>,
}

/// A gate; see the module documentation.
#[pin_data]
pub(crate) struct Gate {
    os: u32,
    #[pin]
    yard: RwSem<Yard>,
}

impl Gate {
    /// An open gate to the partition of `os`, which must be attached.
    pub(crate) fn new(os: u32) -> impl PinInit<Self> {
        pin_init!(Self {
            os,
            yard <- RwSem::new(Yard { open: true, mapping: None }, c"mcctrl gate", kernel::static_lock_class!()),
        })
    }

    /// Goes in, beside others. Sleeps while somebody is alone inside. `None`: closed for good.
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        let yard = self.yard.read();
        yard.open.then_some(Inside {
            os: self.os,
            _yard: yard,
        })
    }

    /// As [`Self::enter`], but `None` also if it would have to sleep.
    pub(crate) fn try_enter(&self) -> Option<Inside<'_>> {
        let yard = self.yard.try_read()?;
        yard.open.then_some(Inside {
            os: self.os,
            _yard: yard,
        })
    }

    /// Goes in alone: nobody maps anything meanwhile. Sleeps. `None`: closed for good.
    pub(crate) fn enter_alone(&self) -> Option<Alone<'_>> {
        let yard = self.yard.write();
        yard.open.then_some(Alone { os: self.os, yard })
    }

    /// Drops what is mapped of [`start`, `+ bytes`) of the window; for callers that keep faults
    /// away by other means.
    pub(crate) fn zap(&self, start: u64, bytes: u64) {
        if let Some(mapping) = &self.yard.read().mapping {
            mapping.zap(start, bytes);
        }
    }

    /// The window's file is open.
    pub(crate) fn set_mapping(&self, mapping: Mapping) {
        self.yard.write().mapping = Some(mapping);
    }

    /// The window's file, unless it is being released or has been.
    pub(crate) fn window_file(&self) -> Option<ARef<File>> {
        self.yard.read().mapping.as_ref()?.file()
    }

    /// The window's file is being released.
    pub(crate) fn drop_mapping(&self) {
        self.yard.write().mapping = None;
    }

    /// Closes for good and drops everything that is mapped.
    pub(crate) fn close(&self) {
        let mut yard = self.yard.write();
        yard.open = false;
        if let Some(mapping) = &yard.mapping {
            mapping.zap(0, 0);
        }
    }
}

/// Inside a gate, beside others.
pub(crate) struct Inside<'a> {
    os: u32,
    _yard: ReadGuard<'a, Yard>,
}

impl Inside<'_> {
    /// The partition, for as long as we stay inside.
    pub(crate) fn partition(&self) -> Partition<'_> {
        // SAFETY: the gate was open when we entered, and `detach` closes it, which waits for us.
        unsafe { Partition::assume_attached(self.os) }
    }
}

/// Inside a gate, alone.
pub(crate) struct Alone<'a> {
    os: u32,
    yard: WriteGuard<'a, Yard>,
}

impl Alone<'_> {
    /// The partition, for as long as we stay inside.
    pub(crate) fn partition(&self) -> Partition<'_> {
        // SAFETY: as for `Inside::partition`.
        unsafe { Partition::assume_attached(self.os) }
    }

    /// Drops what is mapped of [`start`, `+ bytes`) of the window.
    pub(crate) fn zap(&self, start: u64, bytes: u64) {
        if let Some(mapping) = &self.yard.mapping {
            mapping.zap(start, bytes);
        }
    }
}
