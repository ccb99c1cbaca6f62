// SPDX-License-Identifier: GPL-2.0
//! Linux's error numbers that the kernel's Rust prelude does not have. Functions, because the
//! kernel lets nobody else make constants of its error type.

use kernel::{bindings, error::Error};

/// ESHUTDOWN: the instance is gone.
pub(crate) fn shutdown() -> Error {
    Error::from_errno(-(bindings::ESHUTDOWN as i32))
}

/// EPROTO: the other side broke the protocol, or carries another version of the contract.
pub(crate) fn protocol() -> Error {
    Error::from_errno(-(bindings::EPROTO as i32))
}

/// EALREADY: done before.
pub(crate) fn already() -> Error {
    Error::from_errno(-(bindings::EALREADY as i32))
}
