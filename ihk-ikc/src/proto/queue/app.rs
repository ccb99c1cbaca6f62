// SPDX-License-Identifier: GPL-2.0
//! The app's half of the call queue: posting, and collecting results.

use super::super::atomic::{AtomicU32, Ordering};
use super::super::slot::Request;
use super::{
    advance, packed, prepare, Entry, HandleError, Queue, Wake, CLAIMED, DETACHED, DONE, FREE,
    PHASE, POSTED, TAKEN, USE, WAITER,
};

impl<'a> Queue<'a> {
    /// Posts `request`; its handle and whether to wake the server that sleeps on
    /// [`Self::bell`]. `None`: no entry is free. With `detached` nobody may collect the result.
    pub fn post(&self, request: &Request, detached: bool) -> Option<(u32, Wake)> {
        let (index, state) = self.claim()?;
        let entry = &self.entries[index];
        entry.number.store(request.number, Ordering::Relaxed);
        let [first @ .., last] = request.args;
        for (word, value) in entry.args.iter().zip(first) {
            word.store(value, Ordering::Relaxed);
        }
        entry.last.store(last as i64, Ordering::Relaxed);
        let flag = if detached { DETACHED } else { 0 };
        entry
            .state
            .store((state & !PHASE) | POSTED | flag, Ordering::Release);
        let ticket = self.header.tail.fetch_add(1, Ordering::AcqRel);
        self.order[self.place(ticket)].store(packed(ticket, index), Ordering::Release);
        Some((handle(index, state), advance(&self.header.bell)))
    }

    /// A free entry, which now is the caller's, and its state.
    fn claim(&self) -> Option<(usize, u32)> {
        let hint = self.header.tail.load(Ordering::Relaxed);
        (0..self.entries.len()).find_map(|offset| {
            let index = self.place(hint.wrapping_add(offset as u64));
            let state = &self.entries[index].state;
            let seen = state.load(Ordering::Relaxed);
            if seen & PHASE != FREE {
                return None;
            }
            let claimed = (seen & !(USE - 1)).wrapping_add(USE) | CLAIMED;
            state
                .compare_exchange(seen, claimed, Ordering::Acquire, Ordering::Relaxed)
                .ok()
                .map(|_| (index, claimed))
        })
    }

    /// The result of the call with that handle, and whom to wake of those that sleep for
    /// [`Self::space`].
    ///
    /// # Errors
    ///
    /// See [`HandleError`].
    pub fn collect(&self, handle: u32) -> Result<(i64, Wake), HandleError> {
        let (entry, seen) = self.find(handle)?;
        if seen & PHASE != DONE {
            return Err(HandleError::Unfinished);
        }
        let result = entry.last.load(Ordering::Relaxed);
        let free = (seen & !(USE - 1)) | FREE;
        match entry
            .state
            .compare_exchange(seen, free, Ordering::AcqRel, Ordering::Relaxed)
        {
            Ok(_) => Ok((result, advance(&self.header.space))),
            Err(_) => Err(HandleError::Unknown),
        }
    }

    /// The caller will sleep until the call with that handle is done: the word to sleep on, and the
    /// value it must have. `None`: it is done.
    ///
    /// # Errors
    ///
    /// [`HandleError::Unknown`].
    pub fn prepare_wait(&self, handle: u32) -> Result<Option<(&'a AtomicU32, u32)>, HandleError> {
        loop {
            let (entry, seen) = self.find(handle)?;
            if seen & PHASE == DONE {
                return Ok(None);
            }
            let marked = seen | WAITER;
            let change =
                entry
                    .state
                    .compare_exchange(seen, marked, Ordering::AcqRel, Ordering::Relaxed);
            if change.is_ok() {
                return Ok(Some((&entry.state, marked)));
            }
            core::hint::spin_loop();
        }
    }

    /// The entry of `handle` and its state.
    fn find(&self, handle: u32) -> Result<(&'a Entry, u32), HandleError> {
        let index = (handle & (USE - 1)) as usize;
        let entry = self.entries.get(index).ok_or(HandleError::Unknown)?;
        let seen = entry.state.load(Ordering::Acquire);
        let is_it = seen & !(USE - 1) == handle & !(USE - 1)
            && matches!(seen & PHASE, POSTED | TAKEN | DONE)
            && seen & DETACHED == 0;
        is_it.then_some((entry, seen)).ok_or(HandleError::Unknown)
    }

    /// Whether all entries are free.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.entries
            .iter()
            .all(|entry| entry.state.load(Ordering::Acquire) & PHASE == FREE)
    }

    /// The caller, who found no free entry, will sleep until that may have changed: the word to
    /// sleep on and its value. `None`: something has changed since `seen` was read by
    /// [`Self::space_seen`].
    #[must_use]
    pub fn prepare_space(&self, seen: u32) -> Option<(&'a AtomicU32, u32)> {
        prepare(&self.header.space, seen)
    }

    /// To be read before looking for a free entry.
    #[must_use]
    pub fn space_seen(&self) -> u32 {
        self.header.space.load(Ordering::Acquire)
    }

    /// In a process that was forked, before it has servers: what was under way is forgotten. Old
    /// handles stay unknown.
    pub fn reset(&self) {
        for entry in self.entries {
            let uses = entry.state.load(Ordering::Relaxed) & !(USE - 1);
            entry.state.store(uses | FREE, Ordering::Relaxed);
        }
        let tail = self.header.tail.load(Ordering::Relaxed);
        self.header.head.store(tail, Ordering::Relaxed);
        let roles = [&self.header.lead, &self.header.watcher];
        let counts = [&self.header.servers, &self.header.reserves];
        for word in roles.into_iter().chain(counts) {
            word.store(0, Ordering::Relaxed);
        }
        self.header.space.store(0, Ordering::Relaxed);
        self.header.bell.store(0, Ordering::Release);
    }
}

fn handle(index: usize, state: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "below MAX_ENTRIES")]
    let index = index as u32;
    (state & !(USE - 1)) | index
}
