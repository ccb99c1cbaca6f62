// SPDX-License-Identifier: GPL-2.0
//! The gate: how this process calls mcctrl without a descriptor, which the program could see, close or
//! need ([`ihk_ikc::uapi::gate`]).
//!
//! Each thread has a place in the table of calls, from [`enter`] or its first call on. A signal handler that
//! calls while its thread is about to leaves the place as it was.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::uapi::{self, gate};
use nix::errno::Errno;
use nix::libc;

use crate::image::to_usize;

/// Words of 64 bits, one for each call.
const WORDS: usize = to_usize(gate::CALLS / 64);

/// The places that are taken, by bits.
static TAKEN: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];

/// A place that a thread has taken.
struct Place(Cell<Option<u64>>);

thread_local! {
    static PLACE: Place = const { Place(Cell::new(None)) };
}

impl Place {
    /// Returns the place of this thread, which takes one if it has none.
    fn get(&self) -> Option<u64> {
        self.0.get().or_else(|| {
            self.0.set(take());
            self.0.get()
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((word, bit)) = self.0.get().and_then(position) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// Returns the word and the bit of place `index`.
fn position(index: u64) -> Option<(&'static AtomicU64, u64)> {
    let word = TAKEN.get(usize::try_from(index / 64).ok()?)?;
    Some((word, 1 << (index % 64)))
}

/// Takes a free place.
fn take() -> Option<u64> {
    (0..gate::CALLS).find(|&index| {
        position(index).is_some_and(|(word, bit)| {
            word.load(Ordering::Relaxed) & bit == 0
                && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
        })
    })
}

/// Takes a place for this thread, in which a signal handler may call before anything else does.
pub(crate) fn enter() {
    PLACE.with(Place::get);
}

/// Forgets the places of other threads, in a child of fork, which has none.
pub(crate) fn forget_others() {
    let own = PLACE.with(|place| place.0.get());
    for (index, word) in (0..).zip(&TAKEN) {
        let kept = own
            .filter(|own| own / 64 == index)
            .map_or(0, |own| 1 << (own % 64));
        word.store(kept, Ordering::Relaxed);
    }
}

/// Opens the gate to the instance whose device is `device`.
///
/// # Errors
///
/// `ESRCH` if no co-kernel runs there, `ENOMEM` if Linux has no room.
pub(crate) fn open(device: &impl AsRawFd) -> Result<(), Errno> {
    // SAFETY: the call takes no argument and maps the gate where nothing of ours lies.
    let mapped = unsafe { libc::ioctl(device.as_raw_fd(), libc::Ioctl::from(uapi::MAP_GATE), 0) };
    match Errno::result(mapped) {
        // The start is tried a second time.
        Ok(_) | Err(Errno::EEXIST) => make_table().or_else(|errno| match errno {
            Errno::EEXIST => Ok(()),
            other => Err(other),
        }),
        Err(errno) => Err(errno),
    }
}

/// Returns whether mcctrl has opened the gate for this process already: another program has executed the
/// one that it stands for.
///
/// # Errors
///
/// It has, and Linux has no room for what belongs to it.
pub(crate) fn is_open() -> Result<bool, Errno> {
    let mut state: u8 = 0;
    let start = ptr::without_provenance_mut(to_usize(gate::START));
    // SAFETY: one byte of `state` is written for one page.
    let is_mapped = unsafe { libc::mincore(start, to_usize(PAGE_BYTES), &raw mut state) == 0 };
    if !is_mapped {
        return Ok(false);
    }
    match make_table() {
        Ok(()) | Err(Errno::EEXIST) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn make_table() -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let place = ptr::without_provenance_mut(to_usize(gate::TABLE));
    // SAFETY: with MAP_FIXED_NOREPLACE no existing mapping is touched.
    let table = unsafe { libc::mmap(place, to_usize(gate::TABLE_BYTES), rights, flags, -1, 0) };
    if table == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    table.expose_provenance();
    Ok(())
}

/// Calls mcctrl: `command` is the number of an ioctl of programs. May be called from a signal handler.
///
/// # Errors
///
/// The errors are those of the command; `EAGAIN` if more threads than can be want to call.
///
/// # Safety
///
/// The gate is open, and `argument` is what the contract says of `command`.
pub(crate) unsafe fn call(command: u32, argument: u64) -> Result<(), Errno> {
    let index = PLACE.with(Place::get).ok_or(Errno::EAGAIN)?;
    let place = to_usize(gate::place(index).ok_or(Errno::EAGAIN)?);
    let place = ptr::with_exposed_provenance_mut::<gate::Call>(place);
    let call = gate::Call {
        command,
        reserved: 0,
        argument,
    };
    // SAFETY: the table is mapped for the rest of the process, and the place is this thread's.
    let before = unsafe { place.read_volatile() };
    // SAFETY: as above.
    unsafe { place.write_volatile(call) };
    let page = ptr::without_provenance_mut(to_usize(gate::START + index * PAGE_BYTES));
    // SAFETY: the gate has no memory; what the call does is the caller's promise.
    let result = Errno::result(unsafe { libc::msync(page, to_usize(PAGE_BYTES), libc::MS_SYNC) });
    // SAFETY: as above.
    unsafe { place.write_volatile(before) };
    result.map(drop)
}

#[cfg(test)]
mod tests {
    use super::{forget_others, is_open, position, take, PLACE};
    use std::sync::atomic::Ordering;

    #[test]
    fn each_thread_has_a_place_and_gives_it_back() {
        let first = take().unwrap();
        let (word, bit) = position(first).unwrap();
        assert_ne!(take(), Some(first));
        word.fetch_and(!bit, Ordering::Relaxed);
        let own = PLACE.with(super::Place::get).unwrap();
        let other = std::thread::spawn(|| PLACE.with(super::Place::get))
            .join()
            .unwrap();
        assert_ne!(other, Some(own));
        forget_others();
        let (word, bit) = position(own).unwrap();
        assert_eq!(word.load(Ordering::Relaxed) & bit, bit);
        assert!(position(ihk_ikc::uapi::gate::CALLS).is_none());
    }

    #[test]
    fn a_process_of_its_own_has_no_gate() {
        assert_eq!(is_open(), Ok(false));
    }
}
