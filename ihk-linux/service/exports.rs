// SPDX-License-Identifier: GPL-2.0
//! The functions that the service may call, by the names and in the forms of [`super::abi`].

use super::abi::{PacketWords, Service};
use crate::ffi::{cpu, errno, rcu};
use crate::instance::running::{self, Running};
use crate::instance::{node, Instance};
use crate::proto::packet::Packet;
use crate::proto::ABI_VERSION;
use core::ffi::c_void;
use core::sync::atomic::Ordering;
use kernel::prelude::*;

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
    ihk_server,
    ihk_mailbox,
    ihk_phys_to_virt,
    ihk_frame_number,
    ihk_frame_address,
    ihk_exposed,
    ihk_examine,
    ihk_declare_hung,
);

/// Described where it is declared, in [`super::abi`].
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
        return errno::protocol().to_errno();
    }
    // SAFETY: the caller's promise; `ihk_unregister_service` does what is asked for.
    if let Err(error) = unsafe { super::set(given) } {
        return error.to_errno();
    }
    let attached = for_each_running(|running| {
        if running.is_alive() && !running.service.is_attached() {
            if let Err(error) = running.service.attach() {
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

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_unregister_service() {
    if !super::forget() {
        return;
    }
    while let Err(error) = for_each_running(|running| running.service.detach()) {
        pr_warn!("detaching waits for memory: {:?}\n", error);
        cpu::sleep_us(100_000);
    }
    rcu::synchronize();
}

/// Described where it is declared, in [`super::abi`].
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

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_cpu_count(os: u32) -> u32 {
    running::with(os, |running| running.cpus.len() as u32).unwrap_or(0)
}

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_heartbeat(os: u32, cpu: u32) -> u64 {
    running::with(os, |running| running.heartbeat(cpu as usize)).unwrap_or(0)
}

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_server(os: u32, cpu: u32) -> u32 {
    let find = |running: &Running| {
        let word = running.control.servers.get(cpu as usize)?;
        Some(word.load(Ordering::Relaxed))
    };
    running::with(os, find).flatten().unwrap_or(0)
}

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_mailbox(os: u32, cpu: u32) -> *mut c_void {
    let find = |running: &Running| Some(running.cpus.get(cpu as usize)?.mailbox());
    running::with(os, find)
        .flatten()
        .unwrap_or(core::ptr::null_mut())
}

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_phys_to_virt(os: u32, phys: u64, bytes: u64) -> *mut c_void {
    let find = |running: &Running| running.to_virtual(phys, bytes);
    running::with(os, find)
        .flatten()
        .map_or(core::ptr::null_mut(), <*mut u8>::cast)
}

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_frame_number(os: u32, phys: u64) -> i64 {
    running::with(os, |running| running.frame_number(phys))
        .flatten()
        .map_or(-1, i64::from)
}

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_frame_address(os: u32, frame: u32) -> u64 {
    running::with(os, |running| running.frame_address(frame))
        .flatten()
        .unwrap_or(u64::MAX)
}

/// Described where it is declared, in [`super::abi`].
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

/// Described where it is declared, in [`super::abi`].
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

/// Described where it is declared, in [`super::abi`].
#[no_mangle]
extern "C" fn ihk_examine(os: u32) {
    let _ = running::with(os, |running| Instance::examine(&running.instance));
}
