// SPDX-License-Identifier: GPL-2.0
//! The state of an instance in one word.

use ihk_ikc::uapi::status;

/// `state` as `ihkosctl get status` prints it.
#[must_use]
pub fn word(state: u32) -> &'static str {
    match state {
        status::INACTIVE => "INACTIVE",
        status::BOOTING => "BOOTING",
        status::RUNNING => "RUNNING",
        status::SHUTDOWN => "SHUTDOWN",
        status::PANIC => "PANIC",
        status::HUNGUP => "HUNGUP",
        _ => "UNKNOWN",
    }
}
