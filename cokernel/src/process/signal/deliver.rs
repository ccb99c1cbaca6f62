// SPDX-License-Identifier: GPL-2.0
//! Delivery of signals to a thread before it goes back to user mode.

use cokernel_logic::signals::number::{SIGSEGV, SIGSTOP};
use cokernel_logic::signals::{default_action, leaves_core, DefaultAction, SignalSet};
use ihk_ikc::process::op;
use ihk_ikc::syscalls::number;

use crate::arch::UserFrame;
use crate::delegate;
use crate::errno::Errno;
use crate::futex::robust;
use crate::mm::fault;
use crate::process::signal::{frame, proxy_mask, restart};
use crate::process::{core_registers, cpu_limits, exit};
use crate::task::process::Process;
use crate::task::sched;
use crate::task::signal::{flag, send, Action, Info, DEFAULT_HANDLER, IGNORE_HANDLER, SI_KERNEL};
use crate::task::thread::Thread;

/// The current thread's own instruction caused `signal`. It cannot be ignored or put off.
pub fn raise_fault(signal: u32, code: i32, address: u64) {
    let thread = sched::current();
    let Some(process) = &thread.process else {
        return;
    };
    let blocked = thread.data.signals.mask().contains(signal);
    if blocked || process.signals.action(signal).handler == IGNORE_HANDLER {
        send::set_action(process, signal, Action::default());
        let mut mask = thread.data.signals.mask();
        mask.remove(signal);
        thread.data.signals.set_mask(mask);
    }
    let info = Info {
        signal,
        errno: 0,
        code,
        first: address,
        second: fault::key_of(process, signal, code, address),
    };
    // It comes in any case, at worst without a word about it.
    let _ = thread.data.signals.add(info, &send::room(process));
    thread.request_return_work();
}

/// All that has to happen before the current thread goes back to user mode at `frame`: end, stay
/// frozen, run handlers, restart an interrupted call.
pub fn before_return(frame: &mut UserFrame) {
    let thread = sched::current();
    let Some(process) = thread.process.as_ref() else {
        return;
    };
    loop {
        thread.take_return_work();
        cpu_limits::look();
        if process.is_dying() {
            core_registers::record(process, frame);
            exit::end_thread();
        }
        if process.lifetime.is_frozen() {
            sched::block(|| !process.lifetime.is_frozen() || process.is_dying());
            continue;
        }
        match thread.data.signals.take(&process.signals) {
            Some(info) => deliver(thread, process, frame, info),
            None => break,
        }
    }
    restart::without_handler(frame);
    if thread.data.signals.put_mask_back() && thread.data.signals.has_deliverable(&process.signals)
    {
        return before_return(frame);
    }
    if thread.data.robust_list.take_request() {
        robust::tell_linux(thread);
    }
    proxy_mask::sync(process);
}

fn deliver(thread: &Thread, process: &Process, frame: &mut UserFrame, info: Info) {
    process.cpu_timers.note_taken(&info);
    let action = process.signals.action(info.signal);
    match action.handler {
        IGNORE_HANDLER => {}
        DEFAULT_HANDLER => default(process, frame, &info),
        _ => handle(thread, process, frame, &info, &action),
    }
}

fn default(process: &Process, frame: &UserFrame, info: &Info) {
    match default_action(info.signal) {
        DefaultAction::Ignore | DefaultAction::Continue => {}
        DefaultAction::Stop => {
            // Linux stops the proxy, mcctrl sees it and freezes us. Whoever waits for the process
            // learns which signal it was, and an orphaned process group is not stopped by most of
            // them. One that the proxy would send on here would come for ever.
            let awaited = process.proxy_signals.awaited();
            let signal = if awaited.contains(info.signal) {
                SIGSTOP
            } else {
                info.signal
            };
            let pid = u64::from_ne_bytes(i64::from(process.pid).to_ne_bytes());
            // It fails only for a proxy that is on its way out.
            let _ = delegate::call_directly(number::kill, [pid, u64::from(signal), 0, 0, 0, 0]);
        }
        DefaultAction::Terminate => die(process, frame, info),
    }
}

/// Lets `frame` continue in the handler.
fn handle(thread: &Thread, process: &Process, frame: &mut UserFrame, info: &Info, action: &Action) {
    restart::before_handler(frame, action.flags & flag::RESTART != 0);
    let signals = &thread.data.signals;
    let (mask, stack) = signals.take_handler_start();
    let trap = signals.trap();
    if frame::push(frame, info, action, mask, stack, trap).is_err() {
        return fail(process, frame, info);
    }
    if action.flags & flag::RESETHAND != 0 {
        // The proxy is not told, and goes on sending it here.
        let signal = SignalSet::of(info.signal);
        process.proxy_signals.add_awaited(signal);
        send::set_action(
            process,
            info.signal,
            Action {
                handler: DEFAULT_HANDLER,
                ..*action
            },
        );
    }
    let mut blocked = signals.mask().union(action.mask);
    if action.flags & flag::NODEFER == 0 {
        blocked.add(info.signal);
    }
    signals.set_mask(blocked);
    signals.disarm_stack();
}

/// There is no room for a handler's frame: SIGSEGV, and the end if that was it.
fn fail(process: &Process, frame: &UserFrame, info: &Info) {
    if info.signal == SIGSEGV {
        return die(process, frame, info);
    }
    raise_fault(SIGSEGV, SI_KERNEL, 0);
}

/// The process ends by the signal of `info`; the current thread ends in [`before_return`].
fn die(process: &Process, frame: &UserFrame, info: &Info) {
    if leaves_core(info.signal) {
        return core_registers::end_with_core(process, frame, info);
    }
    process.end(|| delegate::report_exit(op::DIE, u64::from(info.signal)));
}

/// A handler returned: `frame` continues where the signal came.
///
/// # Errors
///
/// `EFAULT`: what lies on the stack is no signal frame; the thread has got SIGSEGV.
pub fn sigreturn(frame: &mut UserFrame) -> Result<(), Errno> {
    let thread = sched::current();
    let sp = frame.rsp;
    match frame::pop(frame) {
        Ok((mask, words)) => {
            thread.data.signals.set_mask(mask);
            let stack = thread.data.signals.stack().restored(words, sp);
            thread.data.signals.set_stack(stack);
            thread.request_return_work();
            Ok(())
        }
        Err(errno) => {
            raise_fault(SIGSEGV, SI_KERNEL, 0);
            Err(errno)
        }
    }
}
