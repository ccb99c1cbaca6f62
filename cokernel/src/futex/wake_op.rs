// SPDX-License-Identifier: GPL-2.0
//! FUTEX_WAKE_OP: change a word, and decide by its old value whether to wake who waits there.

use crate::arch::uaccess;
use crate::errno::Errno;

/// Instead of the argument, 1 shifted left by it.
const SHIFT: u32 = 8;

/// Changes the word at `address` as `code` says; whether its old value passes the comparison.
///
/// # Errors
///
/// `EFAULT`, or `ENOSYS` for an operation or comparison Linux does not have.
pub fn apply(address: u64, code: u32) -> Result<bool, Errno> {
    let (operation, comparison) = (code >> 28, code >> 24 & 0xf);
    let argument = signed12(code >> 12);
    let argument = if operation & SHIFT == 0 {
        argument
    } else {
        1_i32.wrapping_shl(unsigned(argument) & 31)
    };
    let new = |old: i32| match operation & !SHIFT {
        0 => Some(argument),
        1 => Some(old.wrapping_add(argument)),
        2 => Some(old | argument),
        3 => Some(old & !argument),
        4 => Some(old ^ argument),
        _ => None,
    };
    let old = change(address, new)?;
    let limit = signed12(code);
    match comparison {
        0 => Ok(old == limit),
        1 => Ok(old != limit),
        2 => Ok(old < limit),
        3 => Ok(old <= limit),
        4 => Ok(old > limit),
        5 => Ok(old >= limit),
        _ => Err(Errno::ENOSYS),
    }
}

fn change(address: u64, new: impl Fn(i32) -> Option<i32>) -> Result<i32, Errno> {
    let mut old = uaccess::load_u32(address).map_err(|_| Errno::EFAULT)?;
    loop {
        let value = new(signed(old)).ok_or(Errno::ENOSYS)?;
        match uaccess::compare_exchange(address, old, unsigned(value)) {
            Ok(Ok(())) => return Ok(signed(old)),
            Ok(Err(other)) => old = other,
            Err(_) => return Err(Errno::EFAULT),
        }
        core::hint::spin_loop();
    }
}

/// The low 12 bits as a signed number.
fn signed12(bits: u32) -> i32 {
    signed(bits << 20) >> 20
}

/// The signed number that has the bits of `word`.
const fn signed(word: u32) -> i32 {
    i32::from_ne_bytes(word.to_ne_bytes())
}

/// The unsigned number that has the bits of `word`.
const fn unsigned(word: i32) -> u32 {
    u32::from_ne_bytes(word.to_ne_bytes())
}
