// SPDX-License-Identifier: GPL-2.0
//! The servers' half of the call queue: taking what was posted, and answering.

use super::super::atomic::{AtomicU32, Ordering};
use super::super::slot::Request;
use super::{
    advance, packed, prepare, wake_if, Entry, Queue, Wake, ASLEEP, DETACHED, DONE, FREE, PHASE,
    POSTED, TAKEN, USE, WAITER,
};

impl<'a> Queue<'a> {
    /// The next entry that nobody has taken: its index and its request. Entries that are not what
    /// they should be are left behind.
    #[must_use]
    pub fn take(&self) -> Option<(usize, Request)> {
        loop {
            let index = self.take_ticket()?;
            if let Some(request) = self.entries.get(index).and_then(take_entry) {
                return Some((index, request));
            }
            core::hint::spin_loop();
        }
    }

    /// The entry of the next ticket, which is the caller's.
    fn take_ticket(&self) -> Option<usize> {
        loop {
            let ticket = self.header.head.load(Ordering::Acquire);
            let word = self.order[self.place(ticket)].load(Ordering::Acquire);
            if word >> 16 == packed(ticket, 0) >> 16 {
                let next = ticket.wrapping_add(1);
                let head = &self.header.head;
                let moved =
                    head.compare_exchange(ticket, next, Ordering::AcqRel, Ordering::Relaxed);
                if moved.is_ok() {
                    return Some((word & 0xffff) as usize);
                }
            } else if self.header.head.load(Ordering::Acquire) == ticket {
                return None;
            }
            core::hint::spin_loop();
        }
    }

    /// Puts `result` into entry `index`, which the caller took. What to do for those that sleep on
    /// [`Self::state_of`] it, and for those that sleep for [`Self::space`].
    pub fn finish(&self, index: usize, result: i64) -> (Wake, Wake) {
        let entry = &self.entries[index];
        entry.last.store(result, Ordering::Relaxed);
        loop {
            let seen = entry.state.load(Ordering::Relaxed);
            let phase = if seen & DETACHED == 0 { DONE } else { FREE };
            let done = (seen & !(USE - 1)) | phase;
            let change =
                entry
                    .state
                    .compare_exchange(seen, done, Ordering::AcqRel, Ordering::Relaxed);
            if change.is_ok() {
                let waiter = wake_if(seen & WAITER != 0);
                let space = if phase == FREE {
                    advance(&self.header.space)
                } else {
                    Wake::Nobody
                };
                return (waiter, space);
            }
            core::hint::spin_loop();
        }
    }

    /// To be read before looking for an entry that has been posted.
    #[must_use]
    pub fn bell_seen(&self) -> u32 {
        self.header.bell.load(Ordering::Acquire)
    }

    /// The server, which found nothing, will sleep: the word and its value. `None`: something was
    /// posted since `seen` was read by [`Self::bell_seen`].
    #[must_use]
    pub fn prepare_sleep(&self, seen: u32) -> Option<(&'a AtomicU32, u32)> {
        prepare(&self.header.bell, seen)
    }

    /// Whether somebody sleeps until something is posted.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.header.bell.load(Ordering::Acquire) & ASLEEP != 0
    }

    /// The number of entries that have been taken, and whether there are more.
    #[must_use]
    pub fn progress(&self) -> (u64, bool) {
        let head = self.header.head.load(Ordering::Acquire);
        (head, self.header.tail.load(Ordering::Acquire) != head)
    }

    /// Calls under way: entries that are taken and not finished.
    #[must_use]
    pub fn count_taken(&self) -> u32 {
        let phases = self
            .entries
            .iter()
            .map(|entry| entry.state.load(Ordering::Relaxed) & PHASE);
        let taken = phases.filter(|&phase| phase == TAKEN).count();
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// Says that something has changed for sleeping servers, as [`Self::post`] does.
    pub fn ring(&self) -> Wake {
        advance(&self.header.bell)
    }

    /// The word that servers sleep on.
    #[must_use]
    pub fn bell(&self) -> &'a AtomicU32 {
        &self.header.bell
    }

    /// The word that posters sleep on that found no free entry.
    #[must_use]
    pub fn space(&self) -> &'a AtomicU32 {
        &self.header.space
    }

    /// The word that those sleep on that wait for entry `index`.
    #[must_use]
    pub fn state_of(&self, index: usize) -> &'a AtomicU32 {
        &self.entries[index].state
    }
}

/// Moves a posted entry to TAKEN; its request.
fn take_entry(entry: &Entry) -> Option<Request> {
    loop {
        let seen = entry.state.load(Ordering::Acquire);
        if seen & PHASE != POSTED {
            return None;
        }
        let taken = (seen & !PHASE) | TAKEN;
        let change = entry
            .state
            .compare_exchange(seen, taken, Ordering::AcqRel, Ordering::Relaxed);
        if change.is_ok() {
            break;
        }
        core::hint::spin_loop();
    }
    let word = |index: usize| entry.args[index].load(Ordering::Relaxed);
    let last = entry.last.load(Ordering::Relaxed) as u64;
    Some(Request {
        number: entry.number.load(Ordering::Relaxed),
        args: [word(0), word(1), word(2), word(3), word(4), last],
    })
}
