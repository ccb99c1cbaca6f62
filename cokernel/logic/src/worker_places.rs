// SPDX-License-Identifier: GPL-2.0
//! The slots of a process that are taken, and those that have a worker.
//!
//! ```text
//!            NEW_WORKER names it                worker is there
//!  empty ───────────────────────► ordered ─────────────────────► (ready)
//!    │  NEW_WORKER for a thread                                     │ a thread takes it
//!    └──────────────────────────────────► used ◄────────────────────┘
//!                                          │ ▲
//!                             thread ends  ▼ │ enough others rest: a thread takes it
//!                                        resting
//!  empty ◄── worker is gone ── leaving ◄── WORKER_EXIT ── used, ordered or resting
//! ```
//! A thread has its worker's id, and ids of threads that have ended are not to come back at once: a worker that had a
//! thread rests until some others do, the one that has rested longest comes first, and until then new ones are made.
//! Whether a worker is there, the slot itself says: the caller asks it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Most workers that are ordered in advance at once.
pub const SPARES: usize = 5;
/// Most workers that wait for a thread.
const MOST_IDLE: usize = 32;

/// The state of a slot in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// No worker.
    Empty,
    /// A worker is there if its thread id is, or on its way.
    Ordered,
    /// A thread's.
    Used,
    /// The worker of a thread that has ended.
    Resting,
    /// The worker was told to end; when its thread id is gone, the slot is empty.
    Leaving,
}

/// The reason why there is no empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The process has as many slots as there can be.
    Full,
    /// There is no memory for more of them.
    NoMemory,
}

/// The slots of a process: a multiple of `PER_PAGE`, at most `MOST`.
pub struct Places<const PER_PAGE: usize, const MOST: usize> {
    places: Vec<Place>,
    /// Those that rest, the first one for longest.
    resting: VecDeque<u32>,
    /// So many others rest when a worker is taken that rested.
    rest: usize,
}

impl<const PER_PAGE: usize, const MOST: usize> Places<PER_PAGE, MOST> {
    /// One page of them; slot 0 is the main thread's. A worker that had a thread gets another one when `rest`
    /// others rest.
    #[must_use]
    pub fn new(rest: usize) -> Self {
        let mut places = Vec::new();
        places.resize(PER_PAGE, Place::Empty);
        places[0] = Place::Used;
        Self {
            places,
            resting: VecDeque::new(),
            rest,
        }
    }

    /// A slot whose worker waits for a thread, and the worker's thread id, which `worker_of` says. One that had no
    /// thread yet comes first.
    #[inline]
    pub fn take_ready(&mut self, worker_of: impl Fn(u32) -> Option<i32>) -> Option<(u32, i32)> {
        self.take_ordered(&worker_of)
            .or_else(|| self.take_rested(&worker_of))
    }

    #[inline]
    fn take_ordered(&mut self, worker_of: impl Fn(u32) -> Option<i32>) -> Option<(u32, i32)> {
        (0..)
            .zip(self.places.iter_mut())
            .find_map(|(index, place)| {
                let tid = (*place == Place::Ordered)
                    .then(|| worker_of(index))
                    .flatten()?;
                *place = Place::Used;
                Some((index, tid))
            })
    }

    #[inline]
    fn take_rested(&mut self, worker_of: impl Fn(u32) -> Option<i32>) -> Option<(u32, i32)> {
        let first = self.resting.front().copied();
        let index = first.filter(|_| self.resting.len() > self.rest)?;
        let tid = worker_of(index)?;
        self.resting.pop_front();
        self.set(index, Place::Used);
        Some((index, tid))
    }

    /// An empty slot, for a thread, and as many others as should have a worker soon (0 behind the
    /// last one): no more than there are threads, nor than `most_spares`. `add_page` makes another
    /// page of slots, whose number it is told.
    ///
    /// # Errors
    ///
    /// See [`NoPlace`].
    #[inline]
    pub fn take_empty(
        &mut self,
        worker_of: impl Fn(u32) -> Option<i32>,
        add_page: impl FnOnce(usize) -> Option<()>,
        most_spares: usize,
    ) -> Result<(u32, [u64; SPARES]), NoPlace> {
        self.collect_leavers(worker_of);
        if !self.places.contains(&Place::Empty) {
            let page = self.places.len() / PER_PAGE;
            if self.places.len() >= MOST {
                return Err(NoPlace::Full);
            }
            add_page(page).ok_or(NoPlace::NoMemory)?;
            self.places.resize((page + 1) * PER_PAGE, Place::Empty);
        }
        let used = self.count(Place::Used);
        let mut empty = (0..)
            .zip(self.places.iter_mut())
            .filter(|(_, place)| **place == Place::Empty);
        let (slot, place) = empty.next().ok_or(NoPlace::Full)?;
        *place = Place::Used;
        let mut spares = [0; SPARES];
        for (spare, (index, place)) in spares.iter_mut().zip(empty).take(used.min(most_spares)) {
            *place = Place::Ordered;
            *spare = u64::from(index);
        }
        Ok((slot, spares))
    }

    /// `slot` is at `place` from now on. Panics if there is none: indices are the co-kernel's own.
    #[inline]
    pub fn set(&mut self, slot: u32, place: Place) {
        self.places[slot as usize] = place;
    }

    /// The thread of `slot` ends. Whether its worker stays, for another thread, if it `may_stay`.
    #[inline]
    pub fn retire(&mut self, slot: u32, may_stay: bool) -> bool {
        let idle = self.count(Place::Ordered) + self.resting.len();
        let stays = may_stay && idle < MOST_IDLE;
        if stays {
            self.set(slot, Place::Resting);
            self.resting.push_back(slot);
        } else {
            self.set(slot, Place::Leaving);
        }
        stays
    }

    /// Marks all slots that wait for a thread as leaving; which they were.
    pub fn clear_ordered(&mut self) -> Vec<u32> {
        let mut cleared = Vec::new();
        self.resting.clear();
        for (index, place) in (0..).zip(self.places.iter_mut()) {
            if matches!(place, Place::Ordered | Place::Resting) {
                *place = Place::Leaving;
                cleared.push(index);
            }
        }
        cleared
    }

    /// Slots whose workers were told to end and did are empty.
    fn collect_leavers(&mut self, worker_of: impl Fn(u32) -> Option<i32>) {
        for (index, place) in (0..).zip(self.places.iter_mut()) {
            if *place == Place::Leaving && worker_of(index).is_none() {
                *place = Place::Empty;
            }
        }
    }

    fn count(&self, wanted: Place) -> usize {
        self.places.iter().filter(|place| **place == wanted).count()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
