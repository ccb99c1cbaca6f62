// SPDX-License-Identifier: GPL-2.0
//! Robust futexes: when a thread ends, the words on its robust list are marked, and those who wait for them
//! are woken.

use cokernel_logic::syscall::futex::op;
use ihk_ikc::syscalls::number;

use crate::arch::uaccess;
use crate::delegate::call_directly;
use crate::errno::Errno;
use crate::futex::pi::{self, OWNER, OWNER_DIED, WAITERS};
use crate::futex::queue::{self, wake_one, Queue};
use crate::task::current;
use crate::task::thread::Thread;
use crate::user_memory::read_words;

/// Most entries that are followed, as many as Linux follows: the list may be a circle.
const MOST_ENTRIES: usize = 2048;
/// Bit of an entry's address: the word has an owner.
const HAS_OWNER: u64 = 1;

/// Releases what `thread`, the current one, holds. A list that makes no sense ends the walk.
pub fn release_all(thread: &Thread) {
    let head = thread.data.robust_list.take_head();
    if head == 0 {
        return;
    }
    let Ok([first, offset, pending]) = read_words::<3>(head) else {
        return;
    };
    let mut entry = first;
    for _ in 0..MOST_ENTRIES {
        if entry & !HAS_OWNER == head {
            break;
        }
        // Read before the word is released: its memory may be gone a moment later.
        let next = read_words::<1>(entry & !HAS_OWNER);
        if entry != pending {
            release(thread, entry, offset, false);
        }
        let Ok([next]) = next else { return };
        entry = next;
    }
    if pending & !HAS_OWNER != 0 {
        release(thread, pending, offset, true);
    }
}

/// Releases the word that belongs to list entry `entry`, if `thread` holds it. One that the thread
/// was just locking or unlocking (`is_pending`) may have been unlocked, but nobody woken.
fn release(thread: &Thread, entry: u64, offset: u64, is_pending: bool) {
    let address = (entry & !HAS_OWNER).wrapping_add(offset);
    match queue::find(address, false) {
        // If the worker dies as well, Linux does it.
        Ok(Queue::Linux) if current::process().is_dying() => return,
        Ok(_) => {}
        Err(_) => return,
    }
    let has_owner = entry & HAS_OWNER != 0;
    let id = thread.data.tid.unsigned_abs() & OWNER;
    loop {
        let Ok(word) = uaccess::load_u32(address) else {
            return;
        };
        if is_pending && !has_owner && word == 0 {
            wake_one(address);
            return;
        }
        if word & OWNER != id {
            return;
        }
        if has_owner && word & WAITERS != 0 {
            // Only a bad address fails, and then nobody waits there.
            let _ = bequeath(address);
            return;
        }
        let marked = word & WAITERS | OWNER_DIED;
        match uaccess::compare_exchange(address, word, marked) {
            Ok(Ok(())) if word & WAITERS != 0 => {
                wake_one(address);
                return;
            }
            Ok(Ok(())) | Err(_) => return,
            Ok(Err(_)) => core::hint::spin_loop(),
        }
    }
}

/// Tells Linux where the list of `thread`, the current one, is, once: some of its words may lie in memory
/// that Linux's programs see, and if the process is killed, only Linux can wake who waits there.
pub fn tell_linux(thread: &Thread) {
    if let Some(head) = thread.data.robust_list.begin_telling() {
        set_in_linux(head);
    }
}

/// The worker of `thread`, the current one, may serve another one.
pub fn untell_linux(thread: &Thread) {
    if thread.data.robust_list.begin_untelling() {
        set_in_linux(0);
    }
}

fn set_in_linux(head: u64) {
    // It fails only if the process is being killed.
    let _ = call_directly(ihk_ikc::process::op::ROBUST_LIST, [head, 0, 0, 0, 0, 0]);
}

/// Hands the word at `address`, which has an owner, to who waits for it.
fn bequeath(address: u64) -> Result<(), Errno> {
    match queue::find(address, false)? {
        // A word of one process has no other name under which somebody could wait.
        Queue::Own(key) => pi::bequeath(key),
        Queue::Linux => call_directly(
            number::futex,
            [address, u64::from(op::UNLOCK_PI), 0, 0, 0, 0],
        )
        .map(drop),
    }
}
