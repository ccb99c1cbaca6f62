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

/// Defines the ioctls of one file, and the list of them.
macro_rules! ioctls {
    ($list:ident: $( $(#[$meta:meta])* pub const $name:ident: u32 = $number:expr; )*) => {
        $( $(#[$meta])* pub const $name: u32 = $number; )*
        /// All ioctls of this file.
        pub(super) const $list: &[u32] = &[$($name),*];
    };
}
use ioctls;

/// Marks the numbers of `ioctls` as taken. Panics if one is already, or is not in `from..below`.
const fn take(mut taken: [bool; 256], ioctls: &[u32], from: u32, below: u32) -> [bool; 256] {
    let mut index = 0;
    while index < ioctls.len() {
        let nr = ioctls[index] & 0xff;
        assert!(
            from <= nr && nr < below,
            "ihk.ko would pass this ioctl to the wrong module"
        );
        assert!(!taken[nr as usize], "two ioctls have the same number");
        taken[nr as usize] = true;
        index += 1;
    }
    taken
}

const _: () = {
    let taken = take([false; 256], MCD_IOCTLS, 0, SERVICE_FIRST);
    let taken = take(taken, MCOS_IOCTLS, 0, SERVICE_FIRST);
    take(taken, PROGRAMS_IOCTLS, SERVICE_FIRST, 256);
};
