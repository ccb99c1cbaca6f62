// SPDX-License-Identifier: GPL-2.0
//! clone and clone3: what the flags ask for.

use cokernel_logic::syscall::clone::{flag, struct_bytes, Child, CloneArgs, WORDS};

use crate::arch::UserFrame;
use crate::errno::SyscallResult;
use crate::process::spawn_thread::{self, ThreadArgs};
use crate::syscall::fork;
use crate::syscall::identity::as_value;
use crate::user_memory::read_bytes;

/// clone(2). A descriptor of the child goes where its id would.
pub fn clone(frame: &mut UserFrame) -> SyscallResult {
    let args = CloneArgs::of_clone(frame.args())?;
    perform(frame, &args)
}

/// clone3(2).
pub fn clone3(frame: &mut UserFrame) -> SyscallResult {
    let [address, bytes, ..] = frame.args();
    let mut raw = [0; WORDS * 8];
    read_bytes(address, &mut raw[..struct_bytes(bytes)?])?;
    let words = core::array::from_fn(|word| {
        u64::from_le_bytes(core::array::from_fn(|byte| raw[word * 8 + byte]))
    });
    perform(frame, &CloneArgs::of_clone3(words)?)
}

fn perform(frame: &UserFrame, args: &CloneArgs) -> SyscallResult {
    if args.child()? == Child::Process {
        return fork::fork(frame, args);
    }
    let args = ThreadArgs {
        stack: args.stack,
        thread_pointer: args.given(flag::SETTLS, args.tls),
        parent_tid: args.given(flag::PARENT_SETTID, args.parent_tid),
        child_tid: args.given(flag::CHILD_SETTID, args.child_tid),
        clear_child_tid: args.given(flag::CHILD_CLEARTID, args.child_tid),
    };
    spawn_thread::spawn(frame, &args).map(as_value)
}

/// fork(2).
pub fn fork(frame: &mut UserFrame) -> SyscallResult {
    fork::fork(frame, &CloneArgs::plain(0))
}

/// vfork(2).
pub fn vfork(frame: &mut UserFrame) -> SyscallResult {
    fork::fork(frame, &CloneArgs::plain(flag::VM | flag::VFORK))
}
