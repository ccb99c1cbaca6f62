// SPDX-License-Identifier: GPL-2.0
//! The call queue: memory of the app in which its threads leave calls (FlexSC) and functions (Sakura
//! Call) for servers on Linux, and find the results. Nobody traps while the other side polls.
//!
//! ```text
//! entry:  FREE ─post: CAS(CLAIMED), words, swap(POSTED)─► POSTED ─take─► TAKEN ─finish─► DONE ─collect─► FREE
//!         (app)                                           (server)       (server)        (app)
//!         waits too long: CAS(… → …|WAITER), futex on the state;  finish finds WAITER → futex wake
//!         DETACHED: nobody collects, finish goes to FREE
//! order:  ticket t = tail++; order[t mod n] = (t + 1, entry);  a server that moves head from t to t + 1 has it
//! bell:   count | ASLEEP. Server: CAS(seen → seen|ASLEEP), futex on it. Poster, after `order`: count++, and
//!         whoever clears ASLEEP wakes
//! space:  the same, for posters that found no free entry: who frees one is the one who wakes
//! ```
//! Each decision to wake and the change it depends on are one atomic operation, so no wake-up is
//! lost (loom: `tests/loom_queue.rs`). The upper half of an entry's state counts its uses, so that
//! an old handle is recognised. At most n tickets are untaken, for each has an entry of its own, and
//! they are taken in order: so `order[t mod n]` is read before ticket t + n is written.
//!
//! Servers do not trust the app: each word is read once, and what cannot be is refused or skipped.

use super::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// Says that this is a queue of this version: "mckq" and a number.
pub const MAGIC: u64 = 0x6d63_6b71_0000_0001;
/// Most entries; the least is 1. A power of two.
pub const MAX_ENTRIES: usize = 1024;

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
const POSTED: u32 = 2;
const TAKEN: u32 = 3;
const DONE: u32 = 4;
const PHASE: u32 = 0xff;
/// Somebody sleeps for the result.
const WAITER: u32 = 0x100;
/// Nobody wants the result.
const DETACHED: u32 = 0x200;
/// One use of an entry.
const USE: u32 = 0x1_0000;

/// Beside the count of `bell` or `space`: somebody sleeps for it.
const ASLEEP: u32 = 1;
/// One step of the count.
const STEP: u32 = 2;

/// The request that asks for a function instead of a system call: `args[0]` is called with
/// `args[1]`, and what it returns is the result.
pub const FUNCTION: u64 = u64::MAX;

/// A system call by its number, or [`FUNCTION`].
pub use super::slot::Request;

/// One entry, a cache line.
#[repr(C, align(64))]
pub struct Entry {
    /// See the module's state machine. Writers: both sides, by swap and CAS.
    state: AtomicU32,
    reserved: u32,
    /// Writer of this and the next: who posts.
    number: AtomicU64,
    args: [AtomicU64; 5],
    /// The last argument while POSTED (writer: who posts), the result while DONE (writer: server).
    last: AtomicI64,
}

/// The words before the entries, each line with another set of writers.
#[repr(C)]
pub struct Header {
    /// [`MAGIC`]. Writer: who made the queue.
    pub magic: AtomicU64,
    /// How many entries. Writer: who made the queue.
    pub entries: AtomicU32,
    /// Not 0: servers are to end. Writer: who closes the queue.
    pub closing: AtomicU32,
    /// Servers there are. Writers: the app's threads.
    pub servers: AtomicU32,
    reserved0: [u32; 11],
    /// The next ticket. Writers: posters.
    tail: AtomicU64,
    reserved1: [u64; 7],
    /// Writers: posters and servers.
    bell: AtomicU32,
    reserved2: [u32; 15],
    /// The next ticket to be taken. Writers: servers.
    head: AtomicU64,
    /// Who looks for entries, by its number; 0 = nobody. Writers: servers.
    pub lead: AtomicU32,
    /// Who watches whether the lead goes on. Writers: servers.
    pub watcher: AtomicU32,
    /// How often a watcher became the lead: servers in reserve sleep on it. Writers: servers.
    pub promotions: AtomicU32,
    /// Servers in reserve. Writers: servers.
    pub reserves: AtomicU32,
    reserved3: [u64; 5],
    /// Writers: posters, and who frees an entry.
    space: AtomicU32,
    reserved4: [u32; 15],
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Entry>() == 64);
    assert!(size_of::<Header>() == 320);
    assert!(offset_of!(Header, tail) == 64);
    assert!(offset_of!(Header, bell) == 128);
    assert!(offset_of!(Header, head) == 192);
    assert!(offset_of!(Header, space) == 256);
};

