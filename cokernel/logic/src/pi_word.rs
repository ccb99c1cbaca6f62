// SPDX-License-Identifier: GPL-2.0
//! The word of a futex with an owner: what it becomes when somebody wants it, and when its owner
//! gives it away.
//!
//! User space takes and gives back a word without waiters by itself (0 ↔ its thread id); everything
//! else happens in the kernel, under the lock of the word's queue.

/// Somebody waits: only the kernel may unlock.
pub const WAITERS: u32 = 0x8000_0000;
/// The last owner ended without unlocking.
pub const OWNER_DIED: u32 = 0x4000_0000;
/// The owner's thread id.
pub const OWNER: u32 = 0x3fff_ffff;

/// The state of the word for a thread that wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nobody owns it: it is the thread's when the word has become this.
    Free(u32),
    /// Somebody else owns it, who may be waited for when the word has become this.
    Owned {
        /// The word, saying that somebody waits.
        marked: u32,
        /// The owner's thread id.
        owner: u32,
    },
    /// The thread itself owns it.
    Own,
}

/// The state of `word` for thread `own`; `others` says whether others wait for it.
#[inline]
#[must_use]
pub const fn find(word: u32, own: u32, others: bool) -> Found {
    match word & OWNER {
        0 => {
            let mark = if others { WAITERS } else { 0 };
            Found::Free(own | word & OWNER_DIED | mark)
        }
        owner if owner == own => Found::Own,
        owner => Found::Owned {
            marked: word | WAITERS,
            owner,
        },
    }
}

/// The word that is handed over to thread `heir`, or to nobody, with `mark`; `more` wait behind it.
#[inline]
#[must_use]
pub const fn handed_over(heir: Option<u32>, more: bool, mark: u32) -> u32 {
    match heir {
        Some(heir) if more => heir | WAITERS | mark,
        Some(heir) => heir | mark,
        None => mark,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const ME: u32 = 1000;
    const OTHER: u32 = 2000;

    #[test]
    fn a_free_word_becomes_the_threads_own() {
        assert_eq!(find(0, ME, false), Found::Free(ME));
        assert_eq!(find(0, ME, true), Found::Free(ME | WAITERS));
    }

    #[test]
    fn who_takes_a_word_learns_that_its_owner_died() {
        assert_eq!(find(OWNER_DIED, ME, false), Found::Free(ME | OWNER_DIED));
        assert_eq!(
            find(OWNER_DIED | WAITERS, ME, true),
            Found::Free(ME | OWNER_DIED | WAITERS)
        );
    }

    #[test]
    fn a_stale_mark_of_waiters_goes_with_the_last_one() {
        assert_eq!(find(WAITERS, ME, false), Found::Free(ME));
    }

    #[test]
    fn who_waits_marks_the_word_and_changes_nothing_else() {
        for bits in [0, WAITERS, OWNER_DIED] {
            let expected = Found::Owned {
                marked: OTHER | bits | WAITERS,
                owner: OTHER,
            };
            assert_eq!(find(OTHER | bits, ME, false), expected);
        }
    }

    #[test]
    fn nobody_waits_for_itself() {
        for bits in [0, WAITERS, OWNER_DIED, WAITERS | OWNER_DIED] {
            assert_eq!(find(ME | bits, ME, true), Found::Own);
        }
    }

    #[test]
    fn the_heir_gets_the_word_and_the_mark() {
        assert_eq!(handed_over(Some(ME), false, 0), ME);
        assert_eq!(handed_over(Some(ME), true, 0), ME | WAITERS);
        assert_eq!(
            handed_over(Some(ME), true, OWNER_DIED),
            ME | WAITERS | OWNER_DIED
        );
        assert_eq!(handed_over(None, false, 0), 0);
        assert_eq!(handed_over(None, false, OWNER_DIED), OWNER_DIED);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Want(u32),
        GiveUp(usize),
        Unlock,
        Die,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1..6u32).prop_map(Step::Want),
            1 => any::<usize>().prop_map(Step::GiveUp),
            2 => Just(Step::Unlock),
            1 => Just(Step::Die),
        ]
    }

    proptest! {
        /// Each who waits gets the word in turn, and while somebody waits the owner cannot give it
        /// back without the kernel.
        #[test]
        fn nobody_who_waits_is_passed_over(steps in proptest::collection::vec(step(), 0..60)) {
            let mut word = 0;
            let mut waiting = VecDeque::new();
            let mut owner = None;
            for step in steps {
                match step {
                    Step::Want(who) if waiting.contains(&who) => {}
                    Step::Want(who) => match find(word, who, !waiting.is_empty()) {
                        Found::Free(new) => {
                            prop_assert_eq!(owner, None);
                            word = new;
                            owner = Some(who);
                        }
                        Found::Own => prop_assert_eq!(owner, Some(who)),
                        Found::Owned { marked, owner: has_it } => {
                            prop_assert_eq!(owner, Some(has_it));
                            word = marked;
                            waiting.push_back(who);
                        }
                    },
                    Step::GiveUp(which) if !waiting.is_empty() => {
                        waiting.remove(which % waiting.len());
                    }
                    Step::GiveUp(_) => {}
                    Step::Unlock | Step::Die if owner.is_none() => {}
                    step => {
                        let mark = if matches!(step, Step::Die) { OWNER_DIED } else { 0 };
                        owner = waiting.pop_front();
                        word = handed_over(owner, !waiting.is_empty(), mark);
                        prop_assert_eq!(word & OWNER_DIED, mark);
                    }
                }
                prop_assert_eq!(word & OWNER, owner.unwrap_or(0));
                prop_assert!(waiting.is_empty() || word & WAITERS != 0);
            }
        }
    }
}
