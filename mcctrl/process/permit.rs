// SPDX-License-Identifier: GPL-2.0
//! PERMIT: what a thread of a program may do to others, or beyond its limits, judged by its worker's
//! credentials.
//!
//! ```text
//!  co-kernel                     worker                     mcctrl
//!  notes the question ─ PERMIT ─► passes it on ───────────► judges; if it is permitted:
//!  compares, notes the answer ◄──────────── Permitted ───── tells the co-kernel
//!      └─────────────────────────────────── Told ─────────►
//!  looks at its note ◄─ answer ── (an error) ◄───────────── 0, or the error
//! ```
//! A worker that answers for mcctrl, or passes on another question, permits nothing.

use crate::ffi::errno;
use crate::ffi::rights::{self, Capability, Subject};
use crate::ffi::task::ProcessId;
use crate::ffi::wait::Until;
use crate::process::limits;
use crate::process::proxy::Proxy;
use crate::proto::packet::ToCokernel;
use crate::proto::process::{capability, right};
use crate::proto::uapi::Permit;
use kernel::prelude::*;

/// Judges `asked` for the calling thread, and tells the co-kernel if it is permitted.
pub(crate) fn permit(proxy: &Proxy, asked: &Permit) -> Result {
    let subject = judge(proxy, asked)?;
    let caller = match proxy.handle() {
        0 => return Err(ESRCH),
        handle => u64::from(handle) | u64::from(asked.slot) << 32,
    };
    let question = |token| ToCokernel::Permitted {
        token,
        caller,
        what: u64::from(asked.what) | u64::from(asked.number) << 32,
        id: asked.id,
        subject,
        soft: asked.soft,
        hard: asked.hard,
    };
    let answer = proxy
        .instance
        .ask(proxy.cpu(), Until::Condition, question)?;
    answer.into_result()
}

/// What the co-kernel is told of whom the question is about.
fn judge(proxy: &Proxy, asked: &Permit) -> Result<u64> {
    if asked.what == right::CAPABLE {
        return require(asked.number).map(|()| 0);
    }
    let subject = Subject::find(asked.id)?;
    let is_own = ProcessId::current()? == subject.process()?;
    let is_lent = match asked.what {
        right::SEE_LIMIT | right::SET_LIMIT => is_own || subject.lends_limits(),
        right::SEE_CPUS => true,
        right::SET_CPUS => is_own || subject.lends_placement(),
        _ => return Err(EINVAL),
    };
    if !is_lent {
        return Err(EPERM);
    }
    if asked.what == right::SET_LIMIT {
        limits::set(&subject, asked.number, asked.soft, asked.hard)?;
    }
    describe(proxy, &subject)
}

fn require(number: u32) -> Result {
    let capability = match number {
        capability::IPC_LOCK => Capability::IpcLock,
        capability::SYS_NICE => Capability::SysNice,
        _ => return Err(EINVAL),
    };
    if rights::has(capability) {
        Ok(())
    } else {
        Err(EPERM)
    }
}

/// Its process here, 0 if it has none, and its thread number.
fn describe(proxy: &Proxy, subject: &Subject) -> Result<u64> {
    let process = subject.process()?;
    let target = proxy.instance.find_proxy(|other| other.serves(&process));
    let handle = target.map_or(0, |target| target.handle());
    let number = u32::try_from(subject.own_number()).map_err(|_| errno::protocol())?;
    Ok(u64::from(handle) | u64::from(number) << 32)
}
