// SPDX-License-Identifier: GPL-2.0
//! Error numbers that the kernel crate has no name for. Which number means what is written at the
//! functions that return them; the tools turn them into words.

use kernel::bindings;
use kernel::prelude::*;

/// EPROTO: two parts of the system carry different versions of the contract.
pub(crate) fn version_mismatch() -> Error {
    Error::from_errno(-(bindings::EPROTO as c_int))
}
