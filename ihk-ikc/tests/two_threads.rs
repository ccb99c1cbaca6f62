// SPDX-License-Identifier: GPL-2.0
//! The ring and the slot between two real threads; also what the sanitizers watch.
#![cfg(not(loom))]

use ihk_ikc::packet::ToCokernel;
use ihk_ikc::ring::{Ring, RingError};
use ihk_ikc::slot::{DelegationSlot, Request};
use std::thread;

#[test]
fn every_packet_arrives_once_and_in_order() {
    const PACKETS: u32 = 20_000;
    let ring = Ring::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for process in 0..PACKETS {
                let packet = ToCokernel::ProxyGone { process }.encode();
                while let Err(error) = ring.push(&packet) {
                    assert_eq!(error, RingError::Full);
                    thread::yield_now();
                }
            }
        });
        for process in 0..PACKETS {
            let packet = loop {
                match ring.pop().unwrap() {
                    Some(packet) => break packet,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(
                ToCokernel::decode(&packet),
                Some(ToCokernel::ProxyGone { process })
            );
        }
    });
    assert!(!ring.has_packets());
}

#[test]
fn every_call_gets_its_own_answer() {
    const CALLS: u64 = 20_000;
    let slot = DelegationSlot::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..CALLS {
                let request = loop {
                    match slot.take() {
                        Some(request) => break request,
                        None => thread::yield_now(),
                    }
                };
                assert_eq!(request.args, [request.number; 6]);
                let _ = slot.finish(Ok(request.number * 2));
            }
        });
        for number in 0..CALLS {
            let _ = slot
                .post(&Request {
                    number,
                    args: [number; 6],
                })
                .unwrap();
            let result = loop {
                match slot.poll().unwrap() {
                    Some(result) => break result,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(result, Ok(number * 2));
        }
    });
}
