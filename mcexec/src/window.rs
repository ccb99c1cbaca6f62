// SPDX-License-Identifier: GPL-2.0
//! The window, which shows the program's memory at the same addresses in this process, and the
//! slots.
//!
//! Hop 7 of a delegated call happens in the window: Linux touches the program's buffer there. If
//! hop 6 has its data in a bounce page, [`bounce_address`] says where.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::ptr;
use std::sync::{Mutex, MutexGuard};

use ihk_ikc::layout::{PAGE_BYTES, WINDOW_END};
use ihk_ikc::process::prot;
use ihk_ikc::slot::{self, DelegationSlot, MAX_SLOTS};
use nix::errno::Errno;
use nix::libc;
use nix::sys::uio::{process_vm_readv, process_vm_writev, RemoteIoVec};
use nix::unistd::Pid;

/// The mapped window, which stays until the process ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    start: u64,
}

/// The mapped delegation slots, which stay until the process ends. Only those that the co-kernel
/// has named may be touched: the others have no page yet.
pub(crate) type Slots = &'static [DelegationSlot; MAX_SLOTS];

/// The read-only parts of the window, by start and end. A forked child has to make them again. The
/// co-kernel changes them one at a time, and not while it forks.
static READ_ONLY: Mutex<BTreeMap<u64, u64>> = Mutex::new(BTreeMap::new());

/// Keeps everybody from changing rights while this process forks, so that the child finds the lock
/// free: a queue server may be about to let code be executed.
#[must_use]
pub(crate) fn keep_rights() -> Option<MutexGuard<'static, BTreeMap<u64, u64>>> {
    READ_ONLY.lock().ok()
}

/// Keeps the allocator from mapping memory, which would lie in the window. To be called before anything
/// is allocated.
pub(crate) fn keep_free() {
    // SAFETY: only sets a number that the allocator looks at.
    unsafe { libc::mallopt(libc::M_MMAP_MAX, 0) };
}

/// Names what mcctrl has mapped for the program: the window, which begins at `start`, and the shared
/// pages at address `slots`.
pub(crate) fn mapped(start: u64, slots: u64) -> Result<(Window, Slots), Errno> {
    let slots = usize::try_from(slots).map_err(|_| Errno::EPROTO)?;
    // SAFETY: by the contract they are mapped for the rest of the process, and nothing of Rust is there;
    // all words of a slot are atomics, so that the co-kernel may write them.
    let slots = unsafe { &*ptr::with_exposed_provenance::<[DelegationSlot; MAX_SLOTS]>(slots) };
    Ok((Window { start }, slots))
}

/// Returns the address of byte `at` of the bounce page of slot `index`, if there can be one that
/// has `bytes` from there on. The page is mapped behind `slots`. The address is for Linux only, and
/// never becomes a reference.
pub(crate) fn bounce_address(slots: Slots, index: usize, at: u64, bytes: u64) -> Option<u64> {
    let fits = at.checked_add(bytes)? <= PAGE_BYTES;
    let page = slot::bounce_page(index).filter(|_| fits)? as u64;
    Some(ptr::from_ref(slots).addr() as u64 + page * PAGE_BYTES + at)
}

impl Window {
    /// Returns the lowest address.
    pub(crate) fn start(self) -> u64 {
        self.start
    }

    /// Returns the part [`address`, `+ bytes`) as pointer and length, if it lies in the window.
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    pub(crate) fn part(
        self,
        address: u64,
        bytes: u64,
    ) -> Result<(*mut libc::c_void, usize), Errno> {
        let end = address.checked_add(bytes).ok_or(Errno::EINVAL)?;
        if address < self.start || end > WINDOW_END {
            return Err(Errno::EINVAL);
        }
        let number = |value: u64| usize::try_from(value).map_err(|_| Errno::EINVAL);
        Ok((
            ptr::without_provenance_mut(number(address)?),
            number(bytes)?,
        ))
    }

    /// Sets what delegated calls may do with a page-aligned part. Only reading and writing count,
    /// because mcexec never executes the program's pages.
    ///
    /// # Errors
    ///
    /// `EINVAL` outside the window, `ENOMEM` if Linux cannot split the mapping further.
    pub(crate) fn protect(self, address: u64, bytes: u64, prot: u32) -> Result<(), Errno> {
        let (start, length) = self.part(address, bytes)?;
        let prot = prot.cast_signed() & (libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the part lies in the window, where nothing of Rust lives.
        Errno::result(unsafe { libc::mprotect(start, length, prot) })?;
        if let Ok(mut parts) = READ_ONLY.lock() {
            remove_part(&mut parts, address, address + bytes);
            if prot & libc::PROT_WRITE == 0 {
                parts.insert(address, address + bytes);
            }
        }
        Ok(())
    }

    /// Lets the read-only part around `address` be executed here, as far as the co-kernel lets the
    /// program execute its pages: mcctrl sees to that. Returns whether there is such a part. May be
    /// called from the handler of a fault outside this program's code.
    pub(crate) fn allow_execution(self, address: u64) -> bool {
        let Ok(parts) = READ_ONLY.lock() else {
            return false;
        };
        let Some((&start, &end)) = parts.range(..=address).next_back() else {
            return false;
        };
        let Ok((first, length)) = self.part(start, end.saturating_sub(start)) else {
            return false;
        };
        let rights = libc::PROT_READ | libc::PROT_EXEC;
        // SAFETY: the part lies in the window, where nothing of Rust lives; it stays unwritable.
        address < end && unsafe { libc::mprotect(first, length, rights) } == 0
    }

    /// Forgets the rights of a part of the window, because something else is mapped there.
    pub(crate) fn forget_rights(self, address: u64, bytes: u64) {
        if let Ok(mut parts) = READ_ONLY.lock() {
            remove_part(&mut parts, address, address + bytes);
        }
    }

    /// Gives the window of a child of fork, mapped anew, the rights that its parent's has.
    ///
    /// # Errors
    ///
    /// The errors are those of [`Self::protect`].
    pub(crate) fn protect_again(self) -> Result<(), Errno> {
        let parts = READ_ONLY.lock().map_err(|_| Errno::EIO)?.clone();
        for (start, end) in parts {
            self.protect(start, end - start, prot::READ)?;
        }
        Ok(())
    }

    /// Drops Linux's page tables of a page-aligned part. The next access asks the co-kernel again.
    ///
    /// # Errors
    ///
    /// `EINVAL` outside the window.
    pub(crate) fn drop_tables(self, address: u64, bytes: u64) -> Result<(), Errno> {
        self.advise(address, bytes, libc::MADV_DONTNEED)
    }

    /// Makes each fault map one page from now on.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn map_singly(self) -> Result<(), Errno> {
        let bytes = WINDOW_END - self.start;
        self.advise(self.start, bytes, libc::MADV_NOHUGEPAGE)?;
        self.advise(self.start, bytes, libc::MADV_RANDOM)
    }

