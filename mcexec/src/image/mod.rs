// SPDX-License-Identifier: GPL-2.0
//! Makes a process image of a file name, as `execve` does in Linux.
//!
//! [`find`] searches PATH, [`script`] follows `#!` lines, and [`elf`] reads and checks headers.
//! [`layout`] chooses addresses inside the window, [`random`] moves them, and [`vdso`] finds
//! Linux's own vdso. [`stack`] builds the first stack.

pub(crate) mod elf;
pub(crate) mod find;
pub(crate) mod layout;
pub(crate) mod random;
pub(crate) mod script;
pub(crate) mod stack;
#[expect(unsafe_code, reason = "the auxiliary vector, and what is mapped")]
pub(crate) mod vdso;

use ihk_ikc::layout::PAGE_BYTES;

/// Returns `number` as an address or a size of this machine.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "both have 64 bits")]
pub(crate) const fn to_usize(number: u64) -> usize {
    number as usize
}

/// Returns the page boundary at or below `address`.
#[must_use]
pub(crate) const fn page_down(address: u64) -> u64 {
    address & !(PAGE_BYTES - 1)
}

/// Returns the page boundary at or above `address`, which must be a user address.
#[must_use]
pub(crate) const fn page_up(address: u64) -> u64 {
    page_down(address.saturating_add(PAGE_BYTES - 1))
}
