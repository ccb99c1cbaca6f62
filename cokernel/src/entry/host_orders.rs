// SPDX-License-Identifier: GPL-2.0
//! Linux's orders to this CPU, one packet each. Hop 8a of a delegated call wakes its thread here.

use alloc::sync::Arc;
use alloc::vec::Vec;

use cokernel_logic::signals;
use cokernel_logic::sources::Source;
use cokernel_logic::vma::Range;
use ihk_ikc::packet::{ProcessHandle, ToCokernel, ToLinux};
use ihk_ikc::scheduling::Scheduling;
use x86_64::PhysAddr;

use crate::errno::{Errno, SyscallResult};
use crate::frames::page_cache;
use crate::futex::pi;
use crate::mm::{fault, file_mapping, load, mirror, revoke};
use crate::process::{create, pending_fork, rights, view};
use crate::task::process::{self, Process};
use crate::task::{sched, signal, timer};
use crate::{ikc, klog};

/// Does what `message` says. `cpu` is the CPU whose channel it came through, and the one this runs
/// on. The caller holds no lock.
#[rustfmt::skip] // a table: one row for each order
pub fn handle(message: ToCokernel, cpu: u32) {
    use ToCokernel as To;
    match message {
        To::CreateProcess { token } => create_process(token, cpu),
        To::AdoptProcess { token, parent, pid, prepared_child } =>
            adopt_process(token, prepared_child, parent, pid, cpu),
        To::StartProcess { process, entry, stack } => start(process, entry, stack),
        To::KillProcess { process, .. } => with(process, |process| process.kill()),
        To::ProxyGone { process } => proxy_gone(process),
        To::Freeze { process } => with(process, |process| process.set_frozen(true)),
        To::Thaw { process } => with(process, |process| process.set_frozen(false)),
        To::WakeThread { process, slot } => wake(process, slot),
        To::Signal { token, process, thread, signal, code, sender, value } => {
            deliver(process, thread, info_of(signal, code, [sender, value]));
            tell_done(token, Ok(0));
        }
        To::FindSlots { token, process, page } => find_slots(token, process, page),
        To::Query { token, process, what, from } => answer_query(token, process, what, from),
        To::Permitted { token, caller, what, id, subject, soft, hard } => {
            let question = rights::Question {
                what: low(what), number: low(what >> 32), id, limit: [soft, hard],
            };
            permitted(token, (low(caller), low(caller >> 32)), &question, subject);
        }
        To::ResolveFault { token, process, address, write } =>
            resolve(token, process, address, write != 0),
        To::RevokeDone { token } => revoke::on_revoked(token),
        To::Scheduling { token, process, thread, scheduling } =>
            schedule_as(token, process, thread, Scheduling::of_word(scheduling)),
        To::MirrorPages { process, address, page0, page1, page2, page3, page4 } =>
            add_mirror(process, address, [page0, page1, page2, page3, page4]),
        To::DropMirror { process, number, start, end } =>
            mirror::drop_pages(process, number, Range { start, end }),
        To::LoadPages { token, process, address, version, page, count, file } =>
            lend(load::Order { token, process, address, version, page, count, file }),
        To::PagesRead { token, loan, count, kept } => take_back(token, loan, count, kept == 1),
        To::BindFile { token, process, address, bytes, file, page, version } => {
            let source = Source::new(file, address, page, version);
            bind_file(token, process, Range::new(address, bytes), source);
        }
        To::ForgetVersion { version } => page_cache::forget(version),
        To::ClockSet {} => timer::for_each_waiting(sched::wake),
    }
}

/// Runs `action` on the process, if it still exists: messages may come late.
fn with(handle: ProcessHandle, action: impl FnOnce(&Arc<Process>)) {
    if let Some(process) = process::find(handle) {
        action(&process);
    }
}

// A process on its way to the heap takes kilobytes of the stack, and messages are handled on that of
// whatever waits: these two must not be part of every message's frame.

#[inline(never)]
fn adopt_process(token: u64, prepared_child: u64, parent: ProcessHandle, pid: i32, cpu: u32) {
    answer_created(token, pending_fork::adopt(prepared_child, parent, pid, cpu));
}

#[inline(never)]
fn create_process(token: u64, cpu: u32) {
    answer_created(token, create::create(&ikc::mailbox(cpu), cpu));
}

fn answer_created(token: u64, created: Result<Arc<Process>, Errno>) {
    let answer = match created {
        Ok(process) => ToLinux::ProcessCreated {
            token,
            result: Ok(0),
            process: process.handle,
            root: process.space.root().as_u64(),
            slots: slots_address(&process, 0),
        },
        Err(errno) => {
            klog!("process not created: {errno:?}");
            ToLinux::ProcessCreated {
                token,
                result: Err(errno),
                process: 0,
                root: 0,
                slots: 0,
            }
        }
    };
    ikc::send(&answer);
}

fn start(handle: ProcessHandle, entry: u64, stack: u64) {
    with(handle, |process| {
        if let Err(errno) = process.start(entry, stack) {
            klog!("process {}: not started: {errno:?}", process.pid);
        }
    });
}

/// Answers even for a process that does not exist, so that Linux never waits in vain.
fn proxy_gone(handle: ProcessHandle) {
    match process::find(handle) {
        Some(process) => process.abandon(),
        None => ikc::send(&ToLinux::ProcessFreed { process: handle }),
    }
}

