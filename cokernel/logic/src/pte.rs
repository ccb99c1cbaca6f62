// SPDX-License-Identifier: GPL-2.0
//! Entries of page tables: the only encoder and decoder, and the sizes of leaves. Four levels. A leaf
//! with contents but no access right (PROT_NONE) is kept as a non-present entry.

use ihk_ikc::page_table::{
    self, ACCESSED, DIRTY, ENTRIES, GIANT_LEVEL, GLOBAL, LARGE, LARGE_LEVEL, NO_EXECUTE, PRESENT,
    SMALL_LEVEL, USER, WRITE,
};
use ihk_ikc::process::caching;
use x86_64::PhysAddr;

use crate::addr::to_usize;

pub use ihk_ikc::page_table::{ADDRESS, ROOT_LEVEL};

/// Set from the start: nobody reads them, and the CPU need not write them.
const TOUCHED: u64 = ACCESSED | DIRTY;
/// Free for software: [`Flags::mirrored`].
const MIRRORED: u64 = 1 << 9;
/// Software: the entry holds a frame although it is not present.
const HELD: u64 = 1 << 10;
/// The protection key of a leaf.
const KEY_SHIFT: u32 = 59;
const MOST_KEY: u8 = 0xf;
/// Software: a delegated call has used the page, see [`crate::page_table::Tables::note_use`].
pub const USED: u64 = 1 << 11;

/// Entries of a table.
pub const TABLE_LENGTH: usize = to_usize(ENTRIES);

/// Size of a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
    /// 1 GiB.
    Giant,
}

impl PageSize {
    /// In bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << page_table::shift(self.level())
    }

    /// The next smaller size; small pages are not divided.
    #[inline]
    #[must_use]
    pub const fn below(self) -> Self {
        match self {
            Self::Small | Self::Large => Self::Small,
            Self::Giant => Self::Large,
        }
    }

    /// Whether it is more than a small page.
    #[inline]
    #[must_use]
    pub const fn is_large(self) -> bool {
        !matches!(self, Self::Small)
    }

    /// The level of tables whose entries stand for so much.
    #[inline]
    #[must_use]
    pub const fn level(self) -> u32 {
        match self {
            Self::Small => SMALL_LEVEL,
            Self::Large => LARGE_LEVEL,
            Self::Giant => GIANT_LEVEL,
        }
    }
}

/// The rights and the caching of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Any access at all; without it the page is held but cannot be touched.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// Executable.
    pub exec: bool,
    /// By user space.
    pub user: bool,
    /// Its caching: index in Linux's page attribute table.
    pub caching: u64,
    /// The frame is Linux's, not the partition's. Means nothing to the hardware.
    pub mirrored: bool,
    /// The protection key.
    pub key: u8,
}

impl Flags {
    /// A program's page.
    #[inline]
    #[must_use]
    pub const fn user(read: bool, write: bool, exec: bool) -> Self {
        Self {
            read,
            write,
            exec,
            user: true,
            caching: 0,
            mirrored: false,
            key: 0,
        }
    }

    #[inline]
    const fn encode(self, is_large: bool) -> u64 {
        let mut bits = TOUCHED | caching::bits_of(self.caching, is_large);
        bits |= if self.read { PRESENT } else { HELD };
        if self.write {
            bits |= WRITE;
        }
        bits |= if self.user { USER } else { GLOBAL };
        if !self.exec {
            bits |= NO_EXECUTE;
        }
        if self.mirrored {
            bits |= MIRRORED;
        }
        bits | ((self.key & MOST_KEY) as u64) << KEY_SHIFT
    }

    #[inline]
    const fn decode(entry: u64, is_large: bool) -> Self {
        Self {
            read: entry & PRESENT != 0,
            write: entry & WRITE != 0,
            exec: entry & NO_EXECUTE == 0,
            user: entry & USER != 0,
            caching: caching::index_of(entry, is_large),
            mirrored: entry & MIRRORED != 0,
            key: (entry >> KEY_SHIFT).to_le_bytes()[0] & MOST_KEY,
        }
    }
}

/// A leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address of the page it points to.
    pub pa: PhysAddr,
    /// Its size.
    pub size: PageSize,
    /// Its rights.
    pub flags: Flags,
}

impl Mapping {
    /// The rights and the caching that `entry`, a leaf of `size`, has.
    #[inline]
    #[must_use]
    pub fn of(entry: u64, size: PageSize) -> Self {
        Self {
            pa: PhysAddr::new(entry & ADDRESS & !(size.bytes() - 1)),
            size,
            flags: Flags::decode(entry, size.is_large()),
        }
    }
}

/// The index of the entry for `va` in a table of `level`.
#[inline]
#[must_use]
pub const fn index(va: u64, level: u32) -> usize {
    to_usize(page_table::index(va, level))
}

/// The entry of a leaf.
#[inline]
#[must_use]
pub const fn leaf(pa: PhysAddr, size: PageSize, flags: Flags) -> u64 {
    let large = if size.is_large() { LARGE } else { 0 };
    pa.as_u64() | large | flags.encode(size.is_large())
}

/// An entry that points to the next table: the rights are the leaf's alone.
#[inline]
#[must_use]
pub fn pointer(below: PhysAddr) -> u64 {
    below.as_u64() | PRESENT | WRITE | USER | TOUCHED
}

/// Size of a leaf in a table of `level`.
#[inline]
#[must_use]
pub const fn size_at(level: u32) -> PageSize {
    match level {
        SMALL_LEVEL => PageSize::Small,
        LARGE_LEVEL => PageSize::Large,
        _ => PageSize::Giant,
    }
}

/// Whether a non-zero entry of a table of `level` is a leaf.
#[inline]
#[must_use]
pub const fn is_leaf_at(value: u64, level: u32) -> bool {
    level == SMALL_LEVEL || value & LARGE != 0
}

/// Whether `value`, an entry for `size`, points to a table.
#[inline]
#[must_use]
pub const fn is_table(value: u64, size: PageSize) -> bool {
    value != 0 && !is_leaf_at(value, size.level())
}