/// Bytes of a queue with `entries` entries: header, entries, order.
#[must_use]
pub const fn bytes_of(entries: usize) -> usize {
    size_of::<Header>() + entries * (size_of::<Entry>() + size_of::<AtomicU64>())
}

/// Whether a queue may have that many entries.
#[must_use]
pub const fn is_possible(entries: usize) -> bool {
    entries.is_power_of_two() && entries <= MAX_ENTRIES
}

/// What the caller of an operation must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// Wake all who sleep on the word.
    All,
    /// Nobody sleeps.
    Nobody,
}

/// What is wrong with a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleError {
    /// There is no such call, or its result has been collected.
    Unknown,
    /// There is no result yet.
    Unfinished,
}

/// A view of a queue.
#[derive(Clone, Copy)]
pub struct Queue<'a> {
    /// The words before the entries.
    pub header: &'a Header,
    entries: &'a [Entry],
    order: &'a [AtomicU64],
}

impl Entry {
    /// A free one in ordinary memory (zeroed memory is one).
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: AtomicU32::new(FREE),
            reserved: 0,
            number: AtomicU64::new(0),
            args: core::array::from_fn(|_| AtomicU64::new(0)),
            last: AtomicI64::new(0),
        }
    }
}

impl Default for Entry {
    fn default() -> Self {
        Self::new()
    }
}

impl Header {
    /// That of a queue of `entries` in ordinary memory.
    #[must_use]
    pub fn new(entries: u32) -> Self {
        Self {
            magic: AtomicU64::new(MAGIC),
            entries: AtomicU32::new(entries),
            closing: AtomicU32::new(0),
            servers: AtomicU32::new(0),
            reserved0: [0; 11],
            tail: AtomicU64::new(0),
            reserved1: [0; 7],
            bell: AtomicU32::new(0),
            reserved2: [0; 15],
            head: AtomicU64::new(0),
            lead: AtomicU32::new(0),
            watcher: AtomicU32::new(0),
            promotions: AtomicU32::new(0),
            reserves: AtomicU32::new(0),
            reserved3: [0; 5],
            space: AtomicU32::new(0),
            reserved4: [0; 15],
        }
    }
}

impl<'a> Queue<'a> {
    /// Puts the parts together. `None` if they do not fit each other.
    #[must_use]
    pub fn new(header: &'a Header, entries: &'a [Entry], order: &'a [AtomicU64]) -> Option<Self> {
        (is_possible(entries.len()) && entries.len() == order.len()).then_some(Self {
            header,
            entries,
            order,
        })
    }

    /// How many entries it has.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    // ---- the app's half ----

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

    // ---- the servers' half ----

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

    /// How many have been taken, and whether there are more.
    #[must_use]
    pub fn progress(&self) -> (u64, bool) {
        let head = self.header.head.load(Ordering::Acquire);
        (head, self.header.tail.load(Ordering::Acquire) != head)
    }

    /// Says that something has changed for sleeping servers, as [`Self::post`] does.
    pub fn ring(&self) -> Wake {
        advance(&self.header.bell)
    }

    /// Where servers sleep.
    #[must_use]
    pub fn bell(&self) -> &'a AtomicU32 {
        &self.header.bell
    }

    /// Where posters sleep that found no free entry.
    #[must_use]
    pub fn space(&self) -> &'a AtomicU32 {
        &self.header.space
    }

    /// Where those sleep that wait for entry `index`.
    #[must_use]
    pub fn state_of(&self, index: usize) -> &'a AtomicU32 {
        &self.entries[index].state
    }

    fn place(&self, ticket: u64) -> usize {
        let mask = self.entries.len() as u64 - 1;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "below the number of entries"
        )]
        let place = (ticket & mask) as usize;
        place
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

const fn packed(ticket: u64, index: usize) -> u64 {
    ticket.wrapping_add(1) << 16 | index as u64
}

fn handle(index: usize, state: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "below MAX_ENTRIES")]
    let index = index as u32;
    (state & !(USE - 1)) | index
}

fn wake_if(condition: bool) -> Wake {
    if condition {
        Wake::All
    } else {
        Wake::Nobody
    }
}

/// Counts, and takes on the duty to wake.
fn advance(word: &AtomicU32) -> Wake {
    loop {
        let seen = word.load(Ordering::Relaxed);
        let next = (seen & !ASLEEP).wrapping_add(STEP);
        if word
            .compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
        {
            return wake_if(seen & ASLEEP != 0);
        }
        core::hint::spin_loop();
    }
}

