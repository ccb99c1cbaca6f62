// SPDX-License-Identifier: GPL-2.0
//! mcexec.
#![deny(unsafe_code)]
fn main() {}
