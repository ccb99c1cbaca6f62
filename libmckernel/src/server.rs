// SPDX-License-Identifier: GPL-2.0
//! A queue's servers: threads of the program that take no signals.
//!
//! Natively such a thread does the work itself. On the co-kernel it waits in one long call, and the
//! work is done by its stand-in in the proxy; what only the thread can do comes back as an answer.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use ihk_ikc::process::{op, serve as answer, ServerRecord};
use ihk_ikc::queue::FUNCTION;
use ihk_ikc::slot::Request;
use ihk_ikc::syscalls::is_delegable;

use crate::kernel::{self, system_call, Kernel, EINTR};
use crate::memory::{Memory, Stack};
use crate::serve::{serve, Server};

/// Stack of a server, and with it of the functions that it runs.
const STACK_BYTES: usize = 256 << 10;

/// The next server's number.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// Starts one more server.
///
/// # Errors
///
/// `-EAGAIN`: no room for a thread.
pub(crate) fn start(kernel: Kernel, memory: Memory) -> Result<(), i32> {
    let queue = memory.queue();
    queue.header.servers.fetch_add(1, Ordering::AcqRel);
    let body = move || run(kernel, memory);
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    let started = kernel::with_signals_blocked(|| builder.spawn(body));
    if started.is_err() {
        queue.header.servers.fetch_sub(1, Ordering::AcqRel);
        return Err(-libc::EAGAIN);
    }
    Ok(())
}

/// A server's life.
fn run(kernel: Kernel, memory: Memory) {
    let me = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
    match kernel {
        Kernel::Native => serve(&memory.queue(), me, &Native(memory)),
        Kernel::Cokernel => stand_by(memory, me),
    }
    let queue = memory.queue();
    let servers = &queue.header.servers;
    // Whoever closes the queue unmaps it when this is 0; waking needs the address only.
    let address = std::ptr::from_ref(servers);
    if servers.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: not accessed: a futex is woken by its address.
        kernel.wake(unsafe { &*address });
    }
}

/// Does what the stand-in in the proxy cannot, until it is gone.
fn stand_by(memory: Memory, me: u32) {
    let Some(stack) = Stack::map(STACK_BYTES) else {
        return;
    };
    let record = ServerRecord::default();
    let place = std::ptr::from_ref(&record).expose_provenance() as u64;
    let mut answered = 0;
    loop {
        let args = [
            memory.address(),
            u64::from(me),
            place,
            stack.end(),
            kernel::thread_pointer(),
            answered,
        ];
        // SAFETY: queue, record and stack outlive the call.
        let wanted = unsafe { system_call(op::QUEUE_SERVE, args) };
        answered = 1;
        match wanted {
            // Without another server a call that blocks delays the others.
            answer::HIRE => drop(start(Kernel::Cokernel, memory)),
            answer::CALL => make_call(&record),
            EINTR => answered = 0,
            _ => return,
        }
    }
}

fn make_call(record: &ServerRecord) {
    let args = record
        .args
        .each_ref()
        .map(|word| word.load(Ordering::Acquire));
    let number = record.number.load(Ordering::Acquire);
    // SAFETY: the program's own function asked for this call; the proxy passes it on as it is.
    let result = unsafe { system_call(number, args) };
    record.result.store(result, Ordering::Release);
}

/// A server that does the work itself.
struct Native(Memory);

impl Server for Native {
    // A thread that looks keeps others from the CPU.
    const LOOK_FOR: Duration = Duration::ZERO;

    fn perform(&self, request: &Request) -> i64 {
        if request.number == FUNCTION {
            return call_function(request.args[0], request.args[1]);
        }
        if !is_delegable(request.number) {
            return -i64::from(libc::ENOSYS);
        }
        // SAFETY: the program posted this call, and what it does is the program's to answer for.
        unsafe { system_call(request.number, request.args) }
    }

    fn sleep(&self, word: &AtomicU32, value: u32) {
        Kernel::Native.sleep(word, value);
    }

    fn wake(&self, word: &AtomicU32) {
        Kernel::Native.wake(word);
    }

    fn hire(&self) {
        // Without another server a call that blocks delays the others.
        let _ = start(Kernel::Native, self.0);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "addresses have 64 bits here"
)]
fn call_function(function: u64, argument: u64) -> i64 {
    type Function = extern "C" fn(*mut libc::c_void) -> i64;
    let function = std::ptr::with_exposed_provenance::<()>(function as usize);
    // SAFETY: posted by `CallQueue::post_function`, which had a function of this type.
    let function = unsafe { std::mem::transmute::<*const (), Function>(function) };
    function(std::ptr::with_exposed_provenance_mut(argument as usize))
}
