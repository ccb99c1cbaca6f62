// SPDX-License-Identifier: GPL-2.0
//! Reads the co-kernel's page tables (x86-64, four levels). Each entry is read once; the tables
//! belong to the other side and change at any time.

use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const ENTRY_BYTES: u64 = 8;

/// What the mapping must allow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing: it must exist. For loading files into a program's pages.
    Load,
    /// Reading by the program.
    Read,
    /// Writing by the program.
    Write,
}

impl Access {
    const fn required(self) -> u64 {
        match self {
            Self::Load => PRESENT,
            Self::Read => PRESENT | USER,
            Self::Write => PRESENT | USER | WRITE,
        }
    }
}

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Translation {
    /// Physical address of the small page that contains the address.
    pub(crate) page: u64,
    /// Bytes from there to the end of the page of whatever size that maps it.
    pub(crate) contiguous: u64,
    /// Whether an aligned 2 MiB around the address are mapped alike.
    pub(crate) is_large: bool,
}

/// Follows the tables from `root` for `address`. `read` returns the word at a physical address, or
/// `None` if that is none of the partition's. `None`: not mapped so that `access` is allowed.
pub(crate) fn walk(
    root: u64,
    address: u64,
    access: Access,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<Translation> {
    let mut table = root & ADDRESS;
    for shift in [39, 30, 21, 12] {
        let index = address >> shift & 511;
        let entry = read(table | index * ENTRY_BYTES)?;
        if entry & access.required() != access.required() {
            return None;
        }
        let is_leaf = shift == 12 || entry & LARGE != 0;
        if is_leaf {
            return (shift != 39).then(|| leaf(entry, address, 1 << shift));
        }
        table = entry & ADDRESS;
    }
    None
}

fn leaf(entry: u64, address: u64, page_bytes: u64) -> Translation {
    let inside = address & (page_bytes - 1) & !(PAGE_BYTES - 1);
    Translation {
        page: (entry & ADDRESS & !(page_bytes - 1)) | inside,
        contiguous: page_bytes - inside,
        is_large: page_bytes >= LARGE_PAGE_BYTES,
    }
}
