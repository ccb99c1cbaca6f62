// SPDX-License-Identifier: GPL-2.0
//! QUERY: what the co-kernel tells of a program or of itself, copied to mcexec.

use crate::ffi::proc_mount;
use crate::ffi::task::ProcessId;
use crate::ffi::user;
use crate::ffi::wait::Until;
use crate::ffi::{errno, ihk};
use crate::process::instance::Instance;
use crate::process::proxy::Proxy;
use crate::proto::packet::ToCokernel;
use crate::proto::uapi::{IkcMap, Query};
use crate::proto::view::{what, VIEW_WORDS};
use core::sync::atomic::Ordering;
use kernel::{prelude::*, sync::Arc};

/// Asks on behalf of the calling process, which needs to have no program.
pub(crate) fn query(instance: &Instance, argument: usize) -> Result {
    let mut query = user::read::<Query>(argument)?;
    let about_machine = matches!(query.what, what::MACHINE | what::CPUS);
    let (cpu, process) = if about_machine {
        (0, 0)
    } else {
        let target = find(instance, &query)?;
        (target.cpu(), target.handle())
    };
    let records = ask(instance, cpu, process, &query)?;
    let buffer = usize::try_from(query.buffer).map_err(|_| EFAULT)?;
    user::write_all(buffer, &records)?;
    query.words = records.len() as u64;
    user::write(argument, &*query)
}

/// SERVERS: which Linux CPU serves which CPU.
pub(crate) fn servers(instance: &Instance, argument: usize) -> Result {
    let mut map = user::zeroed::<IkcMap>()?;
    for (cpu, place) in (0..).zip(&mut map.linux_cpu) {
        *place = u16::try_from(ihk::server(instance.os, cpu)).unwrap_or(0);
    }
    user::write(argument, &*map)
}

/// The program that the question is about. EPERM if the caller may not look into it.
fn find(instance: &Instance, query: &Query) -> Result<Arc<Proxy>> {
    if query.pid == 0 {
        return instance.proxy_of_current();
    }
    let process = ProcessId::find(query.pid)?;
    let target = instance
        .find_proxy(|proxy| proxy.serves(&process))
        .ok_or(ESRCH)?;
    let is_own = ProcessId::current()? == process;
    // Registers are told to nobody else: only who writes a core of itself asks for them.
    let may_be_shown = query.what != what::REGISTERS;
    if is_own || may_be_shown && proc_mount::lets_current_look_at(&process)? {
        Ok(target)
    } else {
        Err(EPERM)
    }
}

/// The records of one answer. The co-kernel's page is ours until the next question.
fn ask(instance: &Instance, cpu: u32, process: u32, query: &Query) -> Result<KVec<u64>> {
    let guard = instance.memory.access().ok_or_else(errno::shutdown)?;
    let _turn = instance.creating.lock();
    let question = |token| ToCokernel::Query {
        token,
        process,
        what: query.what,
        from: query.from,
    };
    let answer = instance.ask(cpu, Until::Condition, question)?;
    answer.into_result()?;
    let count = answer.words as usize;
    if count > VIEW_WORDS {
        return Err(errno::protocol());
    }
    let mut copy = KVec::with_capacity(count, GFP_KERNEL)?;
    if count == 0 {
        return Ok(copy);
    }
    let partition = guard.partition();
    let words = partition
        .words(answer.records, count)
        .ok_or_else(errno::protocol)?;
    for word in words {
        copy.push_within_capacity(word.load(Ordering::Relaxed))
            .map_err(|_| ENOMEM)?;
    }
    Ok(copy)
}
