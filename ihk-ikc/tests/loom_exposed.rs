// SPDX-License-Identifier: GPL-2.0
//! Model of the fault/unmap/revoke protocol: a frame is never free while Linux maps it.
//! Run with `RUSTFLAGS="--cfg loom"`.
#![cfg(loom)]

use ihk_ikc::exposed::{self, FrameRun};
use loom::sync::atomic::{fence, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex, RwLock};
use loom::thread;

/// One page table entry (0 = not present, else frame number + 1), one exposed word, access by
/// the address space, what the Linux side has mapped and pinned, how many insertions are under way
/// (they begin under `looking`), and whether the co-kernel may use the frame again.
struct World {
    entry: AtomicU64,
    exposed: [AtomicU64; 1],
    access: RwLock<()>,
    mapped: AtomicU64,
    pinned: AtomicU64,
    looking: Mutex<()>,
    inserting: AtomicU64,
    free: AtomicU64,
}

const FRAME: u32 = 5;

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            entry: AtomicU64::new(u64::from(FRAME) + 1),
            exposed: [AtomicU64::new(0)],
            access: RwLock::new(()),
            mapped: AtomicU64::new(0),
            pinned: AtomicU64::new(0),
            looking: Mutex::new(()),
            inserting: AtomicU64::new(0),
            free: AtomicU64::new(0),
        })
    }

    fn begin_insertion(&self) {
        let _looking = self.looking.lock().unwrap();
        self.inserting.fetch_add(1, Ordering::SeqCst);
    }

    fn end_insertion(&self) {
        self.inserting.fetch_sub(1, Ordering::SeqCst);
    }

    /// Takes the mark off if nothing holds the frame.
    fn conceal_free(&self) {
        let _looking = self.looking.lock().unwrap();
        // In this order: an insertion that ends between two looks the other way round is missed.
        let quiet = self.inserting.load(Ordering::SeqCst) == 0;
        let mapped = self.mapped.load(Ordering::SeqCst) != 0;
        let pinned = self.pinned.load(Ordering::SeqCst) != 0;
        if quiet && !mapped && !pinned {
            exposed::clear_in_word(&self.exposed, 0, 1 << FRAME);
        }
    }
}

/// F1–F5: Linux resolves a fault in the window.
fn linux_fault(world: &World) {
    let _access = world.access.read().unwrap();
    world.begin_insertion();
    let first = world.entry.load(Ordering::Acquire);
    if first != 0 {
        assert!(exposed::set(&world.exposed, FRAME));
        if world.entry.load(Ordering::Acquire) == first {
            world.mapped.store(1, Ordering::SeqCst);
        }
    }
    world.end_insertion();
}

/// Linux reads a file into the frame: marks and pins it, fills it without access, unmarks it.
fn linux_load(world: &World) {
    {
        let _access = world.access.read().unwrap();
        let first = world.entry.load(Ordering::Acquire);
        if first == 0 {
            return;
        }
        assert!(exposed::set(&world.exposed, FRAME));
        if world.entry.load(Ordering::Acquire) != first {
            return;
        }
        world.pinned.store(1, Ordering::SeqCst);
    }
    let free = world.free.load(Ordering::SeqCst);
    assert_eq!(free, 0, "a file is read into a free frame");
    world.pinned.store(0, Ordering::SeqCst);
    let _access = world.access.read().unwrap();
    world.conceal_free();
}

/// R1–R4: Linux drops its mapping on the co-kernel's word.
fn linux_revoke(world: &World) {
    let _access = world.access.write().unwrap();
    world.mapped.store(0, Ordering::SeqCst);
    world.conceal_free();
}

/// U1–U3: the co-kernel unmaps; the frame may be used again unless Linux still pins it.
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
    if !exposed::any_set(&world.exposed, run) {
        world.free.store(1, Ordering::SeqCst);
    }
}

#[test]
fn a_freed_frame_is_not_mapped() {
    loom::model(|| {
        let world = World::new();
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

#[test]
fn a_frame_is_not_free_while_a_file_is_read_into_it() {
    loom::model(|| {
        let world = World::new();
        let loading = {
            let world = world.clone();
            thread::spawn(move || linux_load(&world))
        };
        cokernel_unmap(&world);
        loading.join().expect("the load does not panic");
    });
}

#[test]
fn unmarking_after_a_load_does_not_hide_a_mapping() {
    loom::model(|| {
        let world = World::new();
        let faulting = {
            let world = world.clone();
            thread::spawn(move || linux_fault(&world))
        };
        linux_load(&world);
        faulting.join().expect("the fault does not panic");
        let run = FrameRun {
            first: FRAME,
            count: 1,
        };
        let mapped = world.mapped.load(Ordering::SeqCst) == 1;
        assert!(
            !mapped || exposed::any_set(&world.exposed, run),
            "a mapped frame is not marked"
        );
    });
}
