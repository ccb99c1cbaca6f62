// SPDX-License-Identifier: GPL-2.0
//! Resumes in the mcexec that Linux has loaded for a program that another one has executed.
//!
//! mcctrl has mapped our gate before our first instruction, and tells through it what the mcexec before has
//! announced. Arguments and environment are the program's own; signals, ids and descriptors are
//! inherited through Linux.

use std::ffi::CStr;

use nix::errno::Errno;
use nix::libc;

use super::cli::{Run, Transport};
use super::inherited;
use super::prepare::{Inheritance, Opened};
use crate::device;
use crate::error::StartError;
use crate::gate;
use crate::image::to_usize;

/// Returns the program to run, if one has executed this mcexec, and completes `inheritance`.
///
/// # Errors
///
/// There is no descriptor free for the program's file, or nobody has executed it and it has rights that are
/// another program's.
pub(crate) fn take(inheritance: &mut Inheritance) -> Result<Option<(Run, Opened)>, StartError> {
    let is_resumed = gate::is_open().map_err(|errno| StartError::of_linux("exec", errno))?;
    if !is_resumed {
        return if !inherited::is_secure() {
            Ok(None)
        } else {
            // What it would run has not been given them.
            Err(StartError::of_linux(
                "rights of a program's file",
                Errno::EPERM,
            ))
        };
    }
    let (carried, file) = device::carried().map_err(|errno| StartError::of_linux("exec", errno))?;
    for (number, limit) in (0_u64..).zip(carried.announced.limits) {
        if carried.announced.kept & 1 << number == 0 {
            continue;
        }
        if let Some(place) = inheritance
            .limits
            .get_mut(usize::try_from(number).unwrap_or(usize::MAX))
        {
            *place = limit;
            // There is such a limit.
            let _ = inherited::keep_limit(number, limit);
        }
    }
    let run = Run {
        os: carried.os,
        cpu: u32::try_from(carried.announced.cpu).ok(),
        transport: Transport::default(),
        argv: std::env::args_os().collect(),
    };
    Ok(Some((run, Opened { file, path: path() })))
}

/// Returns the path by which the program was executed.
#[expect(unsafe_code, reason = "a string of the auxiliary vector")]
fn path() -> std::ffi::CString {
    let address = inherited::auxiliary(libc::AT_EXECFN);
    if address == 0 {
        return std::ffi::CString::default();
    }
    let path = std::ptr::with_exposed_provenance::<libc::c_char>(to_usize(address));
    // SAFETY: Linux put the string there, above the stack, where nobody writes it.
    unsafe { CStr::from_ptr(path) }.to_owned()
}
