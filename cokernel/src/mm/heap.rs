// SPDX-License-Identifier: GPL-2.0
//! The kernel heap: small sizes from free lists over 4 KiB frames, larger ones as runs of frames.
//! Until the frames are there, a boot heap serves; it lasts for what was allocated from it.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{null_mut, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};

use ihk_ikc::layout::{DIRECT_MAP_BASE, PAGE_BYTES};
use linked_list_allocator::Heap;
use x86_64::PhysAddr;

use crate::mm::phys;
use crate::sync::SpinLock;

/// Smallest size class, as a power of two.
const SMALLEST: u32 = 4;
/// Largest size class: 2 KiB.
const LARGEST: u32 = 11;
const CLASSES: usize = (LARGEST - SMALLEST + 1) as usize;

#[global_allocator]
static HEAP: KernelHeap = KernelHeap;

/// Lock order: a class, then the frames.
static FREE: [SpinLock<FreeList>; CLASSES] =
    [const { SpinLock::new(FreeList(null_mut())) }; CLASSES];
static BOOT_HEAP: SpinLock<Heap> = SpinLock::new(Heap::empty());
static BOOT_START: AtomicUsize = AtomicUsize::new(0);
static BOOT_END: AtomicUsize = AtomicUsize::new(0);

/// Gives `bytes` at `start` to the boot heap. The boot CPU, once, with a part of the partition that
/// the frame allocator will not get.
pub fn init_boot(start: PhysAddr, bytes: u64) {
    assert!(
        phys::contains(start.as_u64(), bytes),
        "boot heap outside the partition"
    );
    let first = phys::direct_map_ptr(start);
    BOOT_START.store(first.addr(), Ordering::Relaxed);
    BOOT_END.store(first.addr() + bytes as usize, Ordering::Relaxed);
    // SAFETY: just checked to lie in the partition; the caller gives it to nobody else.
    unsafe { BOOT_HEAP.lock().init(first, bytes as usize) };
}

struct KernelHeap;

// SAFETY: every block is handed out once until it comes back: classes and boot heap under their
// locks, runs by the frame allocator. Blocks are as large and as aligned as the layout asks.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !phys::is_ready() {
            let block = BOOT_HEAP.lock().allocate_first_fit(layout);
            return block.map_or(null_mut(), NonNull::as_ptr);
        }
        match class(layout) {
            Some(class) => FREE[class].lock().take(class),
            None => run_of(layout)
                .and_then(phys::alloc_run)
                .map_or(null_mut(), phys::direct_map_ptr),
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
            Some(class) => FREE[class].lock().put(block),
            None => {
                let address = PhysAddr::new(block.addr() as u64 - DIRECT_MAP_BASE);
                if let Some(frames) = run_of(layout) {
                    phys::free_run(address, frames);
                }
            }
        }
    }
}

/// The size class of `layout`; `None` if it is too large for one.
fn class(layout: Layout) -> Option<usize> {
    let bytes = layout.size().max(layout.align());
    let power = bytes.next_power_of_two().trailing_zeros().max(SMALLEST);
    (power <= LARGEST).then_some((power - SMALLEST) as usize)
}

/// How many frames `layout` takes; `None` if no run is that long or aligned enough.
fn run_of(layout: Layout) -> Option<u32> {
    if layout.align() > PAGE_BYTES as usize {
        return None;
    }
    u32::try_from(layout.size().div_ceil(PAGE_BYTES as usize)).ok()
}

/// Free blocks of one size; the first word of each points to the next.
struct FreeList(*mut u8);

// SAFETY: the list owns the blocks in it.
unsafe impl Send for FreeList {}

impl FreeList {
    fn take(&mut self, class: usize) -> *mut u8 {
        if self.0.is_null() {
            self.refill(1 << (class + SMALLEST as usize));
        }
        let block = self.0;
        if !block.is_null() {
            // SAFETY: a block in the list is free, and `put` wrote its first word.
            self.0 = unsafe { block.cast::<*mut u8>().read() };
        }
        block
    }

    fn put(&mut self, block: *mut u8) {
        // SAFETY: the block comes back, so nobody uses it; it holds at least two words.
        unsafe { block.cast::<*mut u8>().write(self.0) };
        self.0 = block;
    }

    /// Cuts a fresh frame into blocks of `bytes`.
    fn refill(&mut self, bytes: usize) {
        let Some(frame) = phys::alloc_small() else {
            return;
        };
        let first = phys::direct_map_ptr(frame);
        for offset in (0..PAGE_BYTES as usize).step_by(bytes) {
            self.put(first.wrapping_add(offset));
        }
    }
}
