// SPDX-License-Identifier: GPL-2.0
//! Delegated calls on the proxy's side: [`worker`] takes them from a slot, [`perform`] does what
//! they ask. Most are performed as they are; each exception has a file here.

mod copied;
pub(crate) mod directory;
pub(crate) mod exe_link;
pub(crate) mod execute;
mod expect;
#[expect(unsafe_code, reason = "fork")]
pub(crate) mod fork;
pub(crate) mod hidden;
mod look;
pub(crate) mod mapping;
pub(crate) mod named;
pub(crate) mod operation;
pub(crate) mod perform;
mod place;
pub(crate) mod pool;
#[expect(unsafe_code, reason = "a queue is memory of the program")]
pub(crate) mod server;
pub(crate) mod way;
pub(crate) mod worker;

use std::ffi::CString;

use ihk_ikc::process::VdsoWish;
use nix::errno::Errno;

use crate::window::{Slots, Window};

/// What performing a call may need to know of the program.
pub(crate) struct Program {
    /// Instance it runs on.
    pub os: u32,
    /// What `/proc/self/exe` is for it.
    pub path: CString,
    /// Its address space.
    pub window: Window,
    /// Where its threads leave their requests.
    pub slots: Slots,
    /// Its vdso, and where ours is.
    pub vdso: VdsoWish,
}

/// `result` in the form system calls have.
fn answer(result: Result<i64, Errno>) -> i64 {
    result.unwrap_or_else(|errno| -i64::from(errno as i32))
}
