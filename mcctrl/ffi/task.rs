// SPDX-License-Identifier: GPL-2.0
//! The calling task: who it is and which signals wait for it.

use super::extra;
use crate::proto::scheduling::Scheduling;
use core::ptr::NonNull;
use kernel::{bindings, error::to_result, prelude::*, sync::aref::ARef, task::Task};

const SIGKILL: c_int = 9;

/// The identity of a process (thread group): a reference to its `struct pid`, which stays unique
/// for as long as it is held.
pub(crate) struct ProcessId(NonNull<bindings::pid>);

// SAFETY: `struct pid` is reference-counted and usable from any thread.
unsafe impl Send for ProcessId {}
// SAFETY: as above.
unsafe impl Sync for ProcessId {}

impl ProcessId {
    /// Returns that of the calling process. ESRCH for a task without one.
    pub(crate) fn current() -> Result<Self> {
        // SAFETY: `current` is valid; the result is null or carries a reference.
        let pid =
            unsafe { bindings::get_task_pid(Task::current_raw(), bindings::pid_type_PIDTYPE_TGID) };
        NonNull::new(pid).map(Self).ok_or(ESRCH)
    }

    /// Returns that of process `pid` in the caller's namespace. ESRCH if there is none.
    pub(crate) fn find(pid: i32) -> Result<Self> {
        // SAFETY: any number may be looked for; the result is null or carries a reference.
        let pid = unsafe { bindings::find_get_pid(pid) };
        NonNull::new(pid).map(Self).ok_or(ESRCH)
    }

    /// Returns that of the process that `task` belongs to. ESRCH if that has ended.
    pub(super) fn of(task: &Task) -> Result<Self> {
        // SAFETY: the task is valid; the result is null or carries a reference.
        let pid = unsafe { bindings::get_task_pid(task.as_ptr(), bindings::pid_type_PIDTYPE_TGID) };
        NonNull::new(pid).map(Self).ok_or(ESRCH)
    }

    /// Its number in the initial namespace.
    pub(super) fn global_number(&self) -> i32 {
        // SAFETY: the reference that is held keeps the structure, whose first number is that.
        unsafe { (*self.0.as_ptr()).numbers.as_ptr().read().nr }
    }

    /// The process dies of SIGKILL, if it still lives. Any context.
    pub(crate) fn kill(&self) {
        const SENT_BY_KERNEL: c_int = 1;
        // SAFETY: we hold a reference; sending takes locks that are safe in interrupts only.
        unsafe { bindings::kill_pid(self.0.as_ptr(), SIGKILL, SENT_BY_KERNEL) };
    }
}

impl PartialEq for ProcessId {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Drop for ProcessId {
    fn drop(&mut self) {
        // SAFETY: we own one reference.
        unsafe { bindings::put_pid(self.0.as_ptr()) };
    }
}

/// A thread with the program that it executes: after an exec it is another one, and so is a thread that takes a
/// dead one's place by an exec.
pub(crate) struct ThreadId {
    task: ARef<Task>,
    /// How many programs the thread had executed.
    executed: u64,
}

impl ThreadId {
    /// That of the calling thread.
    pub(crate) fn current() -> Self {
        let task = Task::current_raw();
        // SAFETY: `current` is valid; the reference is the new value's.
        let task = unsafe {
            bindings::get_task_struct(task);
            ARef::from_raw(NonNull::new_unchecked(task.cast()))
        };
        let mut thread = Self { task, executed: 0 };
        thread.executed = thread.executed_now();
        thread
    }

    fn executed_now(&self) -> u64 {
        // SAFETY: the reference keeps the task; the word is one of the task's own (`begin_new_exec`).
        unsafe { core::ptr::addr_of!((*self.task.as_ptr()).self_exec_id).read_volatile() }
    }

    fn is_running_here(&self) -> bool {
        self.task.as_ptr() == Task::current_raw()
    }

    /// Whether it is the calling thread's.
    pub(crate) fn is_current(&self) -> bool {
        self.is_running_here() && self.executed_now() == self.executed
    }

    /// Whether it was the calling thread's until this has executed a program just now.
    pub(crate) fn has_executed(&self) -> bool {
        self.is_running_here() && self.executed_now() == self.executed.wrapping_add(1)
    }

