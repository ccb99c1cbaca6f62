// SPDX-License-Identifier: GPL-2.0
//! Model of the fault/unmap/revoke protocol: a frame is never free while Linux maps it.
//! Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use ihk_ikc::exposed::{self, FrameRun};
use loom::sync::atomic::{fence, AtomicU64, Ordering};
use loom::sync::{Arc, RwLock};
use loom::thread;

/// One page table entry (0 = not present, else frame number + 1), one exposed word, the gate of
/// the address space, and what the Linux side has mapped.
struct World {
    entry: AtomicU64,
    exposed: [AtomicU64; 1],
    gate: RwLock<()>,
    mapped: AtomicU64,
}

const FRAME: u32 = 5;

/// F1–F5: Linux resolves a fault in the window.
fn linux_fault(world: &World) {
    let _gate = world.gate.read().unwrap();
    let first = world.entry.load(Ordering::Acquire);
    if first == 0 {
        return;
    }
    assert!(exposed::set(&world.exposed, FRAME));
    if world.entry.load(Ordering::Acquire) == first {
        world.mapped.store(1, Ordering::Release);
    }
}

/// R1–R4: Linux drops its mapping on the co-kernel's word.
fn linux_revoke(world: &World) {
    let _gate = world.gate.write().unwrap();
    world.mapped.store(0, Ordering::Release);
    exposed::clear(&world.exposed, FRAME);
}

/// U1–U3: the co-kernel unmaps; returns once the frame may be used again.
fn cokernel_unmap(world: &World) {
    world.entry.swap(0, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    let run = FrameRun {
        first: FRAME,
        count: 1,
    };
    if exposed::any_set(&world.exposed, run) {
        linux_revoke(world);
    }
}

#[test]
fn a_freed_frame_is_not_mapped() {
    loom::model(|| {
        let world = Arc::new(World {
            entry: AtomicU64::new(u64::from(FRAME) + 1),
            exposed: [AtomicU64::new(0)],
            gate: RwLock::new(()),
            mapped: AtomicU64::new(0),
        });
        let faulting = {
            let world = world.clone();
            thread::spawn(move || linux_fault(&world))
        };
        cokernel_unmap(&world);
        // The frame is free here. The fault may still be under way, but it must not map any more.
        let mapped_now = world.mapped.load(Ordering::Acquire);
        faulting.join().expect("the fault does not panic");
        let mapped_later = world.mapped.load(Ordering::Acquire);
        assert_eq!((mapped_now, mapped_later), (0, 0), "a free frame is mapped");
    });
}
