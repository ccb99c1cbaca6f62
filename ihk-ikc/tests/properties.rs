// SPDX-License-Identifier: GPL-2.0
//! Properties of the contract that hold for every input.
#![cfg(not(loom))]

use ihk_ikc::atomic::AtomicU64;
use ihk_ikc::errno;
use ihk_ikc::exposed::{self, FrameRun};
use ihk_ikc::kmsg;
use ihk_ikc::packet::{Packet, ToCokernel, ToLinux};
use ihk_ikc::ring::{Ring, RingError, RING_SLOTS};
use ihk_ikc::slot::{DelegationSlot, Request};
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

/// Above the kind of every message, which [`every_kind_is_drawn`] holds.
const HIGHEST_KIND: u64 = 256;

#[test]
fn every_kind_is_drawn() {
    let decodes = |kind: &u64| {
        let packet = Packet::from_words([*kind, 0, 0, 0, 0, 0, 0, 0]);
        ToCokernel::decode(&packet).is_some() || ToLinux::decode(&packet).is_some()
    };
    let highest = (0..1 << 16).filter(decodes).max();
    assert!(
        highest.is_some_and(|kind| kind < HIGHEST_KIND),
        "{highest:?}"
    );
}

proptest! {
    #[test]
    fn any_packet_decodes_or_is_refused_and_never_changes(words: [u64; 8], kind in 0u64..HIGHEST_KIND) {
        let mut words = words;
        words[0] = kind;
        let packet = Packet::from_words(words);
        prop_assert_eq!(packet.words(), words);
        if let Some(message) = ToCokernel::decode(&packet) {
            prop_assert_eq!(ToCokernel::decode(&message.encode()), Some(message));
        }
        if let Some(message) = ToLinux::decode(&packet) {
            prop_assert_eq!(ToLinux::decode(&message.encode()), Some(message));
        }
    }

    #[test]
    fn a_ring_behaves_like_a_bounded_queue(pushes in prop::collection::vec(any::<bool>(), 1..600)) {
        let ring = Ring::new();
        let mut model = VecDeque::new();
        for (number, push) in (0u32..).zip(pushes) {
            if push {
                let message = ToCokernel::ProxyGone { process: number }.encode();
                match ring.push(&message) {
                    Ok(_) => model.push_back(message),
                    Err(error) => {
                        prop_assert_eq!(error, RingError::Full);
                        prop_assert_eq!(model.len(), RING_SLOTS as usize);
                    }
                }
            } else {
                prop_assert_eq!(ring.pop().unwrap(), model.pop_front());
            }
            prop_assert_eq!(ring.has_packets(), !model.is_empty());
        }
    }

    #[test]
    fn exposed_bits_are_a_set(frames in prop::collection::btree_set(0u32..640, 0..60), first in 0u32..640, count in 0u32..200) {
        let bits: Vec<AtomicU64> = (0..10).map(|_| AtomicU64::new(0)).collect();
        for frame in &frames {
            prop_assert!(exposed::set(&bits, *frame));
        }
        let count = count.min(640 - first);
        let hit = frames.range(first..first + count).next().is_some();
        prop_assert_eq!(exposed::any_set(&bits, FrameRun { first, count }), hit);
        for frame in &frames {
            exposed::clear(&bits, *frame);
        }
        let left: BTreeSet<u32> = (0..640).filter(|frame| exposed::is_set(&bits, *frame)).collect();
        prop_assert!(left.is_empty());
    }

    #[test]
    fn kmsg_never_yields_what_was_overwritten(from: u64, written: u64, capacity in 1u64..1 << 20) {
        let (start, bytes) = kmsg::readable(from, written, capacity);
        prop_assert!(bytes <= capacity);
        prop_assert!(bytes == 0 || start + bytes == written);
        prop_assert!(start >= from || bytes == 0);
    }

    #[test]
    fn a_request_arrives_as_it_was_posted(number: u64, args: [u64; 6], word: u64) {
        let slot = DelegationSlot::new();
        let request = Request { number, args };
        prop_assert!(slot.take().is_none());
        let _ = slot.post(&request).unwrap();
        prop_assert_eq!(slot.poll(), Ok(None));
        prop_assert_eq!(slot.take(), Some(request));
        let answer = errno::decode(word);
        let _ = slot.finish(answer);
        prop_assert_eq!(slot.poll(), Ok(Some(answer)));
    }
}

#[test]
fn frames_beyond_the_partition_count_as_exposed() {
    let bits = [AtomicU64::new(0)];
    assert!(!exposed::set(&bits, 64));
    assert!(exposed::is_set(&bits, 64));
    assert!(exposed::any_set(
        &bits,
        FrameRun {
            first: 60,
            count: 10
        }
    ));
}

#[test]
fn posting_twice_is_refused() {
    let slot = DelegationSlot::new();
    let request = Request {
        number: 1,
        args: [0; 6],
    };
    let _ = slot.post(&request).unwrap();
    assert!(slot.post(&request).is_err());
}
