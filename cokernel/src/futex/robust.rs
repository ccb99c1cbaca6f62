// SPDX-License-Identifier: GPL-2.0
//! Robust futexes: when a thread ends, the words on its robust list are marked, and those who wait for them
//! are woken.

use cokernel_logic::pi_word::OWNER;
use cokernel_logic::robust_list::{walk, Entry, Step};
use cokernel_logic::syscall::futex::op;
use ihk_ikc::syscalls::number;

use crate::arch::uaccess;
use crate::delegate::call_directly;
use crate::errno::Errno;
use crate::futex::pi;
use crate::futex::queue::{self, wake_one, Queue};
use crate::task::current;
use crate::task::thread::Thread;
use crate::user_memory::read_words;

/// Releases what `thread`, the current one, holds. A list that makes no sense ends the walk.
pub fn release_all(thread: &Thread) {
    let head = thread.data.robust_list.take_head();
    if head == 0 {
        return;
    }
    let read = |address| read_words(address).map(|[word]| word).ok();
    walk(head, read, |entry| release(thread, &entry));
}

/// Releases the word of `entry`, if `thread` holds it.
fn release(thread: &Thread, entry: &Entry) {
    let address = entry.word;
    match queue::find(address, false) {
        // If the worker dies as well, Linux does it.
        Ok(Queue::Linux) if current::process().is_dying() => return,
        Ok(_) => {}
        Err(_) => return,
    }
    let id = thread.data.tid.unsigned_abs() & OWNER;
    loop {
        let Ok(word) = uaccess::load_u32(address) else {
            return;
        };
        match entry.step(word, id) {
            Step::Leave => return,
            Step::Wake => return wake_one(address),
            Step::Bequeath => {
                // Only a bad address fails, and then nobody waits there.
                let _ = bequeath(address);
                return;
            }
            Step::Mark { new, wakes } => match uaccess::compare_exchange(address, word, new) {
                Ok(Ok(())) if wakes => return wake_one(address),
                Ok(Ok(())) | Err(_) => return,
                Ok(Err(_)) => core::hint::spin_loop(),
            },
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
