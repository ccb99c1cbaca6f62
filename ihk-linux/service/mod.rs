// SPDX-License-Identifier: GPL-2.0
//! The seam to the service that runs programs: who it is, and calling it. It knows instances by their
//! numbers only; what the service may call is in `exports`.

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "shared with the service's module"
)]
mod abi;
mod exports;

use crate::ffi::module_ref::ModuleRef;
use abi::{PacketWords, Service};
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::rcu;

/// The registered service or null. Valid under read-copy-update, and for who has it attached.
static SERVICE: AtomicPtr<Service> = AtomicPtr::new(core::ptr::null_mut());

/// Makes `service` the service. EBUSY if there is one.
///
/// # Safety
///
/// `service` stays valid until [`forget`] has been called, every instance has detached from it and the
/// readers of read-copy-update have gone.
unsafe fn set(service: &Service) -> Result {
    let null = core::ptr::null_mut();
    let given = core::ptr::from_ref(service).cast_mut();
    SERVICE
        .compare_exchange(null, given, Ordering::AcqRel, Ordering::Acquire)
        .map_err(|_| EBUSY)?;
    Ok(())
}

/// There is no service any more; returns whether there was one.
fn forget() -> bool {
    !SERVICE
        .swap(core::ptr::null_mut(), Ordering::AcqRel)
        .is_null()
}

/// The service. The caller is an RCU reader, or holds a steering lock and attaches.
fn current() -> Option<&'static Service> {
    // SAFETY: registered pointers stay valid until `ihk_unregister_service` returns, which takes
    // every instance's steering lock and waits for RCU readers.
    unsafe { SERVICE.load(Ordering::Acquire).as_ref() }
}

/// A booted instance's part of the service: whether that knows of it and gets its packets.
pub(crate) struct Attachment {
    os: u32,
    /// The service that knows of it, or null.
    service: AtomicPtr<Service>,
}

impl Attachment {
    /// No service knows of instance `os` yet.
    pub(crate) const fn new(os: u32) -> Self {
        Self {
            os,
            service: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// The service that knows of the instance.
    fn service(&self) -> Option<&Service> {
        // SAFETY: a service detaches from every instance, which calls `set(None)`, and waits for RCU
        // readers before its pointer becomes invalid. Callers are RCU readers or hold the steering
        // lock, which detaching takes.
        unsafe { self.service.load(Ordering::Acquire).as_ref() }
    }

    fn set(&self, service: Option<&'static Service>) {
        let pointer = service.map_or(core::ptr::null(), core::ptr::from_ref);
        self.service.store(pointer.cast_mut(), Ordering::Release);
    }

    /// Whether a service knows of the instance. An RCU reader, or with the steering lock held.
    pub(crate) fn is_attached(&self) -> bool {
        self.service().is_some()
    }

    /// Tells the service, if there is one, that the instance is up. The steering lock is held.
    pub(crate) fn attach(&self) -> Result {
        let Some(service) = current() else {
            return Ok(());
        };
        self.set(Some(service));
        // SAFETY: a function of the service, in process context.
        let result = to_result(unsafe { (service.attach)(self.os) });
        if result.is_err() {
            self.set(None);
        }
        result
    }

    /// Tells the service that the instance goes away, if one knows of it. The steering lock is held.
    pub(crate) fn detach(&self) {
        if let Some(service) = self.service() {
            // SAFETY: a function of the service, in process context, once per attach.
            unsafe { (service.detach)(self.os) };
            self.set(None);
        }
    }

    /// Hands a packet of the instance over; `false` if nobody takes it. In a line's handler, under
    /// RCU.
    pub(crate) fn packet(&self, cpu: u32, words: &PacketWords) -> bool {
        let Some(service) = self.service() else {
            return false;
        };
        // SAFETY: a function of the service, in the context its contract names.
        unsafe { (service.packet)(self.os, cpu, words) };
        true
    }
}

/// The number of programs that instance `os` runs. Process context.
pub(crate) fn programs(os: u32) -> u32 {
    // SAFETY: a function of the service, held during the call.
    call(|service| unsafe { (service.programs)(os) }).unwrap_or(0)
}

/// Passes an ioctl on, also when the instance does not run: processes of an instance that went away
/// are to learn it from the service.
///
/// # Errors
///
/// ENODEV: there is no service; else the service's.
pub(crate) fn ioctl(os: u32, command: u32, argument: usize) -> Result<isize> {
    // SAFETY: a function of the service, held during the call, in the caller's context.
    let value = call(|service| unsafe { (service.ioctl)(os, command, argument) });
    match value.ok_or(ENODEV)? {
        error @ ..=-1 => Err(Error::from_errno(c_int::try_from(error).unwrap_or(0))),
        value => Ok(value),
    }
}

/// Calls the service while holding its module. It may sleep.
fn call<R>(run: impl FnOnce(&Service) -> R) -> Option<R> {
    let (service, _held) = {
        let _guard = rcu::read_lock();
        let service = current()?;
        // SAFETY: the module exists as long as the service is registered.
        (service, unsafe { ModuleRef::get(service.owner.cast()) }?)
    };
    Some(run(service))
}
