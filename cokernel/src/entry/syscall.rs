// SPDX-License-Identifier: GPL-2.0
//! The Rust half of the entry of system calls: the frame that the stub has saved is dispatched. Hop 1 of a
//! delegated call.

use crate::arch::UserFrame;
use crate::entry::trap;
use crate::{failure, syscall};

/// Whether `sysret` may be used for the way back.
///
/// # Safety
///
/// Called only by `syscall_landing`, with `frame` at the top of this thread's kernel stack.
#[no_mangle]
unsafe extern "C" fn syscall_entry(frame: *mut UserFrame) -> bool {
    // SAFETY: by this function's contract `frame` is valid and ours alone until we return.
    let frame = unsafe { &mut *frame };
    failure::in_syscall();
    syscall::dispatch(frame);
    trap::prepare_return(frame);
    frame.fits_sysret()
}
