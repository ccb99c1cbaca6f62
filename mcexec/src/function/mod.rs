// SPDX-License-Identifier: GPL-2.0
//! Runs functions of the program in this process (Sakura Call), at their own addresses.
//!
//! A function has a stack and the thread pointer of the program's thread that its runner belongs to,
//! so to the program it runs in that thread. [`call`] switches there and back; [`filter`] lets the
//! system calls through that any thread may make, and [`trap`] gets the others: it makes those that
//! have exceptions here, and has the program's thread make those that are the co-kernel's.

#[expect(unsafe_code, reason = "stack and thread pointer are switched")]
mod call;
#[expect(unsafe_code, reason = "seccomp and the bounds of the program text")]
mod filter;
#[expect(unsafe_code, reason = "signal handlers")]
mod trap;

use nix::errno::Errno;
use nix::libc;

use trap::Place;

/// A function, its argument, and what it runs with.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// Address of the function.
    pub function: u64,
    /// Its argument.
    pub argument: u64,
    /// One past the end of the stack.
    pub stack: u64,
    /// FS base.
    pub thread_pointer: u64,
}

/// What a trapped system call is done with.
pub(crate) trait Caller {
    /// Makes it in this process, with all exceptions.
    fn perform(&self, number: u64, args: [u64; 6]) -> i64;
    /// Has the program's thread make it.
    fn pass_on(&self, number: u64, args: [u64; 6]) -> i64;
    /// Lets the program's code at `address` be executed here, if it is code; whether something was
    /// changed.
    fn allow_execution(&self, address: u64) -> bool;
    /// Where `address` of the program's vdso is in this process.
    fn own_vdso(&self, address: u64) -> Option<u64>;
}

/// What a thread needs to run functions. It stays in the thread that made it, and ends with it.
pub(crate) struct Functions {
    place: Place,
}

impl Functions {
    /// Prepares this thread, for good: from now on system calls outside this program's text are
    /// filtered.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the processor lets nobody set thread pointers; `ENOMEM`; what seccomp says.
    pub(crate) fn prepare(caller: Box<dyn Caller>) -> Result<Self, Errno> {
        if !call::can_switch() {
            return Err(Errno::EOPNOTSUPP);
        }
        let place = Place::set_up(caller)?;
        trap::install()?;
        filter::install()?;
        Ok(Self { place })
    }

    /// Calls the function; what it returned.
    pub(crate) fn call(&self, call: &Call) -> i64 {
        self.place.begin();
        call::perform(call)
    }
}

/// Whether the disposition of `signal` is ours and not the program's to change.
#[must_use]
pub(crate) fn owns(signal: i32) -> bool {
    trap::owns(signal)
}

/// Calls that would end or double the runner's thread instead of the program's, or leave the frame
/// they are made from: no function may make them.
fn is_refused(number: u64) -> bool {
    matches!(
        number.cast_signed(),
        libc::SYS_clone
            | libc::SYS_clone3
            | libc::SYS_fork
            | libc::SYS_vfork
            | libc::SYS_execve
            | libc::SYS_execveat
            | libc::SYS_rt_sigreturn
            | libc::SYS_sigaltstack
            | libc::SYS_arch_prctl
            | libc::SYS_setuid
            | libc::SYS_setgid
            | libc::SYS_setreuid
            | libc::SYS_setregid
            | libc::SYS_setgroups
            | libc::SYS_setresuid
            | libc::SYS_setresgid
            | libc::SYS_setfsuid
            | libc::SYS_setfsgid
            | libc::SYS_capset
            | libc::SYS_unshare
            | libc::SYS_setns
            | libc::SYS_landlock_restrict_self
    )
}
