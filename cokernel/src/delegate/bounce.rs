// SPDX-License-Identifier: GPL-2.0
//! Bounce pages: a read or write of little into memory that Linux has never seen. Its data travel through
//! a page that belongs to the slot (a bounce buffer). A detour of hop 3 of a delegated call.
//!
//! Mapping a page in the window costs Linux a fault, and its end a revocation; copying up to a page
//! costs less. A buffer that comes a second time is mapped: from then on Linux's own copy is the only
//! one. Each leaf of the page table remembers whether it had its first time.

use ihk_ikc::exposed;
use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::op;
use ihk_ikc::syscalls::{number, Class, CALLS};

use crate::addr::{is_user_range, page_down};
use crate::errno::{Errno, SyscallResult};
use crate::partition;
use crate::task::process::Process;
use crate::task::sched;
use crate::task::thread::Thread;

/// The direction of the data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// To the program.
    In,
    /// From the program.
    Out,
}

impl Direction {
    /// That of system call `number`, if it is one of those that may travel so.
    const fn of(number: u64) -> Option<Self> {
        match number {
            number::read | number::pread64 => Some(Self::In),
            number::write | number::pwrite64 => Some(Self::Out),
            _ => None,
        }
    }
}

/// [`Direction::of`] names the calls that the contract says move a buffer: so the test takes no
/// load.
const _: () = {
    let mut index = 0;
    while index < CALLS.len() {
        let call = &CALLS[index];
        let direction = Direction::of(call.number);
        assert!(call.class.has(Class::FILLS_BUFFER) == matches!(direction, Some(Direction::In)));
        assert!(call.class.has(Class::TAKES_BUFFER) == matches!(direction, Some(Direction::Out)));
        index += 1;
    }
};

/// Performs the system call with the data in the bounce page, if it is one that may travel so.
/// Returns `None` if the call is to be made directly; nothing has happened then.
#[inline]
pub fn try_call(number: u64, args: [u64; 6]) -> Option<SyscallResult> {
    Direction::of(number)
        .filter(|_| !is_hinted_usual(sched::current(), args[1]))
        .and_then(|direction| carry(direction, number, args))
}

/// Does what [`try_call`] does, for a call that may travel so. Out of line: most calls do not come
/// here, and would have its variables on their stack.
#[inline(never)]
fn carry(direction: Direction, number: u64, args: [u64; 6]) -> Option<SyscallResult> {
    let [descriptor, address, bytes, offset, ..] = args;
    let at = address % PAGE_BYTES;
    if bytes == 0 || bytes > PAGE_BYTES - at || !is_user_range(address, bytes) {
        return None;
    }
    let thread = sched::current();
    let process = thread.process.as_ref()?;
    if !is_first_use(thread, process, address, direction) {
        return None;
    }
    let page = process.slots.bounce_page(thread.slot, at, bytes)?;
    if direction == Direction::Out {
        // A page that is not there is for the usual way to report.
        page.fill_from(address).ok()?;
    }
    let answer = super::call_directly(op::BOUNCE, [descriptor, at, bytes, offset, number, 0]);
    match answer {
        Ok(op::NOT_BOUNCED) => None,
        Ok(moved) if moved > bytes => Some(Err(Errno::EIO)),
        Ok(moved @ 1..) if direction == Direction::In => {
            let copied = page.copy_to(address, moved);
            Some(copied.map_err(|_| Errno::EFAULT).and(answer))
        }
        _ => Some(answer),
    }
}

/// Whether the thread's last call of this kind used the same page in the usual way: a look at one word.
fn is_hinted_usual(thread: &Thread, address: u64) -> bool {
    thread.data.shown.usual_page() == page_down(address)
}

/// The current thread has unmapped memory: another page may come to where its last one was.
pub fn forget_hint() {
    sched::current().data.shown.set_usual_page(0);
}

/// Whether the page of `address` is there, may be used so, and neither Linux nor this function has
/// seen it before.
fn is_first_use(thread: &Thread, process: &Process, address: u64, direction: Direction) -> bool {
    let is_first = process.space.with(|inner| {
        let Some(leaf) = inner.table.lookup(address) else {
            return false;
        };
        let rights = leaf.flags;
        let fits = rights.read
            && rights.user
            && !rights.mirrored
            && (rights.write || direction == Direction::Out)
            // Linux does not heed keys, and what it has read must find its place.
            && (rights.key == 0 || direction == Direction::Out);
        let inside = address & (leaf.size.bytes() - 1);
        let is_unseen = |frame| {
            inner.table.note_use(address) && !exposed::is_set(partition::exposed_bits(), frame)
        };
        fits && partition::frame_number(leaf.pa + inside).is_some_and(is_unseen)
    });
    if !is_first {
        thread.data.shown.set_usual_page(page_down(address));
    }
    is_first
}
