// SPDX-License-Identifier: GPL-2.0
//! ioctl numbers and arguments of `/dev/mcd0` and `/dev/mcosN`.
//!
//! Each file has the ioctls of one device; those of `/dev/mcosN` are two, by the module that serves them.
//!
//! No argument carries a physical or kernel address. Every structure is plain data of fixed size;
//! `version` fields must hold [`super::ABI_VERSION`], else `EPROTO`.

pub mod gate;
mod mcd;
mod mcos;
mod programs;

pub use mcd::*;
pub use mcos::*;
pub use programs::*;

/// ioctl type byte of all our devices.
const TYPE: u32 = b'k' as u32;

const fn number(direction: u32, nr: u32, bytes: usize) -> u32 {
    assert!(bytes < 1 << 14);
    #[allow(clippy::cast_possible_truncation, reason = "checked above")]
    let bytes = bytes as u32;
    direction << 30 | bytes << 16 | TYPE << 8 | nr
}
/// An ioctl without argument.
const fn none(nr: u32) -> u32 {
    number(0, nr, 0)
}
/// An ioctl whose argument user space writes.
const fn write<T>(nr: u32) -> u32 {
    number(1, nr, size_of::<T>())
}
/// An ioctl whose argument the kernel writes.
const fn read<T>(nr: u32) -> u32 {
    number(2, nr, size_of::<T>())
}
/// An ioctl whose argument goes both ways.
const fn both<T>(nr: u32) -> u32 {
    number(3, nr, size_of::<T>())
}
