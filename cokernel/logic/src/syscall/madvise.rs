// SPDX-License-Identifier: GPL-2.0
//! madvise(2): the action that an advice asks for, and the areas that refuse it.

use ihk_ikc::errno::Errno;

use crate::vma::{Attributes, Kind, Marks};

/// The action that an advice asks for, on a part of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Nothing: a hint, but one that locked areas refuse if so said.
    Hint {
        /// Locked areas refuse it.
        not_locked: bool,
    },
    /// The program's view is emptied; what is shared is still there.
    Drop {
        /// It may be emptied later.
        lazily: bool,
        /// Locked areas, too.
        also_locked: bool,
    },
    /// Shared memory becomes zero for all processes that map it.
    Remove,
    /// A child of fork has it, or not.
    OmitByFork(bool),
    /// A child of fork finds it zeroed, or as it is.
    WipeByFork(bool),
    /// Large pages are wanted, or not.
    LargePages(bool),
    /// A core does not have it, or has it.
    OmitFromCore(bool),
    /// The pages become guards, which nothing may touch, or empty memory again.
    Guard(bool),
    /// Every page is there afterwards, and may be written if so said.
    Fill {
        /// As if all were written.
        write: bool,
    },
}

/// The deed of `advice`.
///
/// # Errors
///
/// `EINVAL` for what Linux does not know, and for what it does but we do not (collapsing, poison).
pub const fn deed(advice: i32) -> Result<Deed, Errno> {
    match advice {
        // NORMAL RANDOM SEQUENTIAL WILLNEED, (UN)MERGEABLE
        0..=3 | 12 | 13 => Ok(Deed::Hint { not_locked: false }),
        // HUGEPAGE, NOHUGEPAGE
        14 | 15 => Ok(Deed::LargePages(advice == 14)),
        // DONTDUMP, DODUMP
        16 | 17 => Ok(Deed::OmitFromCore(advice == 16)),
        // GUARD_INSTALL, GUARD_REMOVE
        102 | 103 => Ok(Deed::Guard(advice == 102)),
        // COLD PAGEOUT
        20 | 21 => Ok(Deed::Hint { not_locked: true }),
        // DONTNEED, FREE, DONTNEED_LOCKED
        4 | 8 | 24 => Ok(Deed::Drop {
            lazily: advice == 8,
            also_locked: advice == 24,
        }),
        // REMOVE
        9 => Ok(Deed::Remove),
        // DONTFORK, DOFORK
        10 | 11 => Ok(Deed::OmitByFork(advice == 10)),
        // WIPEONFORK, KEEPONFORK
        18 | 19 => Ok(Deed::WipeByFork(advice == 18)),
        // POPULATE_READ, POPULATE_WRITE
        22 | 23 => Ok(Deed::Fill {
            write: advice == 23,
        }),
        _ => Err(Errno::EINVAL),
    }
}

impl Deed {
    /// Whether an area with the attributes `what` refuses it.
    #[must_use]
    pub const fn is_refused_by(self, what: &Attributes) -> bool {
        match self {
            Self::Hint { not_locked } => not_locked && what.locked,
            // Of a file that is not known the contents cannot come again.
            Self::Drop {
                lazily: false,
                also_locked,
            } => what.locked && !also_locked || !is_anonymous(what.kind) && what.source == 0,
            Self::Drop { lazily: true, .. } => {
                what.locked || !is_anonymous(what.kind) || what.shared
            }
            Self::Remove => what.locked || !what.shared,
            Self::WipeByFork(wipe) => wipe && (what.shared || !is_anonymous(what.kind)),
            Self::Fill { write: true } => !what.protection.write,
            Self::Fill { write: false } => !what.protection.read,
            // Memory that processes share has no other place than their page tables.
            Self::Guard(guarded) => {
                matches!(what.kind, Kind::Special)
                    || what.shared && !what.kind.is_mirrored()
                    || guarded && what.locked
            }
            Self::OmitByFork(_) | Self::LargePages(_) | Self::OmitFromCore(_) => false,
        }
    }

