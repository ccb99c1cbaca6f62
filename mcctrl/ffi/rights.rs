// SPDX-License-Identifier: GPL-2.0
//! What Linux's kernel says of the calling thread's rights, from credentials: the checks of prlimit(2),
//! sched_setaffinity(2) and of calls that want a capability.

use super::rlimit;
use super::task::ProcessId;
use core::ptr::NonNull;
use kernel::{bindings, prelude::*, sync::aref::ARef, task::Task};

/// A capability, by Linux's number.
#[derive(Clone, Copy)]
pub(crate) enum Capability {
    /// To lock memory beyond the limit.
    IpcLock = bindings::CAP_IPC_LOCK as isize,
    /// To place threads and pages of others.
    SysNice = bindings::CAP_SYS_NICE as isize,
    /// To raise limits.
    SysResource = bindings::CAP_SYS_RESOURCE as isize,
}

/// Whether the calling thread may use `capability` in the initial user namespace.
pub(crate) fn has(capability: Capability) -> bool {
    // SAFETY: asks about the calling task only; Linux has the capability.
    unsafe { bindings::capable(capability as c_int) }
}

/// The credentials of a task, which stay as they are.
struct Credentials(NonNull<bindings::cred>);

impl Credentials {
    /// Those by which others judge `task`.
    fn of(task: &Task) -> Self {
        // SAFETY: the task is valid; the result is never null and carries a reference.
        Self(unsafe { NonNull::new_unchecked(bindings::get_task_cred(task.as_ptr()).cast_mut()) })
    }

    fn words(&self) -> &bindings::cred {
        // SAFETY: we hold a reference, and credentials that somebody has do not change.
        unsafe { self.0.as_ref() }
    }

    /// Whether the calling thread may use `capability` in the user namespace of these.
    fn lend(&self, capability: Capability) -> bool {
        // SAFETY: credentials hold their namespace.
        unsafe { bindings::ns_capable(self.words().user_ns, capability as c_int) }
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        // SAFETY: we own one reference.
        unsafe { bindings::put_cred(self.0.as_ptr()) };
    }
}

/// The credentials with which the calling thread acts.
fn own() -> &'static bindings::cred {
    // SAFETY: `current` is valid and alone changes which credentials it has, which nothing does before the
    // caller, a function below that keeps no reference, has returned.
    unsafe { &*(*Task::current_raw()).cred }
}

/// A thread, or the process to which it belongs, that somebody asks about.
pub(crate) struct Subject(ARef<Task>);

impl Subject {
    /// The thread of number `id` in the caller's namespace, 0 = the caller. ESRCH if there is none.
    pub(crate) fn find(id: i32) -> Result<Self> {
        if id == 0 {
            // SAFETY: `current` is valid, and lives as long as this function runs in it.
            let current: &Task = unsafe { &*Task::current_raw().cast() };
            return Ok(Self(current.into()));
        }
        // SAFETY: any number may be looked for; the result is null or carries a reference.
        let pid = NonNull::new(unsafe { bindings::find_get_pid(id) }).ok_or(ESRCH)?;
        // SAFETY: the reference that is held keeps the structure and is given up behind that; the result is
        // null or carries one.
        let task = unsafe {
            let task = bindings::get_pid_task(pid.as_ptr(), bindings::pid_type_PIDTYPE_PID);
            bindings::put_pid(pid.as_ptr());
            task
        };
        let task = NonNull::new(task).ok_or(ESRCH)?;
        // SAFETY: the pointer carries a reference, which the new value takes over.
        Ok(Self(unsafe { ARef::from_raw(task.cast()) }))
    }

    /// The process that it belongs to. ESRCH if that has ended.
    pub(crate) fn process(&self) -> Result<ProcessId> {
        ProcessId::of(&self.0)
    }

    /// The thread's number as it sees it itself; 0 if it has ended.
    pub(crate) fn own_number(&self) -> i32 {
        let _namespace_stays = kernel::sync::rcu::read_lock();
        let task = self.0.as_ptr();
        // SAFETY: the task is valid; its namespace lives until a grace period after its end.
        unsafe {
            let namespace = bindings::task_active_pid_ns(task);
            bindings::__task_pid_nr_ns(task, bindings::pid_type_PIDTYPE_PID, namespace)
        }
    }

    /// `check_prlimit_permission` of kernel/sys.c, but for security modules: may the caller see and set its
    /// limits?
    pub(crate) fn lends_limits(&self) -> bool {
        let other = Credentials::of(&self.0);
        let (mine, its) = (own(), other.words());
        let users = [its.euid, its.suid, its.uid];
        let groups = [its.egid, its.sgid, its.gid];
        users.iter().all(|user| user.val == mine.uid.val)
            && groups.iter().all(|group| group.val == mine.gid.val)
            || other.lend(Capability::SysResource)
    }

    /// `check_same_owner` of kernel/sched/syscalls.c and its alternative: may the caller say where it runs?
    pub(crate) fn lends_placement(&self) -> bool {
        let other = Credentials::of(&self.0);
        let (mine, its) = (own(), other.words());
        mine.euid.val == its.euid.val
            || mine.euid.val == its.uid.val
            || other.lend(Capability::SysNice)
    }

    /// Its process's hard limit `number` becomes `wanted`. EPERM if that is more, and the caller may not raise
    /// limits.
    pub(crate) fn set_hard_limit(&self, number: usize, wanted: u64) -> Result {
        let change = |may_raise| rlimit::set_hard(&self.0, number, wanted, may_raise);
        // Only who needs the capability uses it.
        if change(false)? || has(Capability::SysResource) && change(true)? {
            Ok(())
        } else {
            Err(EPERM)
        }
    }

    /// Whether its process's hard limit `number` may become `wanted`; nothing changes. EPERM as above.
    pub(crate) fn check_hard_limit(&self, number: usize, wanted: u64) -> Result {
        if wanted <= rlimit::hard(&self.0, number)? || has(Capability::SysResource) {
            Ok(())
        } else {
            Err(EPERM)
        }
    }
}
