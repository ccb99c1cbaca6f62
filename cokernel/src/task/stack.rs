// SPDX-License-Identifier: GPL-2.0
//! Kernel stacks, each with an unmapped page below it.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::PAGE_BYTES;

use crate::addr::to_usize;
use crate::arch::pte::Flags;
use crate::aspace::page_table;
use crate::frames::{allocator, table, watermark};
use crate::sync::SpinLock;

/// First address of the kernel stacks' own part of the address space.
pub const STACK_AREA: u64 = 0xffff_c000_0000_0000;
/// Bytes of a stack.
const STACK_BYTES: u64 = 32 << 10;
/// Distance of two stacks; the lower part stays unmapped and catches an overflow.
const STACK_STRIDE: u64 = 64 << 10;

/// Stacks that were used and wait for the next thread; they stay mapped.
static SPARE: SpinLock<Vec<u64>> = SpinLock::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(STACK_AREA);

/// A kernel stack with an unmapped page below it.
pub struct KernelStack {
    bottom: u64,
}

impl KernelStack {
    /// A stack; `None` without memory.
    pub fn new() -> Option<Self> {
        let spare = SPARE.lock().pop();
        if let Some(bottom) = spare {
            table::take_up(STACK_BYTES / PAGE_BYTES);
            return Some(Self { bottom });
        }
        if !watermark::has_room_for_structures(STACK_BYTES) {
            return None;
        }
        let end = NEXT.fetch_add(STACK_STRIDE, Ordering::Relaxed) + STACK_STRIDE;
        let bottom = end - STACK_BYTES;
        let flags = Flags {
            read: true,
            write: true,
            ..Flags::default()
        };
        for va in (bottom..end).step_by(to_usize(PAGE_BYTES)) {
            let frame = allocator::alloc_run(1)?;
            page_table::map_kernel_frame(va, frame, flags).ok()?;
        }
        Some(Self { bottom })
    }

    /// One past its highest byte.
    pub fn top(&self) -> u64 {
        self.bottom + STACK_BYTES
    }
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        SPARE.lock().push(self.bottom);
        table::set_aside(STACK_BYTES / PAGE_BYTES);
    }
}

/// Whether `address` lies in the unmapped part below a kernel stack.
pub fn is_guard(address: u64) -> bool {
    let end = NEXT.load(Ordering::Relaxed);
    (STACK_AREA..end).contains(&address)
        && (address - STACK_AREA) % STACK_STRIDE < STACK_STRIDE - STACK_BYTES
}
