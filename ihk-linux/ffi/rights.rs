// SPDX-License-Identifier: GPL-2.0
//! The rights of the calling task.

use kernel::bindings;
use kernel::prelude::*;

/// Refuses callers that may not steer instances.
pub(crate) fn require_admin() -> Result {
    const CAPABILITY: c_int = bindings::CAP_SYS_ADMIN as c_int;
    // SAFETY: no requirement.
    if unsafe { bindings::capable(CAPABILITY) } {
        Ok(())
    } else {
        Err(EPERM)
    }
}
