// SPDX-License-Identifier: GPL-2.0
//! The control thread, which is always asleep in mcctrl.
//!
//! So Linux sees at once if this process dies or stops, and this process learns at once if the
//! co-kernel is gone or a call is to be interrupted.

use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ihk_ikc::uapi::event;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{unshare, CloneFlags};

use crate::device;
use crate::error::{StartError, NO_COKERNEL};
use crate::signals::{interrupt, raw};
use crate::window::Slots;

/// Stack of the control thread, which calls nothing deep.
const STACK_BYTES: usize = 64 << 10;

/// Starts the control thread. It takes the signals that are meant for the process, except those
/// that were inherited as blocked.
///
/// # Errors
///
/// Linux has no room for a thread.
pub(crate) fn spawn(os: u32, slots: Slots) -> Result<(), StartError> {
    let failed = |reason: String| StartError::cokernel("control thread", reason);
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    share_one_heap();
    interrupt::install().map_err(|errno| failed(errno.desc().to_owned()))?;
    let thread = builder
        .spawn(move || watch(os, slots))
        .map_err(|error| failed(error.to_string()))?;
    // After a fork it is that of the parent, which does not exist here.
    mem::forget(replace(Some(thread)));
    IS_PAUSED.store(false, Ordering::SeqCst);
    Ok(())
}

/// The control thread, and whether it is to end.
static THREAD: Mutex<Option<JoinHandle<()>>> = Mutex::new(None);
static IS_TO_END: AtomicBool = AtomicBool::new(false);
/// Whether some thread is about to do without it, or does.
static IS_PAUSED: AtomicBool = AtomicBool::new(false);

fn replace(thread: Option<JoinHandle<()>>) -> Option<JoinHandle<()>> {
    let mut place = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    mem::replace(&mut place, thread)
}

/// As often is looked whether other threads have ended.
const TRIES: u32 = 100;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Does `work` while this is the only thread of the process: the control thread ends, and workers that the
/// co-kernel has told to. Signals of the process and news of mcctrl wait until it is over.
///
/// # Errors
///
/// `EINVAL`: the program has other threads. Nothing was done.
pub(crate) fn alone<T>(os: u32, slots: Slots, work: impl FnOnce() -> T) -> Result<T, Errno> {
    if IS_PAUSED.swap(true, Ordering::SeqCst) {
        // Whoever does so is another thread.
        return Err(Errno::EINVAL);
    }
    if let Some(thread) = replace(None) {
        IS_TO_END.store(true, Ordering::SeqCst);
        while !thread.is_finished() {
            interrupt::wake_control();
            thread::sleep(PAUSE);
        }
        // It has nothing to say.
        let _ = thread.join();
        IS_TO_END.store(false, Ordering::SeqCst);
        interrupt::forget_control(None);
    }
    let result = is_alone().then(work).ok_or(Errno::EINVAL);
    if spawn(os, slots).is_err() {
        // Nobody would hear of the end of the co-kernel, or of signals.
        raw::die(libc::SIGKILL.unsigned_abs().into());
    }
    result
}

/// Returns whether this is the only thread, or was within a tenth of a second.
fn is_alone() -> bool {
    (0..TRIES).any(|_| {
        // Does nothing where there is nobody to leave (`check_unshare_flags` of Linux).
        let is_alone = unshare(CloneFlags::CLONE_THREAD).is_ok();
        if !is_alone {
            thread::sleep(PAUSE);
        }
        is_alone
    })
}

/// Lets all threads share one heap. They allocate next to nothing, and a heap for each would cost
/// more calls at the start than it ever saves.
#[expect(unsafe_code, reason = "mallopt")]
fn share_one_heap() {
    // SAFETY: only sets a number that the allocator looks at when a thread allocates first.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

fn watch(os: u32, slots: Slots) {
    interrupt::become_control();
    loop {
        match device::control_wait() {
            Ok(news) if news.kind == event::INSTANCE_GONE => cokernel_gone(os),
            Ok(news) if news.kind == event::CANCEL => {
                if let Some(slot) = slots.get(news.value as usize) {
                    interrupt::interrupt_worker(slot.worker_tid.load(Ordering::Acquire));
                }
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => cokernel_gone(os),
        }
        if IS_TO_END.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Says once that the program cannot go on, and ends the process.
pub(crate) fn cokernel_gone(os: u32) -> ! {
    static SAID: AtomicBool = AtomicBool::new(false);
    if SAID.swap(true, Ordering::Relaxed) {
        // Another thread is about to end the process.
        loop {
            thread::sleep(Duration::from_secs(1));
        }
    }
    // The program may have closed its stderr.
    let _ = writeln!(
        io::stderr(),
        "mcexec: os {os}: co-kernel gone (see ihkosctl {os} kmsg)"
    );
    raw::exit(NO_COKERNEL.into())
}
