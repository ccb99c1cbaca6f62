// SPDX-License-Identifier: GPL-2.0
//! Robust futexes: the list of the words that a thread holds, and what becomes of one when it ends
//! (`exit_robust_list` and `handle_futex_death` of Linux).

use crate::pi_word::{OWNER, OWNER_DIED, WAITERS};

/// Most entries that are followed, as many as Linux follows: the list may be a circle.
const MOST_ENTRIES: usize = 2048;
/// Bit of an entry's address: the word has an owner.
const HAS_OWNER: u64 = 1;

/// A word on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The word's address.
    pub word: u64,
    /// It is a futex with an owner.
    pub has_owner: bool,
    /// The thread was just locking or unlocking it: it may have been unlocked, but nobody woken.
    pub is_pending: bool,
}

/// Hands the words of the list at `head` to `release`. `read` gets the word at an address; a list that makes
/// no sense ends the walk.
pub fn walk(head: u64, read: impl Fn(u64) -> Option<u64>, mut release: impl FnMut(Entry)) {
    let field = |offset| read(head.checked_add(offset)?);
    let (Some(first), Some(offset), Some(pending)) = (field(0), field(8), field(16)) else {
        return;
    };
    let entry_of = |entry: u64, is_pending| Entry {
        word: (entry & !HAS_OWNER).wrapping_add(offset),
        has_owner: entry & HAS_OWNER != 0,
        is_pending,
    };
    let mut entry = first;
    for _ in 0..MOST_ENTRIES {
        if entry & !HAS_OWNER == head {
            break;
        }
        // Read before the word is released: its memory may be gone a moment later.
        let next = read(entry & !HAS_OWNER);
        if entry != pending {
            release(entry_of(entry, false));
        }
        let Some(next) = next else { return };
        entry = next;
    }
    if pending & !HAS_OWNER != 0 {
        release(entry_of(pending, true));
    }
}

/// The next step with a word whose holder has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is not the thread's: it stays as it is.
    Leave,
    /// It was unlocked already, but nobody woken: one waiter is to be.
    Wake,
    /// It goes to who waits to own it.
    Bequeath,
    /// It becomes this; then, if said so, one waiter is woken.
    Mark {
        /// The new value.
        new: u32,
        /// Whether one waiter is woken.
        wakes: bool,
    },
}

