// SPDX-License-Identifier: GPL-2.0
//! Taking CPUs from Linux, giving them back, and hearing of it when CPUs come.

use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;

/// Takes `cpu` off Linux. Sleeps; takes the device-hotplug lock.
///
/// # Errors
///
/// The error is Linux's: EPERM for a CPU that must stay, EBUSY for the last one.
pub(crate) fn offline(cpu: u32) -> Result {
    // SAFETY: process context without the hotplug lock, by this function's contract.
    to_result(unsafe { bindings::remove_cpu(cpu) })
}

/// Lets Linux run on `cpu` again; returns when it does. Sleeps; takes the device-hotplug lock.
pub(crate) fn online(cpu: u32) -> Result {
    // SAFETY: as above.
    to_result(unsafe { bindings::add_cpu(cpu) })
}

/// No CPU comes or goes while this lives.
pub(crate) struct Frozen(());

impl Frozen {
    /// Waits for a coming or going CPU, then keeps others from doing so.
    pub(crate) fn new() -> Self {
        // SAFETY: process context; `drop` unlocks.
        unsafe { bindings::cpus_read_lock() };
        Self(())
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // SAFETY: locked by `new`.
        unsafe { bindings::cpus_read_unlock() };
    }
}

/// The stage at which a [`Callback`] is called for a CPU that Linux brings up.
pub(crate) enum Stage {
    /// Before the CPU is touched; an error keeps it offline.
    Before,
    /// The stage at which it runs.
    After,
}

/// Called with the CPU's number; 0 or a negative errno.
pub(crate) type Function = extern "C" fn(cpu: c_uint) -> c_int;

/// A function registered for CPUs that come.
pub(crate) struct Callback(bindings::cpuhp_state);

impl Callback {
    /// Registers `function`; it is not called for CPUs that are there already.
    pub(crate) fn register(stage: Stage, name: &'static CStr, function: Function) -> Result<Self> {
        let wanted = match stage {
            Stage::Before => bindings::cpuhp_state_CPUHP_BP_PREPARE_DYN,
            Stage::After => bindings::cpuhp_state_CPUHP_AP_ONLINE_DYN,
        };
        // SAFETY: the name is static; the function stays until `drop` has removed it.
        let state = unsafe {
            bindings::__cpuhp_setup_state(
                wanted,
                name.as_char_ptr(),
                false,
                Some(function),
                None,
                false,
            )
        };
        to_result(state)?;
        Ok(Self(state))
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: the state was given to us by `register`.
        unsafe { bindings::__cpuhp_remove_state(self.0, false) };
    }
}
