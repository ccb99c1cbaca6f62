// SPDX-License-Identifier: GPL-2.0
//! The seam to the service that runs programs: who it is, calling it, and what it may call.

#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "shared with the service's module"
)]
#[path = "service_abi.rs"]
mod abi;

use crate::error::version_mismatch;
use crate::ffi::module_ref::ModuleRef;
use crate::instance::{Instance, Steering};
use crate::node;
use crate::proto::packet::Packet;
use crate::proto::ABI_VERSION;
use crate::running::{self, Running};
use abi::PacketWords;
pub(crate) use abi::Service;
use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::rcu;

/// The registered service or null. Valid under read-copy-update, and for who has it attached.
static SERVICE: AtomicPtr<Service> = AtomicPtr::new(core::ptr::null_mut());

/// The service. The caller is an RCU reader, or holds a steering lock and attaches.
fn current() -> Option<&'static Service> {
    // SAFETY: registered pointers stay valid until `ihk_unregister_service` returns, which takes
    // every instance's steering lock and waits for RCU readers.
    unsafe { SERVICE.load(Ordering::Acquire).as_ref() }
}

/// Tells the service that `running` is up. The steering lock is held.
pub(crate) fn attach(running: &Running) -> Result {
    let Some(service) = current() else {
        return Ok(());
    };
    running.set_service(Some(service));
    // SAFETY: a function of the service, in process context.
    let result = to_result(unsafe { (service.attach)(running.instance.number) });
    if result.is_err() {
        running.set_service(None);
    }
    result
}

/// Tells the service that `running` goes away, if one knows of it. The steering lock is held.
pub(crate) fn detach(running: &Running) {
    if let Some(service) = running.service() {
        // SAFETY: a function of the service, in process context, once per attach.
        unsafe { (service.detach)(running.instance.number) };
        running.set_service(None);
    }
}

/// How many programs run. Process context.
pub(crate) fn programs(running: &Running) -> u32 {
    let number = running.instance.number;
    // SAFETY: a function of the service, held during the call.
    call(|service| unsafe { (service.programs)(number) }).unwrap_or(0)
}

/// EBUSY if programs run.
pub(crate) fn require_no_programs(steering: &Steering) -> Result {
    match &steering.running {
        Some(running) if running.service().is_some() && programs(running) > 0 => Err(EBUSY),
        _ => Ok(()),
    }
}