impl Entry {
    /// The next step, if the word is `word` now and the thread with id `id` has ended.
    #[must_use]
    pub const fn step(&self, word: u32, id: u32) -> Step {
        if self.is_pending && !self.has_owner && word == 0 {
            return Step::Wake;
        }
        if word & OWNER != id {
            return Step::Leave;
        }
        if self.has_owner && word & WAITERS != 0 {
            return Step::Bequeath;
        }
        Step::Mark {
            new: word & WAITERS | OWNER_DIED,
            wakes: word & WAITERS != 0,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const HEAD: u64 = 0x1000;
    const ID: u32 = 77;

    /// Memory with a list head: the first entry, the offset of words, and the pending entry.
    fn memory(first: u64, offset: u64, pending: u64) -> BTreeMap<u64, u64> {
        BTreeMap::from([(HEAD, first), (HEAD + 8, offset), (HEAD + 16, pending)])
    }

    fn walked(memory: &BTreeMap<u64, u64>) -> Vec<Entry> {
        let mut entries = Vec::new();
        walk(
            HEAD,
            |address| memory.get(&address).copied(),
            |entry| entries.push(entry),
        );
        entries
    }

    fn entry(word: u64, has_owner: bool, is_pending: bool) -> Entry {
        Entry {
            word,
            has_owner,
            is_pending,
        }
    }

    /// get_robust_list(2): the list is empty if it points to its head.
    #[test]
    fn an_empty_list_has_no_word() {
        assert_eq!(walked(&memory(HEAD, 16, 0)), []);
        assert_eq!(walked(&BTreeMap::new()), [], "no head");
    }

    /// futex_offset is signed, and from the entry to the word.
    #[test]
    fn words_lie_beside_their_entries() {
        let mut memory = memory(0x2000, (-0x20i64).cast_unsigned(), 0);
        memory.insert(0x2000, 0x3000 | 1);
        memory.insert(0x3000, HEAD);
        let expected = [entry(0x1fe0, false, false), entry(0x2fe0, true, false)];
        assert_eq!(walked(&memory), expected);
    }

    /// exit_robust_list: the pending entry is handled last and once, on the list or not.
    #[test]
    fn the_pending_word_comes_once_and_last() {
        let mut memory = memory(0x2000, 8, 0x2000);
        memory.insert(0x2000, 0x3000);
        memory.insert(0x3000, HEAD);
        let expected = [entry(0x3008, false, false), entry(0x2008, false, true)];
        assert_eq!(walked(&memory), expected);
        memory.insert(HEAD + 16, 0x4000 | 1);
        let words: Vec<u64> = walked(&memory).iter().map(|entry| entry.word).collect();
        assert_eq!(words, [0x2008, 0x3008, 0x4008]);
        assert_eq!(walked(&memory)[2], entry(0x4008, true, true));
    }

    /// exit_robust_list returns when an entry cannot be read, after it has handled that entry, without the
    /// pending one.
    #[test]
    fn a_list_that_breaks_off_ends_the_walk() {
        let memory = memory(0x2000, 8, 0x9000);
        assert_eq!(walked(&memory), [entry(0x2008, false, false)]);
    }

    /// ROBUST_LIST_LIMIT.
    #[test]
    fn a_circle_ends_after_2048_entries_and_the_pending_one() {
        let mut memory = memory(0x2000, 8, 0x9000);
        memory.insert(0x2000, 0x2000);
        let walked = walked(&memory);
        assert_eq!(walked.len(), 2048 + 1);
        assert_eq!(walked[2048], entry(0x9008, false, true));
    }

    #[test]
    fn the_end_of_all_addresses_is_not_read() {
        walk(u64::MAX - 7, |_| Some(0), |_| panic!("its fields wrap"));
    }

    /// handle_futex_death: `(uval & FUTEX_TID_MASK) != task_pid_vnr(curr)` leaves the word alone.
    #[test]
    fn a_word_of_somebody_else_stays_as_it_is() {
        for has_owner in [false, true] {
            let it = entry(0, has_owner, false);
            assert_eq!(it.step(ID + 1, ID), Step::Leave);
            assert_eq!(it.step((ID + 1) | WAITERS, ID), Step::Leave);
            assert_eq!(it.step(0, ID), Step::Leave);
        }
    }

    /// handle_futex_death: FUTEX_OWNER_DIED is set, FUTEX_WAITERS kept, and one waiter woken if there are any.
    #[test]
    fn a_word_of_the_thread_is_marked_and_a_waiter_woken() {
        let plain = entry(0, false, false);
        let marked = |new, wakes| Step::Mark { new, wakes };
        assert_eq!(plain.step(ID, ID), marked(OWNER_DIED, false));
        let with_waiters = ID | WAITERS;
        assert_eq!(
            plain.step(with_waiters, ID),
            marked(OWNER_DIED | WAITERS, true)
        );
        let owned = entry(0, true, false);
        assert_eq!(owned.step(ID, ID), marked(OWNER_DIED, false));
        assert_eq!(owned.step(with_waiters, ID), Step::Bequeath);
    }

    /// handle_futex_death: `pending_op && !pi && !uval` wakes one: the thread ended between unlocking the word
    /// and waking.
    #[test]
    fn a_pending_word_that_is_free_has_a_waiter_to_wake() {
        assert_eq!(entry(0, false, true).step(0, ID), Step::Wake);
        assert_eq!(entry(0, true, true).step(0, ID), Step::Leave);
        assert_eq!(entry(0, false, false).step(0, ID), Step::Leave);
        let locked = entry(0, false, true).step(ID, ID);
        assert_eq!(
            locked,
            Step::Mark {
                new: OWNER_DIED,
                wakes: false
            }
        );
    }

    proptest! {
        /// Whatever is on a list, each entry comes once, in order, and the pending one last.
        #[test]
        fn each_entry_comes_once(
            entries in proptest::collection::btree_map(2u64..100, any::<bool>(), 0..40),
            pending in proptest::option::of(0usize..40),
        ) {
            let list: Vec<u64> = entries.iter().map(|(n, owner)| (n * 0x1000) | u64::from(*owner)).collect();
            let pending = pending.and_then(|index| list.get(index)).copied().unwrap_or(0);
            let mut memory = memory(list.first().copied().unwrap_or(HEAD), 8, pending);
            for pair in list.windows(2) {
                memory.insert(pair[0] & !1, pair[1]);
            }
            if let Some(last) = list.last() {
                memory.insert(last & !1, HEAD);
            }
            let mut expected: Vec<u64> = list.iter().copied().filter(|it| *it != pending).collect();
            expected.extend((pending != 0).then_some(pending));
            let found = walked(&memory);
            prop_assert!(found.iter().map(|it| (it.word - 8) | u64::from(it.has_owner)).eq(expected));
            prop_assert_eq!(found.iter().filter(|it| it.is_pending).count(), usize::from(pending != 0));
        }
    }
}
