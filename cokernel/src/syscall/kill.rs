// SPDX-License-Identifier: GPL-2.0
//! Sending signals: to itself here, to anybody else through Linux, which comes back to us if the
//! target turns out to be one of ours.

use cokernel_logic::signals::SIGNALS;

use ihk_ikc::syscalls::number;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::{Errno, SyscallResult};
use crate::process::signal::proxy_mask;
use crate::syscall::identity::as_value;
use crate::task::current;
use crate::task::process::Process;
use crate::task::signal::{self, Info, SI_TKILL, SI_USER};
use crate::user_memory::{int, read_words, uint};

/// kill(2).
pub fn kill(frame: &mut UserFrame) -> SyscallResult {
    let [pid, signal, ..] = frame.args();
    let process = current::process();
    if int(pid) != process.pid || proxy_mask::is_read_as_file(process, uint(signal)) {
        return elsewhere(frame);
    }
    if let Some(signal) = checked(signal)? {
        // kill(2) has no error for want of room: then it comes without a word of its sender.
        signal::send::send_to_process(process, from_us(process, signal, SI_USER));
    }
    Ok(0)
}

/// tkill(2).
pub fn tkill(frame: &mut UserFrame) -> SyscallResult {
    let [tid, signal, ..] = frame.args();
    to_thread(frame, int(tid), signal, true)
}

/// tgkill(2).
pub fn tgkill(frame: &mut UserFrame) -> SyscallResult {
    let [pid, tid, signal, ..] = frame.args();
    if int(pid) != current::process().pid || int(tid) <= 0 {
        return elsewhere(frame);
    }
    to_thread(frame, int(tid), signal, false)
}

/// rt_sigqueueinfo(2).
pub fn rt_sigqueueinfo(frame: &mut UserFrame) -> SyscallResult {
    let [pid, signal, info, ..] = frame.args();
    let process = current::process();
    if int(pid) != process.pid || proxy_mask::is_read_as_file(process, uint(signal)) {
        return elsewhere(frame);
    }
    let given = given(uint(signal), info)?;
    if checked(signal)?.is_some() {
        know_user(process);
        queued(signal::send::send_to_process(process, given))?;
    }
    Ok(0)
}

/// rt_tgsigqueueinfo(2).
pub fn rt_tgsigqueueinfo(frame: &mut UserFrame) -> SyscallResult {
    let [pid, tid, signal, info, ..] = frame.args();
    let process = current::process();
    if int(pid) != process.pid || int(tid) <= 0 {
        return elsewhere(frame);
    }
    let given = given(uint(signal), info)?;
    let target = process
        .threads()
        .into_iter()
        .find(|thread| thread.data.tid == int(tid))
        .ok_or(Errno::ESRCH)?;
    if checked(signal)?.is_some() {
        know_user(process);
        queued(signal::send::send_to_thread(process, &target, given))?;
    }
    Ok(0)
}

/// The answer of a call that queued a signal, if there was `room`: Linux, too, says `EAGAIN`
/// otherwise.
fn queued(room: bool) -> Result<(), Errno> {
    room.then_some(()).ok_or(Errno::EAGAIN)
}

fn to_thread(frame: &UserFrame, tid: i32, signal: u64, may_be_elsewhere: bool) -> SyscallResult {
    let process = current::process();
    let Some(target) = process
        .threads()
        .into_iter()
        .find(|thread| thread.data.tid == tid)
    else {
        return if may_be_elsewhere {
            elsewhere(frame)
        } else {
            Err(Errno::ESRCH)
        };
    };
    if proxy_mask::is_read_as_file(process, uint(signal)) {
        return elsewhere(frame);
    }
    if let Some(signal) = checked(signal)? {
        queued(signal::send::send_to_thread(
            process,
            &target,
            from_us(process, signal, SI_TKILL),
        ))?;
    }
    Ok(0)
}

/// The signal to send; `None` for 0, which only asks whether one could.
fn checked(signal: u64) -> Result<Option<u32>, Errno> {
    match uint(signal) {
        0 => Ok(None),
        signal if signal <= SIGNALS => Ok(Some(signal)),
        _ => Err(Errno::EINVAL),
    }
}

fn from_us(process: &Process, signal: u32, code: i32) -> Info {
    Info {
        signal,
        errno: 0,
        code,
        first: as_value(process.pid) | own_uid(process) << 32,
        second: 0,
    }
}

/// The real user id. Its signals are counted together.
fn own_uid(process: &Process) -> u64 {
    let uid = delegate::ask(number::getuid, [0; 6]).unwrap_or(0);
    process.signal_account.set(uint(uid));
    uid
}

fn know_user(process: &Process) {
    if !process.signal_account.is_known() {
        own_uid(process);
    }
}

/// The information about the signal that the program itself gives; to itself it may say anything.
fn given(signal: u32, info: u64) -> Result<Info, Errno> {
    let [head, code, first, second] = read_words::<4>(info)?;
    Ok(Info {
        signal,
        errno: int(head >> 32),
        code: int(code),
        first,
        second,
    })
}

/// Linux delivers it, unchanged.
fn elsewhere(frame: &UserFrame) -> SyscallResult {
    delegate::call_directly(frame.number(), frame.args())
}
