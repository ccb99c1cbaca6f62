// SPDX-License-Identifier: GPL-2.0
//! The parts of mcctrl.ko and ihk.ko that are plain computation, compiled for the host so that their tests
//! run there. The module's own root is `mcctrl.rs`.
#![forbid(unsafe_code)]
#![allow(
    dead_code,
    clippy::manual_is_multiple_of,
    reason = "the module's other files use what is unused here, and its compiler is older"
)]

use ihk_ikc as proto;

mod process {
    mod image;
}

#[path = "../ihk-linux/instance/pulse.rs"]
mod pulse;
