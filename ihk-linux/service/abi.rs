// SPDX-License-Identifier: GPL-2.0
//! The seam between ihk.ko and the service that runs programs (mcctrl.ko). Included by both.
//!
//! Rust types cannot cross modules built by Kbuild, so everything here is C ABI and plain data.
//! ihk.ko knows instances, memory, CPUs and packets; the service knows processes and system calls.
//!
//! Life of an instance as the service sees it: `attach` (RUNNING) … `detach` (it is going away:
//! shutdown, panic, hang). ihk.ko calls `detach` exactly once per `attach`, in process context and
//! may sleep. When `detach` returns, the service has dropped every mapping of the partition, woken
//! every waiter, and touches nothing of the instance again; only then is memory taken back.
//! Between the two, the pointers returned by the functions below stay valid.

use core::ffi::c_void;

/// Words of a packet; the layout is `Packet` of the contract.
pub type PacketWords = [u64; 8];

/// The functions that the service gives ihk.ko. All functions are called with no lock of ihk.ko
/// held unless said.
#[repr(C)]
pub struct Service {
    /// `ABI_VERSION` the service was built with; a mismatch is refused.
    pub abi_version: u32,
    /// The service's module (`THIS_MODULE.as_ptr().cast()`): ihk.ko holds it during `ioctl`, whose
    /// caller may sleep long in code that must not be unloaded.
    pub owner: *mut c_void,
    /// Instance `os` is RUNNING. Process context. 0 or a negative errno, which fails the boot.
    pub attach: unsafe extern "C" fn(os: u32) -> i32,
    /// Instance `os` goes away; see the module documentation.
    pub detach: unsafe extern "C" fn(os: u32),
    /// The number of programs that `os` runs. Process context.
    pub programs: unsafe extern "C" fn(os: u32) -> u32,
    /// A packet came from CPU `cpu` of `os`. In an interrupt line's handler (with PREEMPT_RT the line's thread),
    /// under ihk.ko's lock of that channel: do not sleep, do not call `ihk_send` for the same instance.
    pub packet: unsafe extern "C" fn(os: u32, cpu: u32, words: *const PacketWords),
    /// An ioctl of `/dev/mcosN` from `SERVICE_FIRST` on. Process context of the caller.
    pub ioctl: unsafe extern "C" fn(os: u32, command: u32, argument: usize) -> isize,
}

// Exported by ihk.ko (GPL only).
extern "C" {
    /// Register the one service. -EBUSY if there is one, -EPROTO on version mismatch. ihk.ko
    /// attaches it to every instance that is RUNNING already. `service` stays valid until
    /// [`ihk_unregister_service`] returns. Process context.
    pub fn ihk_register_service(service: *const Service) -> i32;

    /// Detach from every instance and forget the service. Process context.
    pub fn ihk_unregister_service();

    /// Send a packet to CPU `cpu` of `os` and ring if it asked for it. Any context but hard
    /// interrupt. -EAGAIN if the ring is full (try again after a pause), -ENODEV if `os` does not
    /// run, -EINVAL for an unknown CPU, -EIO if the peer's counters are impossible.
    pub fn ihk_send(os: u32, cpu: u32, words: *const PacketWords) -> i32;

    /// Number of CPUs of `os`, 0 if it does not run.
    pub fn ihk_cpu_count(os: u32) -> u32;

    /// The heartbeat counter of CPU `cpu` (`InstanceControl::heartbeats`), 0 if there is none. Any
    /// context.
    pub fn ihk_heartbeat(os: u32, cpu: u32) -> u64;

    /// The Linux CPU that serves CPU `cpu`, plus 1; 0: any, or `os` does not run. Any context.
    pub fn ihk_server(os: u32, cpu: u32) -> u32;

    /// The bulk mailbox of CPU `cpu`, or null. Serialised by the caller.
    pub fn ihk_mailbox(os: u32, cpu: u32) -> *mut c_void;

    /// Linux's address of [`phys`, `phys + bytes`) if the whole range lies in one run of the
    /// partition of `os`; else null. Any context.
    pub fn ihk_phys_to_virt(os: u32, phys: u64, bytes: u64) -> *mut c_void;

    /// Partition-wide number of the frame at `phys`, or -1. Any context.
    pub fn ihk_frame_number(os: u32, phys: u64) -> i64;

    /// Physical address of frame `frame`, or `u64::MAX`. Any context.
    pub fn ihk_frame_address(os: u32, frame: u32) -> u64;

    /// The exposed bitmap of `os` and, through `words`, its length in 64-bit words; null if not
    /// running.
    pub fn ihk_exposed(os: u32, words: *mut u64) -> *mut u64;

    /// A CPU of `os` has been silent for a while: have its CPUs examined, which finds out in a few seconds
    /// whether they hang, in the background. Any context but an interrupt line's handler.
    pub fn ihk_examine(os: u32);

    /// The service found that `os` does not answer: reset its CPUs, status HUNGUP, `detach` from
    /// a workqueue. Returns at once. Any context but an interrupt line's handler.
    pub fn ihk_declare_hung(os: u32, reason: *const u8, reason_bytes: usize);
}
