// SPDX-License-Identifier: GPL-2.0
//! References to modules: a module that is held cannot be unloaded.

use super::compat;
use kernel::bindings;

/// A module held.
pub(crate) struct ModuleRef(*mut bindings::module);

// SAFETY: a reference count may be given back by any task.
unsafe impl Send for ModuleRef {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for ModuleRef {}

impl ModuleRef {
    /// Holds this module. `None` if it is being unloaded.
    pub(crate) fn this() -> Option<Self> {
        // SAFETY: our own module exists while our code runs.
        unsafe { Self::get(compat::this_module()) }
    }

    /// Holds `module`. `None` if it is being unloaded.
    ///
    /// # Safety
    ///
    /// `module` must exist during the call (or be null, for code that is never unloaded).
    pub(crate) unsafe fn get(module: *mut bindings::module) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { bindings::try_module_get(module) }.then_some(Self(module))
    }
}

impl Drop for ModuleRef {
    fn drop(&mut self) {
        // SAFETY: held since `get`.
        unsafe { bindings::module_put(self.0) };
    }
}
