// SPDX-License-Identifier: GPL-2.0
//! The things that the program is to inherit as if it had been executed directly: environment,
//! signals, limits.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::Mutex;

use ihk_ikc::layout::WINDOW_END;
use ihk_ikc::process::RLIMITS;
use nix::errno::Errno;
use nix::libc;
use nix::sys::resource::{getrlimit, setrlimit, Resource};

use crate::signals::raw::SIGNALS;

/// Returns the environment in its order, entries without `=` included.
///
/// To be called while there is only one thread and nothing changed the environment.
#[must_use]
pub(crate) fn environment() -> Vec<CString> {
    extern "C" {
        static environ: *const *const libc::c_char;
    }
    let mut entries = Vec::new();
    // SAFETY: the C library set it before `main`; there is one thread and nobody writes it.
    let mut entry = unsafe { environ };
    while !entry.is_null() {
        // SAFETY: `entry` points into the null-terminated array that `environ` is.
        let text = unsafe { *entry };
        if text.is_null() {
            break;
        }
        // SAFETY: each element up to the null is a C string that lives as long as the process.
        entries.push(unsafe { CStr::from_ptr(text) }.to_owned());
        // SAFETY: not beyond the null element, which was not reached yet.
        entry = unsafe { entry.add(1) };
    }
    entries
}

/// Returns the signals that are ignored and those that are blocked, bit n − 1 = signal n.
///
/// To be called before anything of ours changes them.
#[must_use]
pub(crate) fn signals() -> (u64, u64) {
    let (mut ignored, mut blocked) = (0, 0);
    for signal in 1..=SIGNALS {
        if is_ignored(signal) {
            ignored |= 1 << (signal - 1);
        }
    }
    // The C library hides the signals it uses itself, so the kernel is asked.
    // SAFETY: a query: the kernel writes 8 bytes into `blocked`.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_BLOCK,
            ptr::null::<u64>(),
            &raw mut blocked,
            8_usize,
        );
    }
    (ignored, blocked)
}

fn is_ignored(signal: i32) -> bool {
    // handler, flags, restorer, mask: the kernel's own structure
    let mut action = [0_u64; 4];
    // SAFETY: a query: the kernel writes its 32-byte structure into `action`.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            ptr::null::<u64>(),
            action.as_mut_ptr(),
            8_usize,
        )
    };
    result == 0 && action[0] == libc::SIG_IGN as u64
}

/// Returns whether the program has rights that whoever has executed it does not have.
pub(super) fn is_secure() -> bool {
    auxiliary(libc::AT_SECURE) != 0
}

/// Returns the entry `key` of the auxiliary vector, 0 if there is none.
pub(super) fn auxiliary(key: libc::c_ulong) -> u64 {
    // SAFETY: a question about the vector, which stays as it is.
    unsafe { libc::getauxval(key) }
}

/// Returns the program's resource limits (soft, hard) by Linux's number.
#[must_use]
pub(crate) fn limits() -> [[u64; 2]; RLIMITS] {
    let resources = [
        Resource::RLIMIT_CPU,
        Resource::RLIMIT_FSIZE,
        Resource::RLIMIT_DATA,
        Resource::RLIMIT_STACK,
        Resource::RLIMIT_CORE,
        Resource::RLIMIT_RSS,
        Resource::RLIMIT_NPROC,
        Resource::RLIMIT_NOFILE,
        Resource::RLIMIT_MEMLOCK,
        Resource::RLIMIT_AS,
        Resource::RLIMIT_LOCKS,
        Resource::RLIMIT_SIGPENDING,
        Resource::RLIMIT_MSGQUEUE,
        Resource::RLIMIT_NICE,
        Resource::RLIMIT_RTPRIO,
        Resource::RLIMIT_RTTIME,
    ];
    let mut limits = resources
        .map(|resource| getrlimit(resource).map_or([u64::MAX; 2], |(soft, hard)| [soft, hard]));
    // A program that was executed by another: mcctrl has made room for the window before.
    for limit in &mut limits[ADDRESS_SPACE] {
        if *limit != u64::MAX && *limit >= WINDOW_END {
            *limit -= WINDOW_END;
        }
    }
    limits
}

/// The limits of the program that the co-kernel keeps, by Linux's number. The next program gets
/// them.
static KEPT: Mutex<[Option<[u64; 2]>; RLIMITS]> = Mutex::new([None; RLIMITS]);

/// Notes that limit `number` of the program is now `limit` (soft, hard).
///
/// # Errors
///
/// `EINVAL` if there is no such limit.
pub(crate) fn keep_limit(number: u64, limit: [u64; 2]) -> Result<(), Errno> {
    let mut kept = KEPT.lock().map_err(|_| Errno::EIO)?;
    let place = usize::try_from(number)
        .ok()
        .and_then(|number| kept.get_mut(number))
        .ok_or(Errno::EINVAL)?;
    *place = Some(limit);
    if number == STACK as u64 {
        // Linux gives the arguments of the next program a quarter of it. Only the limit that others have
        // raised by their privilege may be refused.
        let _ = setrlimit(Resource::RLIMIT_STACK, limit[0], limit[1]);
    }
    Ok(())
}

/// Returns the limits that were kept, by number.
#[must_use]
pub(crate) fn kept_limits() -> [Option<[u64; 2]>; RLIMITS] {
    KEPT.lock().map_or([None; RLIMITS], |kept| *kept)
}

/// Number of `RLIMIT_STACK`.
pub(crate) const STACK: usize = 3;
/// Number of `RLIMIT_AS`.
pub(crate) const ADDRESS_SPACE: usize = 9;

#[cfg(test)]
mod tests {
    use super::{environment, limits, STACK};

    #[test]
    fn environment_is_the_process_own() {
        let wanted = std::fs::read("/proc/self/environ").unwrap();
        let found: Vec<u8> = environment()
            .iter()
            .flat_map(|entry| entry.to_bytes_with_nul().to_vec())
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn limits_are_in_linux_order() {
        let text = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("Max stack size"))
            .unwrap();
        let soft = line.split_whitespace().nth(3).unwrap();
        let wanted = if soft == "unlimited" {
            u64::MAX
        } else {
            soft.parse().unwrap()
        };
        assert_eq!(limits()[STACK][0], wanted);
    }
}
