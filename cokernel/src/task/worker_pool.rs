// SPDX-License-Identifier: GPL-2.0
//! Which slots are taken, and which have a worker.
//!
//! ```text
//!            NEW_WORKER names it                worker is there
//!  empty ───────────────────────► ordered ─────────────────────► (ready)
//!    │  NEW_WORKER for a thread                                     │ a thread takes it
//!    └──────────────────────────────────► used ◄────────────────────┘
//!  empty ◄── worker is gone ── leaving ◄── WORKER_EXIT ── used or ordered
//!                                        used ── thread ends ──► ordered
//! ```
//! A thread that ends leaves its worker asleep in the slot, and the next thread takes both without
//! a word to Linux. That stops for good when the process used a call that changes what threads
//! inherit: from then on each worker is made by the worker of the thread that makes a thread.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use ihk_ikc::slot::{MAX_SLOTS, SLOTS_PER_PAGE};

use crate::errno::Errno;
use crate::sync::SpinLock;
use crate::task::slots::Slots;

/// Most workers that are ordered in advance at once.
pub const SPARES: usize = 5;
/// Most workers that wait for a thread.
const MOST_IDLE: usize = 32;

/// What a slot is to the pool.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// No worker.
    Empty,
    /// A worker is there if its thread id is, or on its way.
    Ordered,
    /// A thread's.
    Used,
    /// The worker was told to end; when its thread id is gone, the slot is empty.
    Leaving,
}

/// The states of a process's slots. Lock order: this, then frames.
pub struct Pool {
    places: SpinLock<Vec<Place>>,
    /// Threads inherit what a worker that waits does not have.
    pub state_changed: AtomicBool,
}

impl Pool {
    /// Slot 0 is the main thread's.
    pub fn new() -> Self {
        let mut places = Vec::new();
        places.resize(SLOTS_PER_PAGE, Place::Empty);
        places[0] = Place::Used;
        Self {
            places: SpinLock::new(places),
            state_changed: AtomicBool::new(false),
        }
    }

    /// A slot whose worker waits for a thread, and the worker's thread id.
    pub fn take_ready(&self, slots: &Slots) -> Option<(u32, i32)> {
        let mut places = self.places.lock();
        (0..).zip(places.iter_mut()).find_map(|(index, place)| {
            let tid = (*place == Place::Ordered)
                .then(|| worker_tid(slots, index))
                .flatten()?;
            *place = Place::Used;
            Some((index, tid))
        })
    }

    /// An empty slot, for a thread, and as many others as should have a worker soon.
    pub fn take_empty(
        &self,
        slots: &Slots,
        most_spares: usize,
    ) -> Result<(u32, [u64; SPARES]), Errno> {
        let mut places = self.places.lock();
        for (index, place) in (0..).zip(places.iter_mut()) {
            if *place == Place::Leaving && worker_tid(slots, index).is_none() {
                *place = Place::Empty;
            }
        }
        if !places.contains(&Place::Empty) {
            let page = places.len() / SLOTS_PER_PAGE;
            if places.len() >= MAX_SLOTS {
                return Err(Errno::EAGAIN);
            }
            slots.add_page(page).ok_or(Errno::ENOMEM)?;
            places.resize((page + 1) * SLOTS_PER_PAGE, Place::Empty);
        }
        let used = places.iter().filter(|place| **place == Place::Used).count();
        let mut empty = (0..)
            .zip(places.iter_mut())
            .filter(|(_, place)| **place == Place::Empty);
        let (slot, place) = empty.next().ok_or(Errno::EAGAIN)?;
        *place = Place::Used;
        let mut spares = [0; SPARES];
        for (spare, (index, place)) in spares.iter_mut().zip(empty).take(used.min(most_spares)) {
            *place = Place::Ordered;
            *spare = u64::from(index);
        }
        Ok((slot, spares))
    }

    /// `slot` is at `place` from now on.
    pub fn set(&self, slot: u32, place: Place) {
        self.places.lock()[slot as usize] = place;
    }

    /// The thread of `slot` ends. Whether its worker stays, for another thread.
    pub fn retire(&self, slot: u32, marked: bool) -> bool {
        let mut places = self.places.lock();
        let idle = places
            .iter()
            .filter(|place| **place == Place::Ordered)
            .count();
        let stays = !marked && idle < MOST_IDLE && !self.state_changed.load(Ordering::Acquire);
        places[slot as usize] = if stays {
            Place::Ordered
        } else {
            Place::Leaving
        };
        stays
    }

    /// Marks all slots that wait for a thread as leaving; which they were.
    pub fn clear_ordered(&self) -> Vec<u32> {
        let mut cleared = Vec::new();
        for (index, place) in (0..).zip(self.places.lock().iter_mut()) {
            if *place == Place::Ordered {
                *place = Place::Leaving;
                cleared.push(index);
            }
        }
        cleared
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

/// The worker's thread id, if it has said one.
fn worker_tid(slots: &Slots, index: u32) -> Option<i32> {
    let tid = slots.slot(index).worker_tid.load(Ordering::Acquire);
    i32::try_from(tid).ok().filter(|tid| *tid > 0)
}
