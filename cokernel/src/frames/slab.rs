// SPDX-License-Identifier: GPL-2.0
//! Blocks of one size, cut from 4 KiB frames. A frame goes back as soon as all its blocks are free,
//! so that the memory in use says what is left behind.

use core::ptr::null_mut;

use ihk_ikc::layout::{DIRECT_MAP_BASE, PAGE_BYTES};
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::frames::allocator;
use crate::frames::extents::single;
use crate::frames::owned::OwnedRun;
use crate::partition;

const FRAME_BYTES: usize = to_usize(PAGE_BYTES);
/// Room for [`Frame`] at the start of each frame; smaller blocks stay aligned behind it.
const HEADER_BYTES: usize = 64;

/// The start of a frame that is cut into blocks.
struct Frame {
    /// Neighbours in the list of frames with a free block; null at the ends.
    next: *mut Frame,
    previous: *mut Frame,
    /// First free block; the first word of each points to the next.
    free: *mut u8,
    /// Blocks that are handed out.
    used: usize,
}

const _: () = assert!(size_of::<Frame>() <= HEADER_BYTES);

/// The frames of one block size, a power of two.
pub struct Slab {
    bytes: usize,
    /// First frame with a free block.
    partial: *mut Frame,
}

// SAFETY: the frames in the list and their free blocks are the slab's alone.
unsafe impl Send for Slab {}

impl Slab {
    /// A slab without frames, for blocks of `bytes`.
    pub const fn new(bytes: usize) -> Self {
        assert!(bytes.is_power_of_two() && bytes >= size_of::<*mut u8>() && bytes < FRAME_BYTES);
        Self {
            bytes,
            partial: null_mut(),
        }
    }

    /// A block, or null if there is no memory.
    pub fn take(&mut self) -> *mut u8 {
        if self.partial.is_null() {
            self.refill();
        }
        // SAFETY: frames in the list are ours, and their headers valid.
        let Some(frame) = (unsafe { self.partial.as_mut() }) else {
            return null_mut();
        };
        let block = frame.free;
        // SAFETY: frames in the list have a free block, whose first word `push` wrote.
        frame.free = unsafe { block.cast::<*mut u8>().read() };
        frame.used += 1;
        if frame.free.is_null() {
            self.unlink(frame);
        }
        block
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// It came from [`Self::take`] of this slab, and nobody uses it any more.
    pub unsafe fn put(&mut self, block: *mut u8) {
        let start = block.map_addr(|address| address & !(FRAME_BYTES - 1));
        // SAFETY: by contract `block` lies in a frame of ours, which begins with its header.
        let frame = unsafe { &mut *start.cast::<Frame>() };
        let was_full = frame.free.is_null();
        // SAFETY: by contract the block is free now.
        unsafe { push(frame, block) };
        frame.used -= 1;
        if was_full {
            self.link(frame);
        }
        if frame.used == 0 {
            self.unlink(frame);
            let address = PhysAddr::new(start.addr() as u64 - DIRECT_MAP_BASE);
            let first = partition::frame_number(address).expect("freed block is not the slab's");
            // SAFETY: `refill` took the frame from the allocator, and none of its blocks is used.
            drop(unsafe { OwnedRun::from_raw(single(first)) });
        }
    }

    /// Cuts a fresh frame into blocks.
    fn refill(&mut self) {
        let Some(run) = allocator::alloc_run(1) else {
            return;
        };
        let start = partition::direct_map_ptr(run.start());
        let _ = run.into_raw();
        let header = Frame {
            next: null_mut(),
            previous: null_mut(),
            free: null_mut(),
            used: 0,
        };
        // SAFETY: a frame is larger and more aligned than the header, and this one is ours now.
        unsafe { start.cast::<Frame>().write(header) };
        // SAFETY: it was just written.
        let frame = unsafe { &mut *start.cast::<Frame>() };
        let first = self.bytes.max(HEADER_BYTES);
        for offset in (first..FRAME_BYTES).step_by(self.bytes).rev() {
            // SAFETY: the block lies behind the header, in the frame, and nobody has it.
            unsafe { push(frame, start.wrapping_add(offset)) };
        }
        self.link(frame);
    }

    fn link(&mut self, frame: &mut Frame) {
        frame.previous = null_mut();
        frame.next = self.partial;
        // SAFETY: frames in the list are ours, and `frame` is not among them.
        if let Some(next) = unsafe { self.partial.as_mut() } {
            next.previous = frame;
        }
        self.partial = frame;
    }

    fn unlink(&mut self, frame: &mut Frame) {
        // SAFETY: neighbours are other frames in the list.
        if let Some(next) = unsafe { frame.next.as_mut() } {
            next.previous = frame.previous;
        }
        // SAFETY: as above.
        match unsafe { frame.previous.as_mut() } {
            Some(previous) => previous.next = frame.next,
            None => self.partial = frame.next,
        }
    }
}

/// Puts `block` before the free ones of `frame`.
///
/// # Safety
///
/// It is a block of this frame that nobody uses.
unsafe fn push(frame: &mut Frame, block: *mut u8) {
    // SAFETY: by contract it is free; blocks hold at least a word and are aligned for one.
    unsafe { block.cast::<*mut u8>().write(frame.free) };
    frame.free = block;
}
