// SPDX-License-Identifier: GPL-2.0
//! Model of the ring's doorbell rule: whatever the interleaving, a packet is never left lying
//! while the consumer sleeps and nobody rang. Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use ihk_ikc::packet::{Packet, ToCokernel};
use ihk_ikc::ring::{Doorbell, Ring, RingError};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::Arc;
use loom::thread;

fn packet(process: u32) -> Packet {
    ToCokernel::ProxyGone { process }.encode()
}

/// Pops everything, in order; what came is appended to `seen`.
fn drain(ring: &Ring, seen: &mut Vec<Packet>) {
    while let Some(next) = ring.pop().expect("counters are sane") {
        seen.push(next);
    }
}

#[test]
fn no_packet_is_left_with_a_sleeping_consumer() {
    loom::model(|| {
        let ring = Arc::new(Ring::new());
        let bell = Arc::new(AtomicBool::new(false));
        let producer = {
            let (ring, bell) = (ring.clone(), bell.clone());
            thread::spawn(move || {
                for process in 1..=2 {
                    if ring.push(&packet(process)) == Ok(Doorbell::Ring) {
                        bell.store(true, Ordering::Release);
                    }
                }
            })
        };
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        let asleep = ring.try_sleep();
        producer.join().expect("the producer does not panic");
        if asleep && !bell.load(Ordering::Acquire) {
            assert!(!ring.has_packets(), "asleep, not rung, and a packet waits");
        }
        drain(&ring, &mut seen);
        assert_eq!(seen, [packet(1), packet(2)]);
    });
}

#[test]
fn a_full_ring_refuses_and_loses_nothing() {
    loom::model(|| {
        let ring = Arc::new(Ring::new());
        let producer = {
            let ring = ring.clone();
            thread::spawn(move || {
                (1..=3)
                    .filter(|process| match ring.push(&packet(*process)) {
                        Ok(_) => true,
                        Err(error) => {
                            assert_eq!(error, RingError::Full);
                            false
                        }
                    })
                    .map(packet)
                    .collect::<Vec<_>>()
            })
        };
        let mut seen = Vec::new();
        drain(&ring, &mut seen);
        let pushed = producer.join().expect("the producer does not panic");
        drain(&ring, &mut seen);
        assert_eq!(seen, pushed);
    });
}
