// SPDX-License-Identifier: GPL-2.0
//! Areas: ranges of addresses and what all addresses of one have in common.

/// A half-open range of addresses, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
}

impl Range {
    /// `bytes` from `start` on; `None` if that wraps.
    #[must_use]
    pub fn new(start: u64, bytes: u64) -> Option<Self> {
        let end = start.checked_add(bytes)?;
        Some(Self { start, end })
    }

    /// Length in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Whether nothing lies in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether `address` lies in it.
    #[must_use]
    pub const fn contains(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub const fn covers(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two share an address.
    #[must_use]
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The part that the two share (may be empty).
    #[must_use]
    pub fn clip(&self, other: &Self) -> Self {
        let start = self.start.max(other.start);
        Self {
            start,
            end: self.end.min(other.end).max(start),
        }
    }
}

/// The kind of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Part of the program image.
    Segment,
    /// Anonymous memory of mmap.
    Anonymous,
    /// A private copy of a file's pages.
    File,
    /// The main thread's stack.
    Stack,
    /// Another thread's stack (`MAP_STACK`): little of it is ever touched.
    ThreadStack,
    /// Below the program break.
    Heap,
    /// Linux's vvar and vdso pages: not ours to free, not to be changed.
    Special,
    /// A file that Linux has mapped, shared or large: pages of Linux's.
    MappedFile,
    /// System V shared memory: pages of Linux's.
    SystemV,
}

impl Kind {
    /// Whether the pages are Linux's, which may take them back at any time.
    #[must_use]
    pub const fn is_mirrored(self) -> bool {
        matches!(self, Self::MappedFile | Self::SystemV)
    }
}

/// Rights of the program, as in Linux's `PROT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Protection {
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub exec: bool,
    /// The protection key; 0 = everybody's. Means nothing to Linux, whose calls do not heed it.
    pub key: u8,
}

impl Protection {
    /// Whether any access is allowed (x86 pages that are present can be read).
    #[must_use]
    pub const fn is_accessible(&self) -> bool {
        self.read || self.write || self.exec
    }

    /// Readable in effect but not writable: what must be a read-only area in the proxy, too.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.is_accessible() && !self.write
    }
}

/// The attributes that all addresses of an area have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Rights.
    pub protection: Protection,
    /// Purpose.
    pub kind: Kind,
    /// Memory comes at the first touch only.
    pub on_demand: bool,
    /// Charged to `RLIMIT_MEMLOCK`.
    pub locked: bool,
    /// A child of fork has the same memory, not a copy.
    pub shared: bool,
    /// Large pages are not wanted.
    pub small_pages: bool,
    /// A fault below it makes it longer.
    pub grows_down: bool,
    /// A child of fork has nothing there.
    pub omitted_by_fork: bool,
    /// What is rare.
    pub marks: Marks,
    /// Number of its memory policy; 0 = that of who touches it.
    pub policy: u16,
    /// Number of the [`crate::sources::Source`] of pages that are not there; 0 = none.
    pub source: u16,
}

/// Rare properties of an area, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// None.
    pub const NONE: Self = Self(0);
    /// A child of fork finds it zeroed.
    pub const WIPED_BY_FORK: Self = Self(1);
    /// Its file lies where nothing may be executed: mprotect cannot change that.
    pub const NEVER_EXECUTABLE: Self = Self(2);
    /// It is not in a core.
    pub const OMITTED_FROM_CORE: Self = Self(4);
    /// Guard pages: no access is allowed, whatever the rights.
    pub const GUARDED: Self = Self(8);

    /// Whether `mark` is among them.
    #[inline]
    #[must_use]
    pub const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// These with `mark`, or without.
    #[must_use]
    pub const fn with(self, mark: Self, is_set: bool) -> Self {
        Self(if is_set {
            self.0 | mark.0
        } else {
            self.0 & !mark.0
        })
    }
}

impl Attributes {
    /// Those of an area of `kind` with `protection`.
    #[must_use]
    pub const fn new(kind: Kind, protection: Protection) -> Self {
        Self {
            protection,
            kind,
            on_demand: false,
            locked: false,
            shared: false,
            small_pages: matches!(kind, Kind::Stack | Kind::ThreadStack),
            grows_down: false,
            omitted_by_fork: false,
            marks: Marks::NONE,
            policy: 0,
            source: 0,
        }
    }

