// SPDX-License-Identifier: GPL-2.0
//! The resource limits that Linux keeps of a process.

use kernel::{bindings, prelude::*, task::Task};

/// Number of limits.
pub(crate) const COUNT: usize = bindings::RLIM_NLIMITS as usize;

/// The limits of a process while nobody else writes them.
struct Limits(*mut bindings::rlimit);

/// Hands the limits of the process of `task` to `visit`, which must not sleep.
fn with<R>(task: &Task, visit: impl FnOnce(&Limits) -> R) -> R {
    let task = task.as_ptr();
    // SAFETY: a task, its leader and their common signal structure live as long as the reference; the
    // leader's lock is what guards writing limits.
    unsafe {
        let lock = core::ptr::addr_of_mut!((*(*task).group_leader).alloc_lock);
        bindings::spin_lock(lock);
        let result = visit(&Limits(
            core::ptr::addr_of_mut!((*(*task).signal).rlim).cast(),
        ));
        bindings::spin_unlock(lock);
        result
    }
}

impl Limits {
    /// Limit `number`, soft and hard. EINVAL if there is no such limit.
    fn get(&self, number: usize) -> Result<[u64; 2]> {
        let limit = self.place(number)?;
        // SAFETY: by `place`; readers take single words.
        unsafe {
            Ok([
                core::ptr::addr_of!((*limit).rlim_cur).read_volatile() as u64,
                core::ptr::addr_of!((*limit).rlim_max).read_volatile() as u64,
            ])
        }
    }

    /// Limit `number` becomes `[soft, hard]`.
    fn set(&self, number: usize, [soft, hard]: [u64; 2]) -> Result {
        let limit = self.place(number)?;
        // SAFETY: by `place`; nobody else writes, and readers take single words.
        unsafe {
            core::ptr::addr_of_mut!((*limit).rlim_cur).write_volatile(soft as c_ulong);
            core::ptr::addr_of_mut!((*limit).rlim_max).write_volatile(hard as c_ulong);
        }
        Ok(())
    }

    /// Where limit `number` lies.
    fn place(&self, number: usize) -> Result<*mut bindings::rlimit> {
        if number < COUNT {
            // SAFETY: inside the array.
            Ok(unsafe { self.0.add(number) })
        } else {
            Err(EINVAL)
        }
    }
}

fn current() -> &'static Task {
    // SAFETY: `current` is valid, and no function below keeps the reference beyond its own end.
    unsafe { &*Task::current_raw().cast() }
}

/// The caller's limits, soft and hard, by number.
pub(crate) fn of_current() -> Result<[[u64; 2]; COUNT]> {
    with(current(), |limits| {
        let mut all = [[0; 2]; COUNT];
        for (number, place) in all.iter_mut().enumerate() {
            *place = limits.get(number)?;
        }
        Ok(all)
    })
}

/// The hard limit `number` of the process of `task`.
pub(crate) fn hard(task: &Task, number: usize) -> Result<u64> {
    with(task, |limits| limits.get(number).map(|[_, hard]| hard))
}

/// The hard limit `number` of the process of `task` becomes `wanted`; `false`, and nothing changes, if that is
/// more and `may_raise` is not set. The soft limit stays, even above it: it holds for the process on Linux.
pub(crate) fn set_hard(task: &Task, number: usize, wanted: u64, may_raise: bool) -> Result<bool> {
    with(task, |limits| {
        let [soft, hard] = limits.get(number)?;
        if wanted > hard && !may_raise {
            return Ok(false);
        }
        limits.set(number, [soft, wanted])?;
        Ok(true)
    })
}

/// Raises the calling process's limits of its address space, soft and hard, by `bytes`, unless they are
/// not below that anyway.
pub(crate) fn raise_address_space(bytes: u64) -> Result {
    const NUMBER: usize = bindings::RLIMIT_AS as usize;
    let raised = |now: u64| {
        if now < bytes {
            now.saturating_add(bytes)
        } else {
            now
        }
    };
    with(current(), |limits| {
        limits.set(NUMBER, limits.get(NUMBER)?.map(raised))
    })
}

const DESCRIPTORS: usize = bindings::RLIMIT_NOFILE as usize;

/// The calling process may have at least `least` descriptors. Returns its soft limit, if that was less.
pub(crate) fn lift_descriptors(least: u64) -> Result<Option<u64>> {
    with(current(), |limits| {
        let [soft, hard] = limits.get(DESCRIPTORS)?;
        if soft >= least {
            return Ok(None);
        }
        limits.set(DESCRIPTORS, [least, hard])?;
        Ok(Some(soft))
    })
}

/// Takes back what [`lift_descriptors`] to `least` did, unless somebody has set another limit since.
pub(crate) fn restore_descriptors(least: u64, limit: u64) -> Result {
    with(current(), |limits| {
        let [soft, hard] = limits.get(DESCRIPTORS)?;
        if soft == least {
            limits.set(DESCRIPTORS, [limit.min(hard), hard])?;
        }
        Ok(())
    })
}
