// SPDX-License-Identifier: GPL-2.0
//! User memory as system calls read and write it: whole words, `EFAULT` if it is not there.

pub use cokernel_logic::argument::{int, uint};

use crate::arch::uaccess;
use crate::errno::Errno;

/// Fills `bytes` from `address`.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_bytes(address: u64, bytes: &mut [u8]) -> Result<(), Errno> {
    uaccess::read_bytes(address, bytes).map_err(|_| Errno::EFAULT)
}

/// Writes `bytes` to `address`.
///
/// # Errors
///
/// `EFAULT`; a part may have been written.
pub fn write_bytes(address: u64, bytes: &[u8]) -> Result<(), Errno> {
    uaccess::write_bytes(address, bytes).map_err(|_| Errno::EFAULT)
}

/// Reads `N` consecutive words.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_words<const N: usize>(address: u64) -> Result<[u64; N], Errno> {
    let mut words = [0; N];
    for (word, offset) in words.iter_mut().zip((0..).step_by(8)) {
        let mut bytes = [0; 8];
        read_bytes(
            address.checked_add(offset).ok_or(Errno::EFAULT)?,
            &mut bytes,
        )?;
        *word = u64::from_le_bytes(bytes);
    }
    Ok(words)
}

/// Reads a 32-bit word.
///
/// # Errors
///
/// `EFAULT`.
pub fn read_u32(address: u64) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    read_bytes(address, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Writes consecutive words.
///
/// # Errors
///
/// `EFAULT`; a part may have been written.
pub fn write_words(address: u64, words: &[u64]) -> Result<(), Errno> {
    for (word, offset) in words.iter().zip((0..).step_by(8)) {
        write_bytes(
            address.checked_add(offset).ok_or(Errno::EFAULT)?,
            &word.to_le_bytes(),
        )?;
    }
    Ok(())
}

/// Writes a 32-bit word.
///
/// # Errors
///
/// `EFAULT`.
pub fn write_u32(address: u64, value: u32) -> Result<(), Errno> {
    write_bytes(address, &value.to_le_bytes())
}
