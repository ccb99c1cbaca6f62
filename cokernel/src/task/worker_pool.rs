// SPDX-License-Identifier: GPL-2.0
//! The workers of a process: [`cokernel_logic::worker_places`] says which slots are taken, and which
//! have one.
//!
//! A thread that ends leaves its worker asleep in the slot, and when that has rested, another thread takes both
//! without a word to Linux. That stops for good when the process used a call that changes what threads
//! inherit: from then on each worker is made by the worker of the thread that makes a thread.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use cokernel_logic::worker_places::{NoPlace, Places};
pub use cokernel_logic::worker_places::{Place, SPARES};
use cokernel_logic::worker_pool;
use ihk_ikc::slot::{MAX_SLOTS, SLOTS_PER_PAGE};

use crate::errno::Errno;
use crate::sync::SpinLock;
use crate::task::slots::Slots;

/// The states of a process's slots.
pub struct Pool(Inner);

/// So many workers of threads that have ended rest before one gets another thread, whose id is then that of the other.
const REST: usize = 16;

type Inner =
    worker_pool::Pool<SLOTS_PER_PAGE, MAX_SLOTS, SpinLock<Places<SLOTS_PER_PAGE, MAX_SLOTS>>>;

impl Pool {
    /// Slot 0 is the main thread's.
    pub fn new() -> Self {
        Self(Inner::new(REST))
    }

    /// Whether threads inherit what a worker that waits does not have.
    pub fn inherits_state(&self) -> bool {
        self.0.inherits_state()
    }

    /// A slot whose worker waits for a thread, and the worker's thread id.
    pub fn take_ready(&self, slots: &Slots) -> Option<(u32, i32)> {
        self.0.take_ready(|index| worker_tid(slots, index))
    }

    /// An empty slot, for a thread, and as many others as should have a worker soon.
    pub fn take_empty(
        &self,
        slots: &Slots,
        most_spares: usize,
    ) -> Result<(u32, [u64; SPARES]), Errno> {
        let worker_of = |index| worker_tid(slots, index);
        self.0
            .take_empty(worker_of, |page| slots.add_page(page), most_spares)
            .map_err(|why| match why {
                NoPlace::Full => Errno::EAGAIN,
                NoPlace::NoMemory => Errno::ENOMEM,
            })
    }

    /// `slot` is at `place` from now on.
    pub fn set(&self, slot: u32, place: Place) {
        self.0.set(slot, place);
    }

    /// The thread of `slot` ends. Whether its worker stays, for another thread.
    pub fn retire(&self, slot: u32, marked: bool) -> bool {
        self.0.retire(slot, marked)
    }

    /// Threads inherit from now on what a worker that waits does not have. Marks all slots that wait for a
    /// thread as leaving, if that is news, and returns which they were.
    pub fn begin_inheriting_state(&self) -> Vec<u32> {
        self.0.begin_inheriting_state()
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