    /// Whether it counts against `RLIMIT_DATA`: what the program alone may write, but stacks.
    #[must_use]
    pub const fn is_data(&self) -> bool {
        self.protection.write && !self.shared && !self.grows_down
    }
}

/// The bytes that a map holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// All areas.
    pub all: u64,
    /// Those for which [`Attributes::is_data`] holds.
    pub data: u64,
    /// Locked ones.
    pub locked: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, bytes: u64, what: &Attributes) {
        self.all += bytes;
        self.data += if what.is_data() { bytes } else { 0 };
        self.locked += if what.locked { bytes } else { 0 };
    }

    pub(crate) fn subtract(&mut self, bytes: u64, what: &Attributes) {
        self.all -= bytes;
        self.data -= if what.is_data() { bytes } else { 0 };
        self.locked -= if what.locked { bytes } else { 0 };
    }
}

/// An area: a range and its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// Its addresses.
    pub range: Range,
    /// Its attributes.
    pub attributes: Attributes,
}

/// Lists of as many areas as a program may have must fit into a block of 2 MiB of the kernel's heap.
const _: () = assert!(size_of::<Area>() <= 32);

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn range(start: u64, end: u64) -> Range {
        Range { start, end }
    }

    #[test]
    fn a_range_that_wraps_is_none() {
        assert_eq!(
            Range::new(u64::MAX - 1, 1),
            Some(range(u64::MAX - 1, u64::MAX))
        );
        assert_eq!(Range::new(u64::MAX - 1, 2), None);
    }

    #[test]
    fn neighbours_share_nothing() {
        assert!(!range(0, 10).overlaps(&range(10, 20)));
        assert!(range(0, 10).clip(&range(10, 20)).is_empty());
        assert!(range(0, 11).overlaps(&range(10, 20)));
    }

    #[test]
    fn only_pages_of_linux_are_mirrored() {
        assert!(Kind::MappedFile.is_mirrored() && Kind::SystemV.is_mirrored());
        for kind in [
            Kind::Segment,
            Kind::Anonymous,
            Kind::File,
            Kind::Stack,
            Kind::ThreadStack,
            Kind::Heap,
            Kind::Special,
        ] {
            assert!(!kind.is_mirrored());
        }
    }

    #[test]
    fn what_can_be_touched_but_not_written_is_read_only() {
        let of = |read, write, exec| Protection {
            read,
            write,
            exec,
            key: 0,
        };
        assert!(!of(false, false, false).is_read_only());
        assert!(of(true, false, false).is_read_only());
        assert!(of(false, false, true).is_read_only());
        assert!(!of(false, true, false).is_read_only());
        assert!(!of(true, true, true).is_read_only());
    }

    #[test]
    fn a_stack_is_no_data_and_has_small_pages() {
        let writable = Protection {
            write: true,
            ..Protection::default()
        };
        let mut what = Attributes::new(Kind::Stack, writable);
        assert!(what.small_pages && what.is_data());
        what.grows_down = true;
        assert!(!what.is_data());
        assert!(!Attributes::new(Kind::Heap, writable).small_pages);
        assert!(!Attributes::new(Kind::Heap, Protection::default()).is_data());
    }

    proptest! {
        #[test]
        fn what_ranges_say_of_each_other_is_true_of_their_addresses(
            (a, b) in (0..20u64, 0..20u64),
            (c, d) in (0..20u64, 0..20u64),
        ) {
            let (one, other) = (range(a.min(b), a.max(b)), range(c.min(d), c.max(d)));
            let both = |at: &u64| one.contains(*at) && other.contains(*at);
            let shared = (0..20).filter(both).count() as u64;
            let clipped = one.clip(&other);
            prop_assert_eq!(clipped.bytes(), shared);
            prop_assert!(clipped.is_empty() || one.covers(&clipped) && other.covers(&clipped));
            if !one.is_empty() && !other.is_empty() {
                prop_assert_eq!(one.overlaps(&other), shared != 0);
                prop_assert_eq!(one.covers(&other), shared == other.bytes());
            }
        }
    }
}
