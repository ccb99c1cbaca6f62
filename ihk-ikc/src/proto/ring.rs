// SPDX-License-Identifier: GPL-2.0
//! A single-producer, single-consumer ring of packets with a doorbell rule that loses no wake-up.
//!
//! Every word is an atomic, so a peer that misbehaves can garble a packet but never cause
//! undefined behaviour. Either side uses a lock *of its own kernel* to stay single.
//!
//! State machine of the doorbell (`attention` is written by the consumer only):
//!
//! ```text
//!  consumer                                   producer
//!  AWAKE: pops until empty                    writes the packet, head += 1
//!  attention = ASLEEP; full fence             full fence
//!  head == tail?  yes: really sleep           attention == ASLEEP?  yes: ring the doorbell
//!                 no:  attention = AWAKE
//! ```
//! Both fences are sequentially consistent: at least one side sees the other's store, so a packet
//! is never left lying while the consumer sleeps and nobody rings (loom: `tests/loom_ring.rs`).

use super::atomic::{fence, AtomicU32, AtomicU64, Ordering};
use super::packet::{Packet, PACKET_WORDS};

/// Packets a ring holds. A power of two, so that the free-running counters may wrap.
#[cfg(not(loom))]
pub const RING_SLOTS: u32 = 128;
/// Small under loom, so that the model also fills the ring.
#[cfg(loom)]
pub const RING_SLOTS: u32 = 2;

/// The consumer pops or polls by itself.
const AWAKE: u32 = 0;
/// The consumer wants the doorbell. Also the state of zeroed memory would be wrong, so the
/// consumer says so explicitly when it starts.
const ASLEEP: u32 = 1;

/// The reason why a ring operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingError {
    /// No room: the consumer is behind. Nothing was written.
    Full,
    /// The peer's counter is impossible; the value it had.
    BadIndex {
        /// The value of the peer's word.
        peer: u32,
    },
}

/// The duty of a producer after a successful push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Doorbell {
    /// The consumer said that it sleeps.
    Ring,
    /// The consumer will look by itself.
    NotNeeded,
}

/// The ring as it lies in shared memory. Zeroed memory is an empty ring with an awake consumer.
#[repr(C, align(64))]
pub struct Ring {
    /// Packets ever pushed. Writer: producer.
    head: AtomicU32,
    reserved0: [u32; 15],
    /// Packets ever popped. Writer: consumer.
    tail: AtomicU32,
    /// [`AWAKE`] or [`ASLEEP`]. Writer: consumer.
    attention: AtomicU32,
    reserved1: [u32; 14],
    /// Packet `n` lies in slot `n % RING_SLOTS`. Writer: producer.
    packets: [[AtomicU64; PACKET_WORDS]; RING_SLOTS as usize],
}

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(RING_SLOTS.is_power_of_two());
    assert!(offset_of!(Ring, tail) == 64);
    assert!(offset_of!(Ring, packets) == 128);
    assert!(size_of::<Ring>() == 128 + 64 * RING_SLOTS as usize);
};

impl Ring {
    /// An empty ring in ordinary memory (tests and models; in a partition, zeroed memory is one).
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: AtomicU32::new(0),
            reserved0: [0; 15],
            tail: AtomicU32::new(0),
            attention: AtomicU32::new(AWAKE),
            reserved1: [0; 14],
            packets: core::array::from_fn(|_| core::array::from_fn(|_| AtomicU64::new(0))),
        }
    }

    /// Appends `packet`. Only the producer, under its own kernel's lock.
    ///
    /// # Errors
    ///
    /// [`RingError::Full`] if there is no room, [`RingError::BadIndex`] if the consumer's counter
    /// is impossible.
    pub fn push(&self, packet: &Packet) -> Result<Doorbell, RingError> {
        let head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Acquire);
        match head.wrapping_sub(tail) {
            used if used < RING_SLOTS => {}
            RING_SLOTS => return Err(RingError::Full),
            _ => return Err(RingError::BadIndex { peer: tail }),
        }
        for (cell, word) in self.cell(head).iter().zip(packet.words()) {
            cell.store(word, Ordering::Relaxed);
        }
        self.head.store(head.wrapping_add(1), Ordering::Release);
        fence(Ordering::SeqCst);
        if self.attention.load(Ordering::Relaxed) == ASLEEP {
            Ok(Doorbell::Ring)
        } else {
            Ok(Doorbell::NotNeeded)
        }
    }

    /// Takes the oldest packet, if any. Only the consumer, under its own kernel's lock.
    ///
    /// # Errors
    ///
    /// [`RingError::BadIndex`] if the producer's counter is impossible.
    pub fn pop(&self) -> Result<Option<Packet>, RingError> {
        let tail = self.tail.load(Ordering::Relaxed);
        let head = self.head.load(Ordering::Acquire);
        match head.wrapping_sub(tail) {
            0 => return Ok(None),
            used if used <= RING_SLOTS => {}
            _ => return Err(RingError::BadIndex { peer: head }),
        }
        let mut words = [0; PACKET_WORDS];
        for (word, cell) in words.iter_mut().zip(self.cell(tail)) {
            *word = cell.load(Ordering::Relaxed);
        }
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(Some(Packet::from_words(words)))
    }

    /// Whether there is something to pop; a cheap look for polling loops of the consumer.
    #[must_use]
    pub fn has_packets(&self) -> bool {
        self.head.load(Ordering::Relaxed) != self.tail.load(Ordering::Relaxed)
    }

    /// The consumer asks for the doorbell. `true`: the ring is empty and the next push will ring.
    /// `false`: a packet slipped in; the consumer is awake and pops again.
    #[must_use]
    pub fn try_sleep(&self) -> bool {
        self.attention.store(ASLEEP, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.head.load(Ordering::Relaxed) == self.tail.load(Ordering::Relaxed) {
            return true;
        }
        self.set_awake();
        false
    }

    /// The consumer asks for the doorbell from now on, whatever lies in the ring (a CPU that goes
    /// to run a program, or a consumer that lives in an interrupt handler). The caller pops once
    /// more afterwards, or is sure that a doorbell is on its way.
    pub fn request_doorbell(&self) {
        self.attention.store(ASLEEP, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The consumer polls from now on.
    pub fn set_awake(&self) {
        self.attention.store(AWAKE, Ordering::Relaxed);
    }

    fn cell(&self, index: u32) -> &[AtomicU64; PACKET_WORDS] {
        &self.packets[(index & (RING_SLOTS - 1)) as usize]
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}
