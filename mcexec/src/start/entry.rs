// SPDX-License-Identifier: GPL-2.0
//! The C entry point. Rust's own would ignore SIGPIPE, catch SIGSEGV and open `/dev/null` for
//! closed descriptors, and the program would inherit all that.

use std::ffi::c_int;

/// Called by the C library.
#[cfg_attr(not(test), unsafe(no_mangle))]
#[cfg_attr(
    test,
    expect(dead_code, reason = "the test harness has its own entry point")
)]
extern "C" fn main() -> c_int {
    crate::run().into()
}
