// SPDX-License-Identifier: GPL-2.0
//! CONTROL_WAIT: one thread of mcexec, with all signals blocked, is always asleep here. Whatever
//! cannot be blocked wakes it at once, also when every other thread is stuck in a call: SIGKILL,
//! a stop, the freezer. And it learns that the instance is gone.

use crate::ffi::errno;
use crate::ffi::task;
use crate::ffi::user;
use crate::ffi::wait::{Until, Woken};
use crate::process::instance::Instance;
use crate::process::proxy::Proxy;
use crate::proto::packet::ToCokernel;
use crate::proto::uapi::{event, ControlEvent, ForwardSignal, StartProcess};
use crate::proto::{layout::WINDOW_END, slot::MAX_SLOTS};
use core::sync::atomic::Ordering;
use kernel::prelude::*;

const SIGKILL: u32 = 9;
const HIGHEST_SIGNAL: u32 = 64;

/// Sleeps until there is an event (written to `argument`), or EINTR.
pub(crate) fn wait(proxy: &Proxy, argument: usize) -> Result {
    if proxy.frozen.swap(false, Ordering::AcqRel) {
        // Errors mean that the instance is gone; the wait below says so.
        let _ = proxy.tell(|process| ToCokernel::Thaw { process });
    }
    let has_news = || proxy.instance.is_gone() || proxy.has_cancelled();
    match proxy.control.wait(Until::Signal, None, has_news) {
        Woken::Condition if proxy.instance.is_gone() => tell_gone(argument),
        Woken::Condition => tell_cancelled(proxy, argument),
        _ => {
            pass_on(proxy);
            Err(EINTR)
        }
    }
}

/// The event of a call that is to be interrupted. EINTR if somebody else has told it meanwhile.
fn tell_cancelled(proxy: &Proxy, argument: usize) -> Result {
    let value = proxy.take_cancelled().ok_or(EINTR)?;
    user::write(
        argument,
        &ControlEvent {
            kind: event::CANCEL,
            value,
        },
    )
}

/// The event of a process whose instance is gone.
pub(crate) fn tell_gone(argument: usize) -> Result {
    user::write(
        argument,
        &ControlEvent {
            kind: event::INSTANCE_GONE,
            value: 0,
        },
    )
}

/// Lets the program share the fate that a signal brings to mcexec.
fn pass_on(proxy: &Proxy) {
    // Errors mean that the co-kernel does not run the program: nothing to kill or to stop.
    if task::fatal_signal_pending() {
        let _ = proxy.tell(|process| ToCokernel::KillProcess {
            process,
            signal: SIGKILL,
        });
    } else if task::stop_pending() && !proxy.frozen.swap(true, Ordering::AcqRel) {
        let _ = proxy.tell(|process| ToCokernel::Freeze { process });
    }
}

/// START: EINVAL for addresses outside the window or a misaligned stack, EALREADY if it runs.
pub(crate) fn start(proxy: &Proxy, start: &StartProcess) -> Result {
    let inside = |address: u64| address >= proxy.window_start && address < WINDOW_END;
    if !inside(start.entry) || !inside(start.stack) || start.stack % 16 != 0 {
        return Err(EINVAL);
    }
    if !proxy.start_once() {
        return Err(errno::already());
    }
    proxy.tell(|process| ToCokernel::StartProcess {
        process,
        entry: start.entry,
        stack: start.stack,
    })
}

/// START_ADOPTED: EALREADY if it runs.
pub(crate) fn start_adopted(proxy: &Proxy) -> Result {
    if !proxy.start_once() {
        return Err(errno::already());
    }
    proxy.tell(|process| ToCokernel::StartProcess {
        process,
        entry: 0,
        stack: 0,
    })
}

/// SCHEDULING: ESRCH for a thread that is none of the instance's.
pub(crate) fn tell_scheduling(instance: &Instance, tid: usize) -> Result {
    let thread = i32::try_from(tid).map_err(|_| EINVAL)?;
    let (process, scheduling) = task::scheduling_of(thread)?;
    let proxy = instance.find_proxy(|proxy| proxy.serves(&process));
    let proxy = proxy.filter(|proxy| proxy.handle() != 0).ok_or(ESRCH)?;
    let question = |token| ToCokernel::Scheduling {
        token,
        process: proxy.handle(),
        thread,
        scheduling: scheduling.word(),
    };
    let answer = instance.ask(proxy.cpu(), Until::Condition, question)?;
    answer.into_result()
}

/// CORE_WRITTEN: EINVAL for what is no signal.
pub(crate) fn die_with_core(signal: usize) -> Result {
    let signal = u8::try_from(signal).map_err(|_| EINVAL)?;
    if signal == 0 || u32::from(signal) > HIGHEST_SIGNAL {
        return Err(EINVAL);
    }
    task::kill_current_with_core(signal)
}

/// SIGNAL: hands a signal that mcexec received to the program.
pub(crate) fn forward(proxy: &Proxy, it: &ForwardSignal) -> Result {
    let known = (1..=HIGHEST_SIGNAL).contains(&it.signal) && it.thread as usize <= MAX_SLOTS;
    if !known || it.reserved != 0 {
        return Err(EINVAL);
    }
    let process = match proxy.handle() {
        0 => return Err(ESRCH),
        handle => handle,
    };
    let order = |token| ToCokernel::Signal {
        token,
        process,
        thread: it.thread,
        signal: it.signal,
        code: it.code,
        sender: u64::from(it.pid) | u64::from(it.uid) << 32,
        value: it.value,
    };
    // However many threads send: the next order waits until this one is done.
    let _turn = proxy.signalling.lock();
    let answer = proxy.instance.ask(proxy.cpu(), Until::Condition, order)?;
    answer.into_result()
}
