// SPDX-License-Identifier: GPL-2.0
//! The C interface; `include/mckernel.h` documents it. All functions answer a negative errno if they
//! fail, and leave `errno` alone.

use std::ffi::c_void;
use std::ptr;

use crate::queue::{CallQueue, Full, Function};

/// `MK_NONBLOCK`: do not wait for a free entry.
const NONBLOCK: u32 = 1;
/// `MK_DETACHED`: nobody collects the result.
const DETACHED: u32 = 2;

/// `struct mk_call`.
#[repr(C)]
pub struct Call {
    /// System call number.
    pub number: u64,
    /// Arguments; addresses are the program's.
    pub args: [u64; 6],
}

fn flags(flags: u32) -> Option<(bool, Full)> {
    let full = if flags & NONBLOCK == 0 {
        Full::Wait
    } else {
        Full::Refuse
    };
    (flags & !(NONBLOCK | DETACHED) == 0).then_some((flags & DETACHED != 0, full))
}

fn handle_or_errno(posted: Result<u32, i32>) -> i64 {
    posted.map_or_else(i64::from, i64::from)
}

/// See the header.
///
/// # Safety
///
/// `place` may be written.
#[no_mangle]
pub unsafe extern "C" fn mk_queue_open(place: *mut *mut CallQueue, entries: u32) -> i32 {
    match CallQueue::open(entries as usize) {
        Ok(queue) => {
            // SAFETY: the caller's promise.
            unsafe { place.write(Box::into_raw(Box::new(queue))) };
            0
        }
        Err(error) => error,
    }
}

/// See the header.
///
/// # Safety
///
/// `queue` is of [`mk_queue_open`], not closed, and nobody uses it any more if this succeeds.
#[no_mangle]
pub unsafe extern "C" fn mk_queue_close(queue: *mut CallQueue) -> i32 {
    // SAFETY: the caller's promise.
    let closed = unsafe { ptr::read(queue) }.close();
    match closed {
        Ok(()) => {
            let memory = queue.cast::<std::mem::MaybeUninit<CallQueue>>();
            // SAFETY: from `Box::into_raw`; the value has been taken out.
            drop(unsafe { Box::from_raw(memory) });
            0
        }
        // The value, which needs no drop, is still where it was.
        Err((_, error)) => error,
    }
}

/// See the header.
///
/// # Safety
///
/// `queue` is of [`mk_queue_open`] and not closed; `call` may be read.
#[no_mangle]
pub unsafe extern "C" fn mk_post(queue: *const CallQueue, call: *const Call, how: u32) -> i64 {
    let Some((detached, full)) = flags(how) else {
        return i64::from(-libc::EINVAL);
    };
    // SAFETY: the caller's promise.
    let queue = unsafe { &*queue };
    // SAFETY: the caller's promise.
    let call = unsafe { &*call };
    handle_or_errno(queue.post(call.number, call.args, detached, full))
}

/// See the header.
///
/// # Safety
///
/// `queue` is of [`mk_queue_open`] and not closed; `function` may be called with `argument`.
#[no_mangle]
pub unsafe extern "C" fn sakura_call(
    queue: *const CallQueue,
    function: Function,
    argument: *mut c_void,
    how: u32,
) -> i64 {
    let Some((detached, full)) = flags(how) else {
        return i64::from(-libc::EINVAL);
    };
    // SAFETY: the caller's promise.
    let queue = unsafe { &*queue };
    handle_or_errno(queue.post_function(function, argument, detached, full))
}

/// See the header.
///
/// # Safety
///
/// `queue` is of [`mk_queue_open`] and not closed; `result` may be written.
#[no_mangle]
pub unsafe extern "C" fn mk_wait(queue: *const CallQueue, handle: i64, result: *mut i64) -> i32 {
    // SAFETY: the caller's promise.
    let queue = unsafe { &*queue };
    // SAFETY: the caller's promise.
    unsafe { store(with_handle(handle, |handle| queue.wait(handle)), result) }
}

/// See the header.
///
/// # Safety
///
/// As [`mk_wait`].
#[no_mangle]
pub unsafe extern "C" fn mk_poll(queue: *const CallQueue, handle: i64, result: *mut i64) -> i32 {
    // SAFETY: the caller's promise.
    let queue = unsafe { &*queue };
    // SAFETY: the caller's promise.
    unsafe { store(with_handle(handle, |handle| queue.poll(handle)), result) }
}

fn with_handle(handle: i64, ask: impl FnOnce(u32) -> Result<i64, i32>) -> Result<i64, i32> {
    u32::try_from(handle).map_or(Err(-libc::EINVAL), ask)
}

/// # Safety
///
/// `place` may be written.
unsafe fn store(result: Result<i64, i32>, place: *mut i64) -> i32 {
    match result {
        Ok(value) => {
            // SAFETY: the caller's promise.
            unsafe { place.write(value) };
            0
        }
        Err(error) => error,
    }
}
