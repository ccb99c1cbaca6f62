// SPDX-License-Identifier: GPL-2.0
//! Sends signals that came to this process on to the co-kernel.
//!
//! The thread that Linux chooses does it. If it is a worker, it says so, because the signal may be
//! meant for its thread.

use std::thread;

use ihk_ikc::uapi::ForwardSignal;
use nix::errno::Errno;
use nix::libc;

use super::own_slot::own_slot;
use super::raw::is_earned;
use crate::{device, syscall};

/// The number of times that a handler tries while the way to the co-kernel is jammed.
const TRIES: u32 = 1000;

/// Sends a signal that this thread took to the program.
///
/// Async-signal-safe: one ioctl; errno is put back.
pub(super) fn send_on(signal: libc::c_int, info: &libc::siginfo_t) {
    let errno = Errno::last();
    syscall::note_signal();
    let forwarded = describe(signal, info);
    for _ in 0..TRIES {
        if device::forward_signal(forwarded) != Err(Errno::EAGAIN) {
            break;
        }
        thread::yield_now();
    }
    errno.set();
}

fn describe(signal: libc::c_int, info: &libc::siginfo_t) -> ForwardSignal {
    // SAFETY: for a signal sent by a process this field is set; for others it is some other
    // initialised word of the same structure.
    let pid = unsafe { info.si_pid() };
    // SAFETY: the kernel initialises all of the structure, this field like `si_pid`.
    let uid = unsafe { info.si_uid() };
    // SAFETY: the kernel initialises all of the structure, this field like `si_pid`.
    let value = unsafe { info.si_value() };
    // Sent to this thread, or perhaps so (timers, queued ones), or earned by a call of it.
    let to_thread = info.si_code < 0 || is_earned(signal);
    let sender = own_slot().filter(|_| to_thread).map_or(0, |slot| slot + 1);
    ForwardSignal {
        signal: signal.cast_unsigned(),
        code: info.si_code,
        pid: pid.cast_unsigned(),
        uid,
        value: value.sival_ptr.addr() as u64,
        thread: sender,
        reserved: 0,
    }
}
