// SPDX-License-Identifier: GPL-2.0
//! The end of a thread, and of a process with its memory.

use alloc::sync::Arc;

use cokernel_logic::vma::{AreaMap, Range};

use crate::arch::uaccess;
use crate::aspace::shootdown;
use crate::delegate::pool;
use crate::frames::shared::SharedExtents;
use crate::futex::{pi, queue, robust};
use crate::ikc;
use crate::mm::revoke;
use crate::process::{accounting, vfork};
use crate::task::process::Process;
use crate::task::sched;
use crate::task::thread::Thread;

/// Ends the current thread: tells who waits for its end, leaves its process, leaves the CPU.
pub fn end_thread() -> ! {
    leave();
    sched::exit_current()
}

/// Everything that holds references, so that they are dropped before the stack is left for good.
fn leave() {
    let me = sched::current_arc();
    let Some(process) = &me.process else {
        return;
    };
    // Other processes may wait for what it holds.
    robust::release_all(&me);
    // Nobody is left to care in a process that ends as a whole.
    if !process.is_dying() {
        pi::release_all(process, &me);
        clear_child_tid(&me);
        robust::untell_linux(&me);
    }
    process.remove_current(&me);
}

fn clear_child_tid(thread: &Thread) {
    let address = thread.data.take_clear_child_tid();
    if address != 0 && uaccess::write(address, &0u32).is_ok() {
        queue::wake_one(address);
    }
}

impl Process {
    /// Ends the process, after `report_exit`. Only the first call does so: only one way of ending
    /// can be told to Linux.
    pub fn end(&self, report_exit: impl FnOnce()) {
        if self.lifetime.begin_dying() {
            accounting::settle(self);
            report_exit();
            self.kick();
        }
    }

    /// Ends the process as [`Self::end`] does, but calls `report_exit` only after all threads were
    /// told and `meanwhile` was done.
    pub fn end_after(&self, meanwhile: impl FnOnce(), report_exit: impl FnOnce()) {
        if self.lifetime.begin_dying() {
            accounting::settle(self);
            self.kick();
            meanwhile();
            report_exit();
        }
    }

    /// Linux has no mapping of its memory any more: frees everything, at the latest when its last
    /// thread has ended.
    pub fn abandon(self: &Arc<Self>) {
        self.kill();
        accounting::settle(self);
        if self.lifetime.abandon() {
            self.free_memory();
        }
    }

    /// Takes the current thread out; it calls the scheduler's exit next. Must run on the kernel's
    /// own page tables.
    pub fn remove_current(self: &Arc<Self>, thread: &Arc<Thread>) {
        let is_over = self.lifetime.remove(thread);
        if !self.is_dying() {
            pool::release_worker(self, thread);
        }
        if is_over {
            self.free_memory();
        }
    }

    /// Frees its slots and, if no other process uses the address space, all pages. The tables follow
    /// when the last reference to the address space is dropped.
    fn free_memory(&self) {
        let mut limbo = SharedExtents::default();
        // SAFETY: the process has no thread any more, and gets none.
        let slots = unsafe { self.slots.take_frames() };
        revoke::free_unexposed(slots, &mut limbo);
        if self.space.remove_user() {
            shootdown::retire(&self.space.hardware);
            self.free_pages(&mut limbo);
        }
        if let Some(release) = &self.release {
            vfork::complete(release);
        }
        revoke::release_process(self, limbo);
    }

    fn free_pages(&self, limbo: &mut SharedExtents) {
        // Linux may still be asking for pages: no area takes any from now on.
        let replace = |areas: &mut AreaMap| core::mem::replace(areas, AreaMap::new());
        drop(self.space.with(|inner| replace(&mut inner.areas)));
        let window = self.space.window;
        let mut at = window.start;
        while at < window.end {
            let rest = Range {
                start: at,
                end: window.end,
            };
            // The edges of the window cut no page, so this cannot fail.
            let taken = self.space.with(|inner| inner.take_pages(rest));
            let Ok(taken) = taken else {
                return;
            };
            at = taken.end();
            revoke::free_unexposed(taken.flush(&self.space.hardware), limbo);
            ikc::beat();
        }
    }
}