fn wake(handle: ProcessHandle, slot: u32) {
    with(handle, |process| {
        if let Some(thread) = process.lifetime.thread_of_slot(slot) {
            sched::wake(&thread);
        }
    });
}

fn add_mirror(handle: ProcessHandle, address: u64, pages: [u64; 5]) {
    with(handle, |process| {
        mirror::add(&process.space, address, pages)
    });
}

fn schedule_as(token: u64, process: ProcessHandle, tid: i32, scheduling: Scheduling) {
    let threads = process::find(process).map_or_else(Vec::new, |process| process.threads());
    let thread = threads.iter().find(|thread| thread.data.tid == tid);
    if let Some(thread) = thread {
        thread.data.entity.set_scheduling(scheduling);
        pi::stands_anew(thread);
    }
    ikc::send(&ToLinux::Scheduled {
        token,
        result: thread.map(|_| 0).ok_or(Errno::ESRCH),
    });
}

fn resolve(token: u64, process: ProcessHandle, address: u64, write: bool) {
    let result = match process::find(process) {
        Some(process) => fault::handle_linux(&process, address, write),
        None => Err(Errno::EFAULT),
    };
    ikc::send(&match result {
        Ok(Some(wanted)) => ToLinux::FaultInFile {
            token,
            file: wanted.file,
            page: wanted.page,
            address: wanted.address,
            count: wanted.count,
            touched: wanted.touched,
        },
        result => ToLinux::FaultResolved {
            token,
            result: result.map(|_| 0),
        },
    });
}

fn bind_file(token: u64, process: ProcessHandle, range: Option<Range>, source: Source) {
    let process = process::find(process).ok_or(Errno::ESRCH);
    let range = range.ok_or(Errno::EINVAL);
    let bound = process.and_then(|process| file_mapping::bind(&process, range?, source));
    ikc::send(&ToLinux::FileBound {
        token,
        result: bound.map(|_| 0),
        count: bound.unwrap_or(0),
    });
}

/// Physical address of page `page` of the slots; 0 if it is not there.
fn slots_address(process: &Process, page: usize) -> u64 {
    process.slots.frame(page).map_or(0, PhysAddr::as_u64)
}

fn find_slots(token: u64, process: ProcessHandle, page: u32) {
    let slots = process::find(process).map_or(0, |process| slots_address(&process, page as usize));
    let result = if slots == 0 {
        Err(Errno::EFAULT)
    } else {
        Ok(0)
    };
    ikc::send(&ToLinux::SlotsFound {
        token,
        result,
        slots,
    });
}

fn lend(order: load::Order) {
    let lent = load::lend(order);
    let (list, count) = lent.unwrap_or((PhysAddr::zero(), 0));
    ikc::send(&ToLinux::PagesLent {
        token: order.token,
        result: lent.map(|_| 0),
        list: list.as_u64(),
        count,
    });
}

fn take_back(token: u64, loan: u64, count: u32, is_kept: bool) {
    ikc::send(&ToLinux::PagesTaken {
        token,
        result: load::take_back(loan, count, is_kept).map(|()| 0),
    });
}

fn answer_query(token: u64, process: ProcessHandle, what: u32, from: u64) {
    let answer = view::answer(process::find(process).as_deref(), what, from);
    let (records, words) = answer.unwrap_or((PhysAddr::zero(), 0));
    ikc::send(&ToLinux::Told {
        token,
        result: answer.map(|_| 0),
        records: records.as_u64(),
        words,
    });
}

/// The low half of a word that carries two.
#[expect(clippy::cast_possible_truncation, reason = "the low half")]
const fn low(word: u64) -> u32 {
    word as u32
}

fn permitted(token: u64, caller: (ProcessHandle, u32), question: &rights::Question, subject: u64) {
    let was_asked = rights::on_permitted(caller, question, subject);
    tell_done(token, was_asked.map(|()| 0));
}

/// Answers an order that has no records for an answer.
fn tell_done(token: u64, result: SyscallResult) {
    ikc::send(&ToLinux::Told {
        token,
        result,
        records: 0,
        words: 0,
    });
}

const fn info_of(signal: u32, code: i32, [first, second]: [u64; 2]) -> signal::Info {
    signal::Info {
        signal,
        errno: 0,
        code,
        first,
        second,
    }
}

fn deliver(handle: ProcessHandle, thread: u32, info: signal::Info) {
    with(handle, |process| deliver_to(process, thread, info));
}

fn deliver_to(process: &Process, thread: u32, info: signal::Info) {
    if !signals::is_valid(info.signal) {
        return klog!("process {}: Linux sent signal {}", process.pid, info.signal);
    }
    if signal::send::send_expiry(process, info) {
        return;
    }
    // A sender of more than there is room for has to know that some are lost.
    match thread
        .checked_sub(1)
        .map(|slot| process.lifetime.thread_of_slot(slot))
    {
        Some(Some(thread)) => signal::send::send_from_worker(process, &thread, info),
        // A thread that has ended takes what was meant for it along.
        Some(None) if info.code == signal::SI_TKILL => true,
        Some(None) | None => signal::send::send_to_process(process, info),
    };
}