    /// Whether there is such a thread still, whatever it executes.
    pub(crate) fn is_alive(&self) -> bool {
        // SAFETY: the reference keeps the task; the word is written once, at its end.
        (unsafe { core::ptr::addr_of!((*self.task.as_ptr()).exit_state).read_volatile() }) == 0
    }
}

/// The process of thread `tid`, which is one of the caller's namespace, and how that thread is scheduled. ESRCH
/// if there is none.
pub(crate) fn scheduling_of(tid: i32) -> Result<(ProcessId, Scheduling)> {
    let thread = ProcessId::find(tid)?;
    // SAFETY: the reference that is held keeps the structure; the result is null or carries one.
    let task = unsafe { bindings::get_pid_task(thread.0.as_ptr(), bindings::pid_type_PIDTYPE_PID) };
    let task = NonNull::new(task).ok_or(ESRCH)?;
    // SAFETY: the pointer carries a reference, which the new value takes over.
    let task = unsafe { ARef::<Task>::from_raw(task.cast()) };
    // SAFETY: the task is valid; the result is null or carries a reference.
    let process = unsafe { bindings::get_task_pid(task.as_ptr(), bindings::pid_type_PIDTYPE_TGID) };
    let process = NonNull::new(process).map(ProcessId).ok_or(ESRCH)?;
    // SAFETY: the task is valid for as long as its reference is held.
    Ok((process, unsafe { read_scheduling(task.as_ptr()) }))
}

/// How the calling thread is scheduled.
pub(crate) fn current_scheduling() -> Scheduling {
    // SAFETY: `current` is valid.
    unsafe { read_scheduling(Task::current_raw()) }
}

/// # Safety
///
/// `task` is valid.
unsafe fn read_scheduling(task: *mut bindings::task_struct) -> Scheduling {
    /// `NICE_TO_PRIO(0)`.
    const NICE_0: i32 = 120;
    // SAFETY: by this function's contract; who changes the words does not change them together for us, and
    // tells of each change.
    let (policy, priority, static_priority, resets) = unsafe {
        (
            core::ptr::addr_of!((*task).policy).read_volatile(),
            core::ptr::addr_of!((*task).rt_priority).read_volatile(),
            core::ptr::addr_of!((*task).static_prio).read_volatile(),
            (*task).sched_reset_on_fork(),
        )
    };
    Scheduling {
        policy: u8::try_from(policy).unwrap_or(0),
        priority: u8::try_from(priority).unwrap_or(0),
        nice: i8::try_from(static_priority.saturating_sub(NICE_0)).unwrap_or(0),
        resets_on_fork: resets != 0,
    }
}

/// Which address space a thread has, to be compared while it is known not to be gone.
#[derive(PartialEq, Eq)]
pub(crate) struct AddressSpace(pub(super) usize);

impl AddressSpace {
    /// The calling thread's.
    pub(crate) fn current() -> Self {
        // SAFETY: `current` is valid.
        Self(unsafe { (*Task::current_raw()).mm } as usize)
    }

    /// Whether the calling thread has it.
    pub(crate) fn is_current(&self) -> bool {
        *self == Self::current()
    }
}

/// Refuses callers that may not administrate the machine.
pub(crate) fn require_admin() -> Result {
    const CAPABILITY: c_int = bindings::CAP_SYS_ADMIN as c_int;
    // SAFETY: asks about the calling task only.
    if unsafe { bindings::capable(CAPABILITY) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}

/// Ends the calling process by SIGKILL, before it does anything more.
pub(crate) fn kill_current() {
    // SAFETY: `current` is valid; the call sends a signal to it.
    unsafe { bindings::send_sig(SIGKILL, Task::current_raw(), 1) };
}

/// Process id of the caller as it sees it itself (in its pid namespace).
pub(crate) fn current_tgid() -> i32 {
    // SAFETY: `current` is valid; a null namespace means the task's own.
    unsafe {
        bindings::__task_pid_nr_ns(
            Task::current_raw(),
            bindings::pid_type_PIDTYPE_TGID,
            core::ptr::null_mut(),
        )
    }
}

/// Ends the calling process as if `signal` had ended it and Linux had written a core.
pub(crate) fn kill_current_with_core(signal: u8) -> Result {
    /// The bit of a wait status that tells of a core.
    const DUMPED: c_int = 0x80;
    let task = Task::current_raw();
    // SAFETY: `current` is valid; the call sends a signal to it.
    to_result(unsafe { bindings::send_sig(SIGKILL, task, 1) })?;
    // SAFETY: the signal structure lives as long as the task. SIGKILL has just begun the end of the
    // group and stored this word, which nobody stores again; readers want it when threads have ended,
    // of which this one is not the first.
    unsafe {
        core::ptr::addr_of_mut!((*(*task).signal).group_exit_code)
            .write_volatile(c_int::from(signal) | DUMPED);
    }
    Ok(())
}

/// The real user of the caller, in the initial user namespace.
pub(crate) fn current_user() -> u32 {
    // SAFETY: `current` is valid, and its credentials are its own to change.
    unsafe { (*(*Task::current_raw()).cred).uid.val }
}

/// A number that tells tasks apart for as long as they live.
pub(crate) fn current_key() -> usize {
    Task::current_raw() as usize
}

/// Whether any signal waits for the caller.
pub(crate) fn signal_pending() -> bool {
    // SAFETY: `current` is valid.
    (unsafe { bindings::signal_pending(Task::current_raw()) }) != 0
}

/// Whether a signal that cannot be survived waits for the caller. A signal that is fatal for the
/// process reaches every thread as SIGKILL.
pub(crate) fn fatal_signal_pending() -> bool {
    const SIGKILL_BIT: usize = 1 << 8;
    let task = Task::current_raw();
    if !signal_pending() {
        return false;
    }
    // SAFETY: the word may change under us; a racy look is what the kernel's own does, too.
    let pending = unsafe { core::ptr::addr_of!((*task).pending.signal.sig[0]).read_volatile() };
    pending & SIGKILL_BIT != 0
}

/// Whether the caller is about to be stopped (SIGSTOP and its like, or the cgroup freezer).
pub(crate) fn stop_pending() -> bool {
    const MASK: c_ulong = 1 << extra::JOBCTL_STOP_PENDING_BIT | 1 << extra::JOBCTL_TRAP_FREEZE_BIT;
    // SAFETY: `current` is valid; a racy look suffices, the stop itself is Linux's business.
    unsafe { core::ptr::addr_of!((*Task::current_raw()).jobctl).read_volatile() & MASK != 0 }
}
