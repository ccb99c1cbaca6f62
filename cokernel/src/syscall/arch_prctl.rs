// SPDX-License-Identifier: GPL-2.0
//! arch_prctl: the FS and GS bases.

use crate::addr::USER_END;
use crate::arch::{context, UserFrame};
use crate::errno::{Errno, SyscallResult};
use crate::user_memory::{uint, write_words};

const SET_GS: u32 = 0x1001;
const SET_FS: u32 = 0x1002;
const GET_FS: u32 = 0x1003;
const GET_GS: u32 = 0x1004;
const GET_CPUID: u32 = 0x1011;

/// arch_prctl(2).
pub fn arch_prctl(frame: &mut UserFrame) -> SyscallResult {
    let [command, argument, ..] = frame.args();
    let command = uint(command);
    match command {
        SET_FS | SET_GS if argument >= USER_END => return Err(Errno::EPERM),
        SET_FS => context::set_fs_base(argument),
        SET_GS => context::set_gs_base(argument),
        GET_FS => write_words(argument, &[context::fs_base()])?,
        GET_GS => write_words(argument, &[context::gs_base()])?,
        GET_CPUID => return Ok(1),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
