// SPDX-License-Identifier: GPL-2.0
//! The table of functions that ihk.ko calls: from C ABI to safe functions and back.

use super::{inbox, ioctl};
use crate::ffi::compat::this_module;
use crate::ffi::service_abi::{PacketWords, Service};
use crate::process::instances;
use crate::proto::packet::Packet;

/// [`Service`] names its module by a plain pointer.
pub(crate) struct Shared(pub(crate) Service);
// SAFETY: constant, and the module outlives it.
unsafe impl Sync for Shared {}

/// The functions that mcctrl gives ihk.ko.
pub(crate) static SERVICE: Shared = Shared(Service {
    abi_version: crate::proto::ABI_VERSION,
    owner: this_module().cast(),
    attach,
    detach,
    programs,
    packet,
    ioctl: on_ioctl,
});

extern "C" fn attach(os: u32) -> i32 {
    match instances::attach(os) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

extern "C" fn detach(os: u32) {
    instances::detach(os);
}

extern "C" fn programs(os: u32) -> u32 {
    instances::get(os).map_or(0, |instance| instance.program_count())
}

/// # Safety
///
/// `words` points to a packet, for the duration of the call.
unsafe extern "C" fn packet(os: u32, cpu: u32, words: *const PacketWords) {
    // SAFETY: by this function's contract.
    let packet = Packet::from_words(unsafe { *words });
    instances::with(os, |instance| inbox::receive(instance, cpu, &packet));
}

extern "C" fn on_ioctl(os: u32, command: u32, argument: usize) -> isize {
    match ioctl::serve(instances::get(os).as_ref(), command, argument) {
        Ok(()) => 0,
        Err(error) => error.to_errno() as isize,
    }
}
