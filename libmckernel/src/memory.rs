// SPDX-License-Identifier: GPL-2.0
//! The memory of a queue: pages of its own, so that nothing else shares its lines.

use std::ptr;

use ihk_ikc::atomic::{AtomicU64, Ordering};
use ihk_ikc::queue::{bytes_of, is_possible, Entry, Header, Queue, MAGIC};

/// A queue in mapped memory. It stays until [`Memory::unmap`].
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    address: usize,
    entries: usize,
}

impl Memory {
    /// Maps an empty queue.
    ///
    /// # Errors
    ///
    /// A negative errno: `EINVAL` for a number of entries that cannot be, `ENOMEM`.
    pub(crate) fn map(entries: usize) -> Result<Self, i32> {
        if !is_possible(entries) {
            return Err(-libc::EINVAL);
        }
        // SAFETY: new pages.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes_of(entries),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(-libc::ENOMEM);
        }
        let memory = Self {
            address: address.expose_provenance(),
            entries,
        };
        let header = memory.queue().header;
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_ENTRIES")]
        header.entries.store(entries as u32, Ordering::Relaxed);
        header.magic.store(MAGIC, Ordering::Release);
        Ok(memory)
    }

    /// Its address.
    pub(crate) fn address(&self) -> u64 {
        self.address as u64
    }

    /// The queue. Not after [`Self::unmap`].
    pub(crate) fn queue(&self) -> Queue<'static> {
        // SAFETY: mapped by `map`, read-write, for this many entries; all atomics, zeroes are valid.
        unsafe { view(self.address, self.entries) }.expect("checked by map")
    }

    /// Gives the memory back. Nobody may use the queue any more.
    pub(crate) fn unmap(self) {
        let start = ptr::with_exposed_provenance_mut(self.address);
        // SAFETY: mapped by `map`; by the caller's promise nobody uses it.
        unsafe { libc::munmap(start, bytes_of(self.entries)) };
    }
}

/// A stack for functions, with a page below it that nobody may touch.
pub(crate) struct Stack {
    address: usize,
    bytes: usize,
}

impl Stack {
    const GUARD: usize = 4096;

    /// Maps one of `bytes`, a multiple of a page.
    pub(crate) fn map(bytes: usize) -> Option<Self> {
        // SAFETY: new pages.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes + Self::GUARD,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the first of the pages just mapped. Without it an overflow would be found later.
        unsafe { libc::mprotect(address, Self::GUARD, libc::PROT_NONE) };
        Some(Self {
            address: address.expose_provenance(),
            bytes: bytes + Self::GUARD,
        })
    }

    /// One past its last address.
    pub(crate) fn end(&self) -> u64 {
        (self.address + self.bytes) as u64
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let start = ptr::with_exposed_provenance_mut(self.address);
        // SAFETY: mapped by `map`, and no function runs on it any more.
        unsafe { libc::munmap(start, self.bytes) };
    }
}

/// The queue of `entries` at `address`. `None` for a number of entries that cannot be, or an address
/// where none can lie.
///
/// # Safety
///
/// There are [`bytes_of`]`(entries)` bytes of memory, which stays for `'a` and is read and written
/// as atomics only.
pub unsafe fn view<'a>(address: usize, entries: usize) -> Option<Queue<'a>> {
    if !is_possible(entries) || address == 0 || !address.is_multiple_of(align_of::<Entry>()) {
        return None;
    }
    let header = ptr::with_exposed_provenance::<Header>(address);
    // SAFETY: one past the header, inside what the caller promises.
    let first = unsafe { header.add(1) }.cast::<Entry>();
    // SAFETY: as above, past the entries.
    let order = unsafe { first.add(entries) }.cast::<AtomicU64>();
    // SAFETY: aligned, as checked, and there for 'a by the caller's promise; so are the next two.
    let header = unsafe { &*header };
    // SAFETY: as above.
    let line = unsafe { std::slice::from_raw_parts(first, entries) };
    // SAFETY: as above.
    let order = unsafe { std::slice::from_raw_parts(order, entries) };
    Queue::new(header, line, order)
}