    /// The attributes of an area `what` after it, if it changes any.
    #[must_use]
    pub const fn changed(self, what: Attributes) -> Option<Attributes> {
        match self {
            Self::OmitByFork(omitted_by_fork) => Some(Attributes {
                omitted_by_fork,
                ..what
            }),
            Self::WipeByFork(wiped) => Some(marked(what, Marks::WIPED_BY_FORK, wiped)),
            Self::LargePages(wanted) => Some(Attributes {
                small_pages: !wanted,
                ..what
            }),
            Self::OmitFromCore(omitted) => Some(marked(what, Marks::OMITTED_FROM_CORE, omitted)),
            Self::Guard(guarded) => Some(marked(what, Marks::GUARDED, guarded)),
            Self::Hint { .. } | Self::Drop { .. } | Self::Remove | Self::Fill { .. } => None,
        }
    }
}

const fn marked(what: Attributes, mark: Marks, is_set: bool) -> Attributes {
    Attributes {
        marks: what.marks.with(mark, is_set),
        ..what
    }
}

const fn is_anonymous(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Anonymous | Kind::Heap | Kind::Stack | Kind::ThreadStack
    )
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::vma::Protection;

    const NORMAL: i32 = 0;
    const DONTNEED: i32 = 4;
    const FREE: i32 = 8;
    const REMOVE: i32 = 9;
    const DONTFORK: i32 = 10;
    const DOFORK: i32 = 11;
    const HUGEPAGE: i32 = 14;
    const NOHUGEPAGE: i32 = 15;
    const WIPEONFORK: i32 = 18;
    const KEEPONFORK: i32 = 19;
    const COLD: i32 = 20;
    const PAGEOUT: i32 = 21;
    const POPULATE_READ: i32 = 22;
    const POPULATE_WRITE: i32 = 23;
    const DONTNEED_LOCKED: i32 = 24;
    const GUARD_INSTALL: i32 = 102;
    const GUARD_REMOVE: i32 = 103;

    const READ_WRITE: Protection = Protection {
        read: true,
        write: true,
        exec: false,
        key: 0,
    };

    fn memory() -> Attributes {
        Attributes::new(Kind::Anonymous, READ_WRITE)
    }

    fn locked() -> Attributes {
        Attributes {
            locked: true,
            ..memory()
        }
    }

    fn shared() -> Attributes {
        Attributes {
            shared: true,
            ..memory()
        }
    }

    fn file(source: u16) -> Attributes {
        Attributes {
            source,
            ..Attributes::new(Kind::File, READ_WRITE)
        }
    }

    fn refuses(what: Attributes, advice: i32) -> bool {
        deed(advice).expect("it is known").is_refused_by(&what)
    }

    /// madvise_behavior_valid of Linux, without what is refused here: collapsing and poison.
    #[test]
    fn each_advice_of_linux_is_known_and_no_other() {
        let known = (-1000..1000).filter(|advice| deed(*advice).is_ok());
        let linux = (0..=4).chain(8..=24).chain(102..=103);
        assert!(known.eq(linux));
        for refused in [25, 100, 101] {
            assert_eq!(deed(refused), Err(Errno::EINVAL));
        }
    }

    /// is_valid_guard_vma: not where Linux's own pages are, and not where memory is locked.
    #[test]
    fn guards_are_for_memory_of_the_program_that_is_not_locked() {
        assert!(!refuses(memory(), GUARD_INSTALL) && !refuses(file(1), GUARD_INSTALL));
        assert!(refuses(locked(), GUARD_INSTALL) && !refuses(locked(), GUARD_REMOVE));
        let special = Attributes::new(Kind::Special, READ_WRITE);
        assert!(refuses(special, GUARD_INSTALL));
        let change = |what, advice| deed(advice).ok().and_then(|deed| deed.changed(what));
        let guarded = change(memory(), GUARD_INSTALL).expect("it is marked");
        assert!(guarded.marks.has(Marks::GUARDED));
        assert_eq!(change(guarded, GUARD_REMOVE), Some(memory()));
    }

    /// madvise(2): MADV_DONTNEED fails for locked pages, MADV_DONTNEED_LOCKED does not.
    #[test]
    fn locked_memory_is_not_dropped_unless_so_said() {
        assert!(!refuses(memory(), DONTNEED));
        assert!(refuses(locked(), DONTNEED));
        assert!(!refuses(locked(), DONTNEED_LOCKED));
    }

    /// madvise(2): after MADV_DONTNEED the pages of a file come from the file again.
    #[test]
    fn a_file_is_dropped_if_its_pages_can_come_again() {
        assert!(!refuses(file(3), DONTNEED));
        assert!(refuses(file(0), DONTNEED));
    }

    /// madvise(2): MADV_FREE can be applied only to private anonymous pages; madvise_free_single_vma.
    #[test]
    fn only_private_memory_is_freed_lazily() {
        assert!(!refuses(memory(), FREE));
        for what in [locked(), shared(), file(3)] {
            assert!(refuses(what, FREE));
        }
        let stack = Attributes::new(Kind::Stack, READ_WRITE);
        assert!(!refuses(stack, FREE));
    }

    /// madvise(2): MADV_REMOVE wants a shared mapping that is not locked.
    #[test]
    fn only_shared_memory_is_removed_for_everybody() {
        assert!(!refuses(shared(), REMOVE));
        assert!(refuses(memory(), REMOVE));
        let both = Attributes {
            locked: true,
            ..shared()
        };
        assert!(refuses(both, REMOVE));
    }

    /// madvise(2): MADV_WIPEONFORK applies to private anonymous mappings only; MADV_KEEPONFORK undoes it.
    #[test]
    fn only_private_memory_is_wiped_by_fork() {
        for what in [shared(), file(3)] {
            assert!(refuses(what, WIPEONFORK));
            assert!(!refuses(what, KEEPONFORK));
        }
        assert!(!refuses(memory(), WIPEONFORK));
    }

    /// can_madv_lru_vma: locked areas refuse MADV_COLD and MADV_PAGEOUT with EINVAL.
    #[test]
    fn locked_memory_is_neither_cold_nor_paged_out() {
        for advice in [COLD, PAGEOUT] {
            assert!(refuses(locked(), advice));
            assert!(!refuses(memory(), advice));
        }
        assert!(!refuses(locked(), NORMAL));
    }

    /// madvise(2): MADV_POPULATE_READ and _WRITE fail with EINVAL if the access is not permitted.
    #[test]
    fn pages_are_brought_in_only_for_an_access_that_is_permitted() {
        let with = |read, write| {
            let protection = Protection {
                read,
                write,
                ..Protection::default()
            };
            Attributes::new(Kind::Anonymous, protection)
        };
        assert!(!refuses(with(true, false), POPULATE_READ));
        assert!(refuses(with(true, false), POPULATE_WRITE));
        assert!(refuses(with(false, false), POPULATE_READ));
        assert!(!refuses(with(true, true), POPULATE_WRITE));
    }

    #[test]
    fn each_advice_about_attributes_has_one_that_undoes_it() {
        let after = |advice, what| deed(advice).expect("it is known").changed(what);
        for (advice, undone_by) in [
            (DONTFORK, DOFORK),
            (WIPEONFORK, KEEPONFORK),
            (NOHUGEPAGE, HUGEPAGE),
        ] {
            let changed = after(advice, memory()).expect("it changes something");
            assert_ne!(changed, memory(), "{advice}");
            assert_eq!(after(advice, changed), Some(changed));
            assert_eq!(after(undone_by, changed), Some(memory()));
        }
        assert!(after(DONTFORK, memory()).is_some_and(|what| what.omitted_by_fork));
        assert!(
            after(WIPEONFORK, memory()).is_some_and(|what| what.marks.has(Marks::WIPED_BY_FORK))
        );
        assert!(after(NOHUGEPAGE, memory()).is_some_and(|what| what.small_pages));
        assert_eq!(after(DONTNEED, memory()), None);
    }
}
