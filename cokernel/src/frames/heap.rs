// SPDX-License-Identifier: GPL-2.0
//! The kernel heap: small sizes from slabs of 4 KiB frames, larger ones as runs of frames.
//! Until the frames are there, a boot heap serves; it lasts for what was allocated from it.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{null_mut, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use cokernel_logic::frames::FRAMES_PER_BLOCK;
use ihk_ikc::exposed::FrameRun;
use ihk_ikc::layout::{DIRECT_MAP_BASE, PAGE_BYTES};
use linked_list_allocator::Heap;
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::frames::owned::OwnedRun;
use crate::frames::slab::Slab;
use crate::frames::{allocator, heap_reserve, table};
use crate::partition;
use crate::sync::SpinLock;

/// Smallest size class, as a power of two.
const SMALLEST: u32 = 4;
/// Largest size class, as a power of two; a frame holds three such blocks behind its header.
const LARGEST: u32 = 10;
const CLASSES: usize = (LARGEST - SMALLEST + 1) as usize;

#[global_allocator]
static HEAP: KernelHeap = KernelHeap;

/// Lock order: a class, then the frames.
static SLABS: [SpinLock<Slab>; CLASSES] = slabs();
static BOOT_HEAP: SpinLock<Heap> = SpinLock::new(Heap::empty());
static BOOT_START: AtomicUsize = AtomicUsize::new(0);
static BOOT_END: AtomicUsize = AtomicUsize::new(0);

/// Gives `bytes` at `start` to the boot heap. The boot CPU, once.
///
/// # Safety
///
/// That part of the partition is nobody else's, and the frame allocator will not get it.
pub unsafe fn init_boot(start: PhysAddr, bytes: u64) {
    assert!(
        partition::map().contains(start.as_u64(), bytes),
        "boot heap outside the partition"
    );
    let first = partition::direct_map_ptr(start);
    BOOT_START.store(first.addr(), Ordering::Relaxed);
    BOOT_END.store(first.addr() + to_usize(bytes), Ordering::Relaxed);
    // SAFETY: just checked to lie in the partition; by contract it is nobody else's.
    unsafe { BOOT_HEAP.lock().init(first, to_usize(bytes)) };
}

struct KernelHeap;

// SAFETY: every block is handed out once until it comes back: classes and boot heap under their
// locks, runs by the frame allocator. Blocks are as large and as aligned as the layout asks.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !table::is_ready() {
            let block = BOOT_HEAP.lock().allocate_first_fit(layout);
            return block.map_or(null_mut(), NonNull::as_ptr);
        }
        match class(layout) {
            Some(class) => SLABS[class].lock().take(),
            None => {
                let run = |frames| allocator::alloc_run(frames).map(OwnedRun::into_raw);
                let run = run_of(layout).and_then(|frames| run(frames).or_else(heap_reserve::take));
                run.map_or(null_mut(), |run| {
                    partition::direct_map_ptr(partition::frame_address(run.first))
                })
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(pointer) = NonNull::new(block) else {
            return;
        };
        if (BOOT_START.load(Ordering::Relaxed)..BOOT_END.load(Ordering::Relaxed))
            .contains(&block.addr())
        {
            // SAFETY: the address says that the boot heap gave it; by contract with this layout.
            unsafe { BOOT_HEAP.lock().deallocate(pointer, layout) };
            return;
        }
        match class(layout) {
            // SAFETY: by contract `alloc` gave it for this layout, so this class's slab did.
            Some(class) => unsafe { SLABS[class].lock().put(block) },
            None => {
                let address = PhysAddr::new(block.addr() as u64 - DIRECT_MAP_BASE);
                let run = partition::frame_number(address).zip(run_of(layout));
                let (first, count) = run.expect("freed block is not the heap's");
                // SAFETY: by contract nobody uses it any more.
                if !unsafe { heap_reserve::put(first) } {
                    // SAFETY: as above, and `alloc` took a run of so many frames from the allocator.
                    drop(unsafe { OwnedRun::from_raw(FrameRun { first, count }) });
                }
            }
        }
    }
}

const fn slabs() -> [SpinLock<Slab>; CLASSES] {
    let mut slabs = [const { SpinLock::new(Slab::new(1 << SMALLEST)) }; CLASSES];
    let mut class = 1;
    while class < CLASSES {
        slabs[class] = SpinLock::new(Slab::new(1 << (class + SMALLEST as usize)));
        class += 1;
    }
    slabs
}

/// The size class of `layout`; `None` if it is too large for one.
fn class(layout: Layout) -> Option<usize> {
    let bytes = layout.size().max(layout.align());
    let power = bytes.next_power_of_two().trailing_zeros().max(SMALLEST);
    (power <= LARGEST).then_some((power - SMALLEST) as usize)
}

/// The number of frames that `layout` takes; `None` if no run is that long or aligned enough.
fn run_of(layout: Layout) -> Option<u32> {
    if layout.align() > to_usize(PAGE_BYTES) {
        return None;
    }
    u32::try_from(layout.size().div_ceil(to_usize(PAGE_BYTES)))
        .ok()
        .filter(|&frames| frames <= FRAMES_PER_BLOCK)
}
