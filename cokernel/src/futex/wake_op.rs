// SPDX-License-Identifier: GPL-2.0
//! FUTEX_WAKE_OP: change a word, and decide by its old value whether to wake who waits there.

use cokernel_logic::wake_op::{new_value, passes};

use crate::arch::uaccess;
use crate::errno::Errno;

/// Changes the word at `address` as `code` says; whether its old value passes the comparison.
///
/// # Errors
///
/// `EFAULT`, or `ENOSYS` for an operation or comparison Linux does not have.
pub fn apply(address: u64, code: u32) -> Result<bool, Errno> {
    let old = change(address, code)?;
    passes(code, old).map_err(|_| Errno::ENOSYS)
}

fn change(address: u64, code: u32) -> Result<u32, Errno> {
    let mut old = uaccess::load_u32(address).map_err(|_| Errno::EFAULT)?;
    loop {
        let value = new_value(code, old).map_err(|_| Errno::ENOSYS)?;
        match uaccess::compare_exchange(address, old, value) {
            Ok(Ok(())) => return Ok(old),
            Ok(Err(other)) => old = other,
            Err(_) => return Err(Errno::EFAULT),
        }
        core::hint::spin_loop();
    }
}
