// SPDX-License-Identifier: GPL-2.0
//! Time limits of futex calls, as CLOCK_MONOTONIC.

use cokernel_logic::argument::timespec;
pub use cokernel_logic::syscall::futex::Limit;
use ihk_ikc::syscalls::number;

use crate::arch::{time, UserFrame};
use crate::delegate;
use crate::errno::Errno;
use crate::user_memory::read_words;

/// Below the red zone of the function that made the call, room for a `struct timespec`.
const SCRATCH_BELOW_STACK: u64 = 128 + 16;

/// The `struct timespec` at `address`, from now on; 0 = never.
pub fn relative(address: u64) -> Result<Limit, Errno> {
    if address == 0 {
        return Ok(Limit::Never);
    }
    let given = timespec(read_words(address)?)?;
    Ok(Limit::After(time::now_ns().saturating_add(given)))
}

/// The `struct timespec` at `address`, on CLOCK_REALTIME or CLOCK_MONOTONIC; 0 = never.
pub fn absolute(frame: &UserFrame, address: u64, realtime: bool) -> Result<Limit, Errno> {
    if address == 0 {
        return Ok(Limit::Never);
    }
    let given = timespec(read_words(address)?)?;
    if !realtime {
        return Ok(Limit::At(given));
    }
    let remaining = given.saturating_sub(real_now(frame)?);
    Ok(Limit::At(time::now_ns().saturating_add(remaining)))
}

/// Linux's CLOCK_REALTIME, by way of unused stack of the caller.
fn real_now(frame: &UserFrame) -> Result<u64, Errno> {
    let scratch = frame.rsp.wrapping_sub(SCRATCH_BELOW_STACK) & !15;
    delegate::call_directly(number::clock_gettime, [0, scratch, 0, 0, 0, 0])?;
    timespec(read_words(scratch)?)
}
