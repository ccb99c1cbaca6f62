// SPDX-License-Identifier: GPL-2.0
//! The workers of a process. A thread that ends leaves its worker asleep in its slot, and the next thread
//! takes both without a word to Linux; until the process changes what threads inherit.
//!
//! ```text
//!  thread ends                           thread changes what threads inherit
//!  locks the slots                       says so (inherits_state)
//!  has that been said?                   locks the slots
//!  no: its worker waits for a thread     tells all that wait for a thread to leave
//!  yes: its worker leaves
//! ```
//! **End against change** (loom: `tests/loom_workers.rs`). The lock orders the two: either the thread that
//! ends reads what was said, or its worker waits already when those that wait are told to leave. So no
//! worker that does not have what threads inherit waits for a thread.

use alloc::vec::Vec;

use crate::atomic::{AtomicBool, Ordering};
use crate::lock::Lock;
use crate::worker_places::{NoPlace, Place, Places, SPARES};

/// See the module documentation; `L` locks the slots. Lock order: this, then frames.
pub struct Pool<const PER_PAGE: usize, const MOST: usize, L> {
    places: L,
    /// Threads inherit what a worker that waits does not have. Set once, by a thread of the process.
    inherits_state: AtomicBool,
}

impl<const PER_PAGE: usize, const MOST: usize, L: Lock<Places<PER_PAGE, MOST>>>
    Pool<PER_PAGE, MOST, L>
{
    /// Slot 0 is the main thread's; see [`Places::new`].
    #[must_use]
    pub fn new(rest: usize) -> Self {
        Self {
            places: L::new(Places::new(rest)),
            inherits_state: AtomicBool::new(false),
        }
    }

    /// Whether threads inherit what a worker that waits does not have.
    pub fn inherits_state(&self) -> bool {
        self.inherits_state.load(Ordering::Acquire)
    }

    /// A slot whose worker waits for a thread, and the worker's thread id, which `worker_of` says.
    pub fn take_ready(&self, worker_of: impl Fn(u32) -> Option<i32>) -> Option<(u32, i32)> {
        self.places.lock().take_ready(worker_of)
    }

    /// See [`Places::take_empty`].
    ///
    /// # Errors
    ///
    /// See [`NoPlace`].
    pub fn take_empty(
        &self,
        worker_of: impl Fn(u32) -> Option<i32>,
        add_page: impl FnOnce(usize) -> Option<()>,
        most_spares: usize,
    ) -> Result<(u32, [u64; SPARES]), NoPlace> {
        let mut places = self.places.lock();
        places.take_empty(worker_of, add_page, most_spares)
    }

    /// `slot` is at `place` from now on.
    pub fn set(&self, slot: u32, place: Place) {
        self.places.lock().set(slot, place);
    }

    /// The thread of `slot` ends. Whether its worker stays, for another thread; it never does if it is
    /// `marked`, because it is not what threads inherit.
    pub fn retire(&self, slot: u32, marked: bool) -> bool {
        let mut places = self.places.lock();
        let may_stay = !marked && !self.inherits_state();
        places.retire(slot, may_stay)
    }

    /// Threads inherit from now on what a worker that waits does not have. Marks all slots that wait for a
    /// thread as leaving, if that is news, and returns which they were.
    pub fn begin_inheriting_state(&self) -> Vec<u32> {
        if self.inherits_state.swap(true, Ordering::AcqRel) {
            return Vec::new();
        }
        self.places.lock().clear_ordered()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::cell::RefCell;

    use super::*;

    type Small = Pool<4, 8, RefCell<Places<4, 8>>>;

    fn worker(slot: u32) -> Option<i32> {
        i32::try_from(slot + 100).ok()
    }

    fn thread(pool: &Small) -> u32 {
        let taken = pool.take_empty(|_| None, |_| Some(()), 0);
        taken.expect("there is room").0
    }

    #[test]
    fn a_worker_that_stays_serves_the_next_thread() {
        let pool = Small::new(0);
        let slot = thread(&pool);
        assert_eq!(pool.take_ready(worker), None);
        assert!(pool.retire(slot, false));
        assert_eq!(pool.take_ready(worker), Some((slot, 100 + 1)));
        assert_eq!(pool.take_ready(worker), None, "it has a thread now");
    }

    #[test]
    fn a_worker_that_is_not_what_threads_inherit_leaves() {
        let pool = Small::new(0);
        let slot = thread(&pool);
        assert!(!pool.retire(slot, true));
        assert_eq!(pool.take_ready(worker), None);
        assert!(!pool.inherits_state(), "others may stay");
    }

    /// clone(2): a thread inherits its creator's state, so that no worker made before a change may stand
    /// for a thread made after it.
    #[test]
    fn after_a_change_no_worker_waits_for_a_thread() {
        let pool = Small::new(0);
        let (first, second) = (thread(&pool), thread(&pool));
        assert!(pool.retire(first, false));
        assert_eq!(pool.begin_inheriting_state(), [first]);
        assert!(pool.inherits_state());
        assert!(!pool.retire(second, false));
        assert_eq!(pool.take_ready(worker), None);
    }

    #[test]
    fn the_second_change_finds_nobody_to_tell() {
        let pool = Small::new(0);
        let slot = thread(&pool);
        assert!(pool.retire(slot, false));
        assert_eq!(pool.begin_inheriting_state(), [slot]);
        assert_eq!(pool.begin_inheriting_state(), []);
    }

    #[test]
    fn a_full_pool_grows_by_a_page_and_not_beyond_the_most() {
        let pool = Small::new(0);
        let mut pages = Vec::new();
        let mut take = || {
            pool.take_empty(
                |_| None,
                |page| {
                    pages.push(page);
                    Some(())
                },
                0,
            )
        };
        for slot in 1..8 {
            assert_eq!(take(), Ok((slot, [0; SPARES])));
        }
        assert_eq!(take(), Err(NoPlace::Full));
        assert_eq!(pages, [1], "slot 4 is the first of the second page");
        pool.set(3, Place::Empty);
        assert_eq!(thread(&pool), 3);
    }
}