/// Passes an ioctl on, also when the instance does not run: processes of an instance that went away
/// are to learn it from the service.
///
/// # Errors
///
/// ENODEV: there is no service; else the service's.
pub(crate) fn ioctl(instance: &Instance, command: u32, argument: usize) -> Result<isize> {
    let number = instance.number;
    // SAFETY: a function of the service, held during the call, in the caller's context.
    let value = call(|service| unsafe { (service.ioctl)(number, command, argument) });
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

/// Hands a packet of `running` over; `false` if nobody takes it. In a line's handler, under RCU.
pub(crate) fn packet(running: &Running, cpu: u32, words: &PacketWords) -> bool {
    let Some(service) = running.service() else {
        return false;
    };
    // SAFETY: a function of the service, in the context its contract names.
    unsafe { (service.packet)(running.instance.number, cpu, words) };
    true
}

/// Calls `act` with every instance that runs, its steering locked.
fn for_each_running(act: impl Fn(&Running)) -> Result {
    for instance in node::all_instances()?.iter() {
        let steering = instance.steering.lock();
        if let Some(running) = &steering.running {
            act(running);
        }
    }
    Ok(())
}

/// `EXPORT_SYMBOL_GPL` for a function of ours.
macro_rules! export_gpl {
    ($($name:ident),* $(,)?) => {$(
        core::arch::global_asm!(
            concat!(
                ".pushsection .export_symbol, \"a\"\n",
                "__export_symbol_", stringify!($name), ":\n",
                ".asciz \"GPL\"\n.asciz \"\"\n.balign 8\n.quad ", stringify!($name), "\n",
                ".popsection",
            )
        );
    )*};
}
export_gpl!(
    ihk_register_service,
    ihk_unregister_service,
    ihk_send,
    ihk_cpu_count,
    ihk_heartbeat,
    ihk_mailbox,
    ihk_phys_to_virt,
    ihk_frame_number,
    ihk_frame_address,
    ihk_exposed,
    ihk_declare_hung,
);

/// See [`abi`].
///
/// # Safety
///
/// `service` must stay valid until [`ihk_unregister_service`] returns.
#[no_mangle]
unsafe extern "C" fn ihk_register_service(service: *const Service) -> c_int {
    // SAFETY: the caller's promise.
    let Some(given) = (unsafe { service.as_ref() }) else {
        return EINVAL.to_errno();
    };
    if given.abi_version != ABI_VERSION {
        pr_err!(
            "service has version {}, ihk has {}\n",
            given.abi_version,
            ABI_VERSION
        );
        return version_mismatch().to_errno();
    }
    let null = core::ptr::null_mut();
    let order = Ordering::AcqRel;
    if SERVICE
        .compare_exchange(null, service.cast_mut(), order, Ordering::Acquire)
        .is_err()
    {
        return EBUSY.to_errno();
    }
    let attached = for_each_running(|running| {
        if running.is_alive() && running.service().is_none() {
            if let Err(error) = attach(running) {
                pr_err!(
                    "mcos{}: the service refused: {:?}\n",
                    running.instance.number,
                    error
                );
            }
        }
    });
    attached.map_or_else(|error| error.to_errno(), |()| 0)
}

/// See [`abi`].
#[no_mangle]
extern "C" fn ihk_unregister_service() {
    let service = SERVICE.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if service.is_null() {
        return;
    }
    while let Err(error) = for_each_running(detach) {
        pr_warn!("detaching waits for memory: {:?}\n", error);
        crate::ffi::cpu::sleep_us(100_000);
    }
    // SAFETY: process context.
    unsafe { kernel::bindings::synchronize_rcu() };
}

/// See [`abi`].
///
/// # Safety
///
/// `words` must be valid.
#[no_mangle]
unsafe extern "C" fn ihk_send(os: u32, cpu: u32, words: *const PacketWords) -> c_int {
    // SAFETY: the caller's promise.
    let packet = Packet::from_words(unsafe { words.read() });
    let result = running::with(os, |running| running.send(cpu, &packet)).unwrap_or(Err(ENODEV));
    result.map_or_else(|error| error.to_errno(), |()| 0)
}

/// See [`abi`].
#[no_mangle]
extern "C" fn ihk_cpu_count(os: u32) -> u32 {
    running::with(os, |running| running.cpus.len() as u32).unwrap_or(0)
}

/// See [`abi`].
#[no_mangle]
extern "C" fn ihk_heartbeat(os: u32, cpu: u32) -> u64 {
    running::with(os, |running| running.heartbeat(cpu as usize)).unwrap_or(0)
}

/// See [`abi`].
#[no_mangle]
extern "C" fn ihk_mailbox(os: u32, cpu: u32) -> *mut c_void {
    let find = |running: &Running| {
        let link = running.cpus.get(cpu as usize)?;
        Some(core::ptr::addr_of!(link.channel.mailbox).cast_mut().cast())
    };
    running::with(os, find)
        .flatten()
        .unwrap_or(core::ptr::null_mut())
}

/// See [`abi`].
#[no_mangle]
extern "C" fn ihk_phys_to_virt(os: u32, phys: u64, bytes: u64) -> *mut c_void {
    let find = |running: &Running| running.to_virtual(phys, bytes);
    running::with(os, find)
        .flatten()
        .map_or(core::ptr::null_mut(), <*mut u8>::cast)
}

/// See [`abi`].
#[no_mangle]
extern "C" fn ihk_frame_number(os: u32, phys: u64) -> i64 {
    running::with(os, |running| running.frame_number(phys))
        .flatten()
        .map_or(-1, i64::from)
}

/// See [`abi`].
#[no_mangle]
extern "C" fn ihk_frame_address(os: u32, frame: u32) -> u64 {
    running::with(os, |running| running.frame_address(frame))
        .flatten()
        .unwrap_or(u64::MAX)
}

/// See [`abi`].
///
/// # Safety
///
/// `words` must be valid for a write.
#[no_mangle]
unsafe extern "C" fn ihk_exposed(os: u32, words: *mut u64) -> *mut u64 {
    let Some((bits, count)) = running::with(os, Running::exposed) else {
        return core::ptr::null_mut();
    };
    // SAFETY: the caller's promise.
    unsafe { words.write(count) };
    bits
}

/// See [`abi`].
///
/// # Safety
///
/// `reason` must be valid for `reason_bytes`.
#[no_mangle]
unsafe extern "C" fn ihk_declare_hung(os: u32, reason: *const u8, reason_bytes: usize) {
    // SAFETY: the caller's promise.
    let text = unsafe { core::slice::from_raw_parts(reason, reason_bytes) };
    pr_err!(
        "mcos{}: {}\n",
        os,
        core::str::from_utf8(text).unwrap_or("hung")
    );
    let _ = running::with(os, |running| {
        Instance::give_up(&running.instance, c"declared hung by the service");
    });
}
