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

mod app;
mod server;

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

/// The number of a request ([`super::slot::Request`]) that asks for a function instead of a system
/// call: `args[0]` is called with `args[1]`, and what it returns is the result.
pub const FUNCTION: u64 = u64::MAX;

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
    /// The number of entries. Writer: who made the queue.
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
    /// The server that looks for entries, by its number; 0 = nobody. Writers: servers.
    pub lead: AtomicU32,
    /// The server that watches whether the lead goes on. Writers: servers.
    pub watcher: AtomicU32,
    /// The number of times that a watcher became the lead: servers in reserve sleep on it. Writers: servers.
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

/// The duty of an operation's caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// Wake all who sleep on the word.
    All,
    /// Nobody sleeps.
    Nobody,
}

/// The fault of a handle.
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

    /// The number of its entries.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries.len()
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

const fn packed(ticket: u64, index: usize) -> u64 {
    ticket.wrapping_add(1) << 16 | index as u64
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
mod tests;
