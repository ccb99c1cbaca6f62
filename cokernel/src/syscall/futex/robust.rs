// SPDX-License-Identifier: GPL-2.0
//! What a thread that ends held: the words on its robust list are marked, and who waits learns it.

use core::sync::atomic::Ordering;

use super::super::user::read_words;
use super::pi::{self, OWNER, OWNER_DIED, WAITERS};
use super::queue::{self, Key};
use super::ALL;
use crate::arch::uaccess;
use crate::task::thread::Thread;

/// As many entries as Linux looks at: the list may be a circle.
const MOST_ENTRIES: usize = 2048;
/// Bit of an entry's address: the word has an owner.
const HAS_OWNER: u64 = 1;

/// Releases what `thread`, the current one, holds. A list that makes no sense ends the walk.
pub fn release_all(thread: &Thread) {
    let head = thread.data.robust_list.swap(0, Ordering::Relaxed);
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
    let Ok(key) = Key::new((entry & !HAS_OWNER).wrapping_add(offset)) else {
        return;
    };
    let has_owner = entry & HAS_OWNER != 0;
    let id = thread.data.tid.unsigned_abs() & OWNER;
    loop {
        let Ok(word) = uaccess::load_u32(key.address) else {
            return;
        };
        if is_pending && !has_owner && word == 0 {
            queue::wake(key, 1, ALL);
            return;
        }
        if word & OWNER != id {
            return;
        }
        if has_owner && word & WAITERS != 0 {
            // Only a bad address fails, and then nobody waits there.
            let _ = pi::bequeath(key);
            return;
        }
        let marked = word & WAITERS | OWNER_DIED;
        match uaccess::compare_exchange(key.address, word, marked) {
            Ok(Ok(())) if word & WAITERS != 0 => {
                queue::wake(key, 1, ALL);
                return;
            }
            Ok(Ok(())) | Err(_) => return,
            Ok(Err(_)) => core::hint::spin_loop(),
        }
    }
}
