// SPDX-License-Identifier: GPL-2.0
//! Linux's task_work: what an interrupted program does on its way back to user space,
//! without the two thread switches that a work queue costs.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::{bindings, sync::Arc, task::Task};

/// Bits of a task's flags that let something come before the work: signals, another task.
const SOMETHING_ELSE: usize = 1 << bindings::TIF_SIGPENDING
    | 1 << bindings::TIF_NOTIFY_SIGNAL
    | 1 << bindings::TIF_NEED_RESCHED
    | 1 << bindings::TIF_NEED_RESCHED_LAZY;

/// The place that task work of `T` needs, in `T` itself, so that adding it needs no memory.
#[repr(C)]
pub(crate) struct TaskWork<T> {
    // The first field: `run` finds the rest from its address.
    head: UnsafeCell<bindings::callback_head>,
    /// The value whose work is added, with a reference; null: none is, and `head` is nobody's.
    owner: AtomicPtr<T>,
}

// SAFETY: `head` belongs to whoever changed `owner` from null, until `run` changes it back.
unsafe impl<T: Send + Sync> Sync for TaskWork<T> {}
// SAFETY: nothing in it depends on a thread.
unsafe impl<T: Send + Sync> Send for TaskWork<T> {}

/// Something that has task work.
pub(crate) trait HasTaskWork: Send + Sync + Sized + 'static {
    /// Its place.
    fn task_work(&self) -> &TaskWork<Self>;
    /// Does it; process context, nothing locked, the task is about to return to user space.
    fn run(this: Arc<Self>);
}

impl<T: HasTaskWork> TaskWork<T> {
    /// Not added.
    pub(crate) fn new() -> Self {
        Self {
            head: UnsafeCell::new(bindings::callback_head::default()),
            owner: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
}

/// Has the interrupted task do the work of `owner` before it executes its next instruction. False
/// if it was not in user space, has something else to do first, or is ending; call it in a hard
/// interrupt. Work that is added and has not begun is not added twice.
pub(crate) fn add<T: HasTaskWork>(owner: &Arc<T>) -> bool {
    if !was_in_user_space() {
        return false;
    }
    let task = Task::current_raw();
    // SAFETY: `current` is valid; others change the word atomically.
    let flags = unsafe { core::ptr::addr_of!((*task).thread_info.flags).read_volatile() };
    if flags & SOMETHING_ELSE != 0 {
        return false;
    }
    // The code that runs later must still be there.
    // SAFETY: the module is alive while its code runs.
    if !unsafe { bindings::try_module_get(super::compat::this_module()) } {
        return false;
    }
    let added = add_to(task, owner);
    if added != Added::Now {
        put_module();
    }
    added != Added::Refused
}

/// What became of work that was to be added.
#[derive(PartialEq, Eq)]
enum Added {
    /// It is.
    Now,
    /// It was already, and has not begun.
    Before,
    /// The task is ending.
    Refused,
}

fn add_to<T: HasTaskWork>(task: *mut bindings::task_struct, owner: &Arc<T>) -> Added {
    let work = owner.task_work();
    let reference = Arc::into_raw(owner.clone());
    let taken = work.owner.compare_exchange(
        core::ptr::null_mut(),
        reference.cast_mut(),
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    if taken.is_err() {
        // SAFETY: from `into_raw` above; nobody else has it.
        drop(unsafe { Arc::from_raw(reference) });
        return Added::Before;
    }
    let head = work.head.get();
    // SAFETY: `head` is ours since `owner` was null, and lives as long as the reference in `owner`.
    // The callback gets the address of an `TaskWork<T>`, whose first field it is.
    let refused = unsafe {
        (*head).func = Some(run::<T>);
        bindings::task_work_add(task, head, bindings::task_work_notify_mode_TWA_RESUME)
    };
    if refused != 0 {
        work.owner.store(core::ptr::null_mut(), Ordering::Release);
        // SAFETY: from `into_raw` above; `owner` has let go of it.
        drop(unsafe { Arc::from_raw(reference) });
        return Added::Refused;
    }
    Added::Now
}

/// # Safety
/// `head` is the first field of the `TaskWork<T>` of the value that `owner` names.
unsafe extern "C" fn run<T: HasTaskWork>(head: *mut bindings::callback_head) {
    // SAFETY: the caller's promise; the reference in `owner` keeps it alive.
    let work = unsafe { &*head.cast::<TaskWork<T>>() };
    // From here on it may be added again: what is told now is done by this run or by the next.
    let owner = work.owner.swap(core::ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: `add` put the reference there, and only one run takes it.
    T::run(unsafe { Arc::from_raw(owner) });
    put_module();
}

fn put_module() {
    // SAFETY: `add` has got a reference for this one.
    unsafe { bindings::module_put(super::compat::this_module()) };
}

/// Whether the interrupt that is being served came while its CPU was in user space.
fn was_in_user_space() -> bool {
    extern "C" {
        // arch/x86/kernel/irq.c; what get_irq_regs() reads: null outside interrupts.
        static __irq_regs: *const bindings::pt_regs;
    }
    let registers: *const bindings::pt_regs;
    // SAFETY: reads this CPU's word of a per-CPU variable.
    unsafe {
        asm!("mov {}, gs:[rip + {}]", out(reg) registers, sym __irq_regs,
             options(nostack, readonly, preserves_flags));
    }
    // SAFETY: if not null it is the frame of the interrupt we are in, on this CPU's stack. Its
    // selector is valid in both formats that the union has.
    !registers.is_null() && unsafe { (*registers).__bindgen_anon_1.cs } & 3 == 3
}
