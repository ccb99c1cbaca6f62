// SPDX-License-Identifier: GPL-2.0
//! Notifiers of Linux: before it goes down co-kernel CPUs stop; while one runs, Linux does not sleep; co-kernels
//! hear that a clock was set.

use crate::ffi::clock;
use crate::ffi::notifier::{self, Chain, Notifier};
use crate::instance::running::{self, Running};
use kernel::bindings::notifier_block;
use kernel::prelude::*;

/// All registrations.
pub(crate) struct Notifiers {
    _all: [Notifier; 3],
    _clock: clock::Listener<Booted>,
}

impl Notifiers {
    /// Registers them.
    pub(crate) fn register() -> Result<Self> {
        let all = [
            Notifier::register(Chain::Panic, goes_down)?,
            Notifier::register(Chain::Reboot, goes_down)?,
            Notifier::register(Chain::Power, wants_sleep)?,
        ];
        Ok(Self {
            _all: all,
            _clock: clock::Listener::register()?,
        })
    }
}

/// The booted instances.
struct Booted;

impl clock::Hears for Booted {
    fn clock_was_set() {
        running::for_each(|running| running.instance.clock_was_set());
    }
}

/// Linux panics, reboots or hands over to another kernel: nobody may write its memory any more.
extern "C" fn goes_down(_block: *mut notifier_block, _event: c_ulong, _data: *mut c_void) -> c_int {
    running::for_each(Running::assert_reset);
    notifier::DONE
}

/// Linux wants to sleep: a co-kernel's CPUs and memory would not survive it.
extern "C" fn wants_sleep(
    _block: *mut notifier_block,
    event: c_ulong,
    _data: *mut c_void,
) -> c_int {
    let mut is_used = false;
    running::for_each(|_| is_used = true);
    let is_sleep = event == notifier::SUSPEND || event == notifier::HIBERNATE;
    if is_used && is_sleep {
        pr_warn!("refused to sleep: a co-kernel runs\n");
        return notifier::BAD;
    }
    notifier::DONE
}
