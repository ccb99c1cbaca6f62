// SPDX-License-Identifier: GPL-2.0
//! Runs functions of the program in this process (Sakura Call), at their own addresses.
//!
//! Each runner belongs to a thread of the program. A function has a stack of its own and the thread
//! pointer of that thread, so to the program it runs there. [`call`] switches to the function and
//! back. [`filter`] lets the system calls through that any thread may make. [`trap`] gets the
//! others: it makes those that have exceptions here, and has the program's thread make those that
//! are the co-kernel's.

#[expect(unsafe_code, reason = "stack and thread pointer are switched")]
mod call;
#[expect(unsafe_code, reason = "seccomp and the bounds of the program text")]
mod filter;
#[expect(unsafe_code, reason = "signal handlers")]
mod trap;

use nix::errno::Errno;

pub(crate) use call::Call;
pub(crate) use trap::Caller;
use trap::Place;

/// The means of a thread to run functions. They stay in the thread that made them, and end with it.
pub(crate) struct Functions {
    place: Place,
}

impl Functions {
    /// Prepares this thread, for good: from now on system calls outside this program's text are
    /// filtered.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the processor lets nobody set thread pointers; `ENOMEM`; or the error of
    /// seccomp.
    pub(crate) fn prepare(caller: Box<dyn Caller>) -> Result<Self, Errno> {
        if !call::can_switch() {
            return Err(Errno::EOPNOTSUPP);
        }
        let place = Place::set_up(caller)?;
        trap::install()?;
        filter::install()?;
        Ok(Self { place })
    }

    /// Calls the function. Returns what it returned.
    pub(crate) fn call(&self, call: &Call) -> i64 {
        self.place.begin();
        call::perform(call)
    }
}
