// SPDX-License-Identifier: GPL-2.0
//! Time limits of futex calls.

use cokernel_logic::argument::timespec;
pub use cokernel_logic::syscall::futex::Limit;

use crate::arch::time;
use crate::errno::Errno;
use crate::user_memory::read_words;

/// The `struct timespec` at `address`, from now on; 0 = never.
pub fn relative(address: u64) -> Result<Limit, Errno> {
    if address == 0 {
        return Ok(Limit::Never);
    }
    let given = timespec(read_words(address)?)?;
    Ok(Limit::After(time::now_ns().saturating_add(given)))
}

/// The `struct timespec` at `address`, on CLOCK_REALTIME or CLOCK_MONOTONIC; 0 = never.
pub fn absolute(address: u64, realtime: bool) -> Result<Limit, Errno> {
    if address == 0 {
        return Ok(Limit::Never);
    }
    let given = timespec(read_words(address)?)?;
    Ok(if realtime {
        Limit::AtReal(given)
    } else {
        Limit::At(given)
    })
}