fn prepare(word: &AtomicU32, seen: u32) -> Option<(&AtomicU32, u32)> {
    let asleep = seen | ASLEEP;
    if seen != asleep {
        word.compare_exchange(seen, asleep, Ordering::AcqRel, Ordering::Acquire)
            .ok()?;
    }
    Some((word, asleep))
}

#[cfg(all(test, not(loom)))]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    struct Memory(Header, Vec<Entry>, Vec<AtomicU64>);

    impl Memory {
        fn new(entries: usize) -> Self {
            let header = Header::new(u32::try_from(entries).unwrap());
            let line = (0..entries).map(|_| Entry::new()).collect();
            Self(
                header,
                line,
                (0..entries).map(|_| AtomicU64::new(0)).collect(),
            )
        }

        fn queue(&self) -> Queue<'_> {
            Queue::new(&self.0, &self.1, &self.2).unwrap()
        }
    }

    fn request(number: u64) -> Request {
        Request {
            number,
            args: [number; 6],
        }
    }

    #[test]
    fn calls_are_taken_in_the_order_of_posting_and_collected_in_any() {
        let memory = Memory::new(4);
        let queue = memory.queue();
        for round in 0..10 {
            let handles: Vec<u32> = (0..4)
                .map(|n| queue.post(&request(round * 4 + n), false).unwrap().0)
                .collect();
            assert!(queue.post(&request(99), false).is_none(), "it is full");
            for n in 0..4 {
                let (index, taken) = queue.take().unwrap();
                assert_eq!(taken, request(round * 4 + n));
                assert_eq!(
                    queue.finish(index, i64::try_from(taken.number).unwrap()),
                    (Wake::Nobody, Wake::Nobody)
                );
            }
            assert!(queue.take().is_none());
            for n in [2, 0, 3, 1] {
                let expected = i64::try_from(round * 4 + n).unwrap();
                let handle = handles[usize::try_from(n).unwrap()];
                assert_eq!(queue.collect(handle), Ok((expected, Wake::Nobody)));
                assert_eq!(queue.collect(handle), Err(HandleError::Unknown));
            }
        }
        assert!(queue.is_unused());
    }

    #[test]
    fn results_before_their_time_and_foreign_handles_are_refused() {
        let memory = Memory::new(1);
        let queue = memory.queue();
        let (handle, _) = queue.post(&request(1), false).unwrap();
        assert_eq!(queue.collect(handle), Err(HandleError::Unfinished));
        for wrong in [handle ^ 1, handle ^ USE, 0, u32::MAX] {
            assert_eq!(queue.collect(wrong), Err(HandleError::Unknown));
        }
        let (index, _) = queue.take().unwrap();
        assert_eq!(queue.finish(index, 5).0, Wake::Nobody);
        assert_eq!(queue.prepare_wait(handle).unwrap().map(|_| ()), None);
    }

    #[test]
    fn who_sleeps_is_woken_by_the_change_it_waits_for() {
        let memory = Memory::new(1);
        let queue = memory.queue();
        assert!(queue.prepare_sleep(queue.bell_seen()).is_some());
        let (handle, wake) = queue.post(&request(1), false).unwrap();
        assert_eq!(wake, Wake::All);
        let space = queue.space_seen();
        assert!(queue.prepare_space(space).is_some());
        assert!(queue.prepare_wait(handle).unwrap().is_some());
        let (index, _) = queue.take().unwrap();
        assert_eq!(queue.finish(index, 5), (Wake::All, Wake::Nobody));
        assert_eq!(queue.collect(handle), Ok((5, Wake::All)));
        assert!(queue.prepare_space(space).is_none());
    }

    #[test]
    fn detached_calls_free_their_entry_themselves() {
        let memory = Memory::new(1);
        let queue = memory.queue();
        let (handle, _) = queue.post(&request(1), true).unwrap();
        assert_eq!(queue.collect(handle), Err(HandleError::Unknown));
        assert!(queue.prepare_space(queue.space_seen()).is_some());
        let (index, _) = queue.take().unwrap();
        assert_eq!(queue.finish(index, 0), (Wake::Nobody, Wake::All));
        assert!(queue.is_unused());
    }

    #[test]
    fn a_garbled_order_does_no_harm() {
        let memory = Memory::new(2);
        let queue = memory.queue();
        memory.2[0].store(packed(0, 0xffff), Ordering::Relaxed);
        assert!(queue.take().is_none(), "no such entry: left behind");
        memory.2[1].store(packed(1, 0), Ordering::Relaxed);
        assert!(queue.take().is_none(), "nothing was posted there");
    }
}