    /// Maps the pages of a part that begins with a page, so that they may be written.
    ///
    /// # Errors
    ///
    /// `EINVAL` outside the window, `EFAULT` and others where the program has no such page.
    pub(crate) fn map_now(self, address: u64, bytes: u64) -> Result<(), Errno> {
        self.advise(address, bytes, libc::MADV_POPULATE_WRITE)
    }

    fn advise(self, address: u64, bytes: u64, advice: libc::c_int) -> Result<(), Errno> {
        let (start, length) = self.part(address, bytes)?;
        // SAFETY: the part lies in the window, where nothing of Rust lives; its pages belong to the
        // co-kernel and keep their contents.
        Errno::result(unsafe { libc::madvise(start, length, advice) }).map(drop)
    }
}

/// Takes [`start`, `end`) out of `parts`.
fn remove_part(parts: &mut BTreeMap<u64, u64>, start: u64, end: u64) {
    let overlapping: Vec<(u64, u64)> = parts
        .range(..end)
        .rev()
        .map(|(&first, &last)| (first, last))
        .take_while(|(_, last)| *last > start)
        .collect();
    for (first, last) in overlapping {
        parts.remove(&first);
        if first < start {
            parts.insert(first, start);
        }
        if last > end {
            parts.insert(end, last);
        }
    }
}

/// Copies `bytes` to `address` of the program.
///
/// # Errors
///
/// `EFAULT` if there is no writable memory.
pub(crate) fn write(address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let remote = RemoteIoVec {
        base: usize::try_from(address).map_err(|_| Errno::EFAULT)?,
        len: bytes.len(),
    };
    let copied = process_vm_writev(Pid::this(), &[IoSlice::new(bytes)], &[remote])?;
    if copied == bytes.len() {
        Ok(())
    } else {
        Err(Errno::EFAULT)
    }
}

/// Copies from `address` of the program to `bytes`, as far as there is readable memory. Returns how
/// many bytes that were.
///
/// # Errors
///
/// `EFAULT` if there is no readable memory.
pub(crate) fn read(address: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
    let remote = RemoteIoVec {
        base: usize::try_from(address).map_err(|_| Errno::EFAULT)?,
        len: bytes.len(),
    };
    process_vm_readv(Pid::this(), &mut [IoSliceMut::new(bytes)], &[remote])
}

#[cfg(test)]
mod tests {
    use super::{read, remove_part, write, Window, WINDOW_END};
    use nix::errno::Errno;
    use std::collections::BTreeMap;

    #[test]
    fn memory_that_is_not_there_is_efault() {
        let mut bytes = [0; 8];
        assert_eq!(read(16, &mut bytes), Err(Errno::EFAULT));
        assert_eq!(write(16, &bytes), Err(Errno::EFAULT));
        let target = [0_u8; 8];
        let address = std::ptr::from_ref(&target).addr() as u64;
        assert_eq!(read(address, &mut bytes), Ok(8));
    }

    #[test]
    fn removed_parts_leave_their_edges() {
        let mut parts = BTreeMap::from([(1, 4), (6, 8), (8, 12), (20, 30)]);
        remove_part(&mut parts, 3, 10);
        assert_eq!(parts, BTreeMap::from([(1, 3), (10, 12), (20, 30)]));
        remove_part(&mut parts, 22, 23);
        assert_eq!(
            parts,
            BTreeMap::from([(1, 3), (10, 12), (20, 22), (23, 30)])
        );
        remove_part(&mut parts, 3, 10);
        remove_part(&mut parts, 0, 40);
        assert!(parts.is_empty());
    }

    #[test]
    fn parts_outside_the_window_are_refused() {
        let window = Window { start: 0x1_0000 };
        for (address, bytes) in [
            (0, 0x1000),
            (WINDOW_END, 0x1000),
            (0x2_0000, u64::MAX),
            (0x2_0000, 1 << 47),
        ] {
            assert_eq!(window.protect(address, bytes, 3), Err(Errno::EINVAL));
            assert_eq!(window.drop_tables(address, bytes), Err(Errno::EINVAL));
        }
    }
}
