// SPDX-License-Identifier: GPL-2.0
//! Servers of the program's call queues.
//!
//! Each server belongs to a thread of the program that waits in `QUEUE_SERVE`. A thread of this
//! process, the *runner*, does the work; the worker of the program's thread waits for things that
//! the runner cannot do itself.
//!
//! ```text
//!  asks: RUNNING ── runner: HIRE, CALL or END ──► worker answers QUEUE_SERVE with it
//!           ▲                                          │ the program's thread does it, calls again
//!           └────────── worker: the result, RUNNING ◄──┘
//! ```
//! The runner blocks all signals, so posted calls are not interrupted. The worker can be
//! interrupted; then it leaves the runner at work until the program's thread is back.

use std::cell::{OnceCell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ihk_ikc::errno::{decode, encode};
use ihk_ikc::layout::WINDOW_END;
use ihk_ikc::process::{serve as answer, ServerRecord};
use ihk_ikc::queue::{bytes_of, is_possible, Header, Queue, FUNCTION, MAGIC};
use ihk_ikc::slot::Request;
use ihk_ikc::syscalls::is_delegable;
use mckernel::memory;
use mckernel::serve::{serve as serve_queue, Server};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{getgroups, getresgid, getresuid, Gid, ResGid, ResUid};

use super::{placement, Program};
use crate::function::{Call, Caller, Functions};
use crate::signals::raw;
use crate::syscall::{self, Answer, Failure};
use crate::window;

/// The time that a runner polls for entries before it sleeps: about the price of being woken.
const POLL_FOR: Duration = Duration::from_micros(50);
/// Stack of a runner; functions of the program run on one of the program's.
const STACK_BYTES: usize = 128 << 10;

/// In [`Exchange::asks`]: the runner asks for nothing. The other values are those of [`answer`].
const RUNNING: u32 = u32::MAX;
/// In [`Exchange::asks`]: the runner has ended.
const END: u32 = word(answer::END);
/// In [`Exchange::asks`]: the runner wants another server.
const HIRE: u32 = word(answer::HIRE);
/// In [`Exchange::asks`]: the program's thread is to make a system call.
const CALL: u32 = word(answer::CALL);

#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
const fn word(asked: i64) -> u32 {
    asked.cast_unsigned() as u32
}

thread_local! {
    /// The runner that belongs to this worker, while its thread is not in `QUEUE_SERVE`.
    static OWN: RefCell<Option<Pair>> = const { RefCell::new(None) };
}

/// A runner, as its worker knows it.
struct Pair {
    exchange: Arc<Exchange>,
    began_as: Rights,
}

impl Pair {
    fn check_identity(&self) {
        if self.began_as != Rights::now() {
            self.exchange.outdated.store(true, Ordering::Release);
        }
    }
}

/// The words through which a runner and its worker speak.
struct Exchange {
    /// The thing that the runner asks for. The runner writes it while it is RUNNING, otherwise the
    /// worker.
    asks: AtomicU32,
    /// The system call that is to be made.
    call: Mutex<Request>,
    /// The result of that system call.
    result: AtomicI64,
    /// The program has changed who it is, so nothing may be done any more for who it was.
    outdated: AtomicBool,
}

/// The identity of the process to Linux, as far as a program changes it for all threads.
#[derive(PartialEq, Eq)]
struct Rights(Option<(ResUid, ResGid, Vec<Gid>)>);

impl Rights {
    fn now() -> Self {
        let all = || Ok::<_, Errno>((getresuid()?, getresgid()?, getgroups()?));
        Self(all().ok())
    }
}

/// Performs `QUEUE_SERVE`, see [`ihk_ikc::process::op`].
///
/// # Errors
///
/// `EFAULT`, `EINVAL` if there is no queue; `EAGAIN` without room for a thread; `EINTR`.
pub(super) fn serve(program: &'static Program, args: [u64; 6]) -> Result<u64, Errno> {
    let record = view_record(program, args[2])?;
    let pair = match OWN.take() {
        Some(pair) => pair,
        None => start(program, args)?,
    };
    let exchange = &pair.exchange;
    if exchange.asks.load(Ordering::Acquire) != RUNNING && args[5] == 1 {
        let result = record.result.load(Ordering::Acquire);
        exchange.result.store(result, Ordering::Relaxed);
        exchange.asks.store(RUNNING, Ordering::Release);
        wake(&exchange.asks);
    }
    pair.check_identity();
    let asked = wait(exchange);
    if asked == Ok(CALL) {
        pass_on(&exchange.call, record);
    }
    if asked != Ok(END) {
        OWN.set(Some(pair));
    }
    asked.map(u64::from)
}

/// Notes that this worker has perhaps made its thread somebody else. Its runner does nothing any
/// more, from before the thread knows.
pub(super) fn note_identity() {
    OWN.with_borrow(|own| {
        if let Some(pair) = own {
            pair.check_identity();
        }
    });
}

/// Performs `QUEUE_FUTEX`: a `futex` call on a word that this process uses, too.
pub(super) fn futex(args: [u64; 6]) -> Answer {
    let private = |operation: i32| u64::from((operation | libc::FUTEX_PRIVATE_FLAG).unsigned_abs());
    let known = [private(libc::FUTEX_WAIT), private(libc::FUTEX_WAKE)];
    if !known.contains(&args[1]) {
        return Err(Errno::ENOSYS.into());
    }
    syscall::perform(libc::SYS_futex.cast_unsigned(), args)
}

/// Sleeps until the runner asks for something. Returns what it asks for.
fn wait(exchange: &Exchange) -> Result<u32, Errno> {
    loop {
        let asks = exchange.asks.load(Ordering::Acquire);
        if asks != RUNNING {
            return Ok(asks);
        }
        // The signal that interrupts is for the program's thread, which then calls again.
        let slept = sleep(&exchange.asks, RUNNING);
        if slept.is_err_and(Failure::is_interruption) {
            return Err(Errno::EINTR);
        }
    }
}

fn pass_on(call: &Mutex<Request>, record: &ServerRecord) {
    let Ok(call) = call.lock() else { return };
    for (word, value) in record.args.iter().zip(call.args) {
        word.store(value, Ordering::Relaxed);
    }
    record.number.store(call.number, Ordering::Release);
}

/// Starts a runner for the queue in `args`.
fn start(program: &'static Program, args: [u64; 6]) -> Result<Pair, Errno> {
    let queue = view_queue(program, args[0])?;
    let number = u32::try_from(args[1]).map_err(|_| Errno::EINVAL)?;
    if number == 0 {
        return Err(Errno::EINVAL);
    }
    let exchange = Arc::new(Exchange {
        asks: AtomicU32::new(RUNNING),
        call: Mutex::new(Request {
            number: 0,
            args: [0; 6],
        }),
        result: AtomicI64::new(0),
        outdated: AtomicBool::new(false),
    });
    let held_back = HeldBack {
        program,
        exchange: exchange.clone(),
    };
    let body = move || {
        placement::roam();
        let runner = Runner {
            held_back,
            stack: args[3],
            thread_pointer: args[4],
            functions: OnceCell::new(),
        };
        serve_queue(&queue, number, &runner);
        let asks = &runner.held_back.exchange.asks;
        asks.store(END, Ordering::Release);
        wake(asks);
    };
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    raw::with_all_blocked(|| builder.spawn(body))?.map_err(|_| Errno::EAGAIN)?;
    Ok(Pair {
        exchange,
        began_as: Rights::now(),
    })
}

/// The maker of those system calls of a function that the filter holds back.
#[derive(Clone)]
struct HeldBack {
    program: &'static Program,
    exchange: Arc<Exchange>,
}

impl Caller for HeldBack {
    fn perform(&self, number: u64, args: [u64; 6]) -> Answer {
        if self.exchange.outdated.load(Ordering::Acquire) {
            return Err(Errno::EPERM.into());
        }
        (self.program.functions.perform)(self.program, &Request { number, args })
    }

    fn pass_on(&self, number: u64, args: [u64; 6]) -> Answer {
        if let Ok(mut call) = self.exchange.call.lock() {
            *call = Request { number, args };
        }
        self.exchange.ask(CALL);
        let word = self.exchange.result.load(Ordering::Relaxed);
        decode(word.cast_unsigned()).map_err(Failure::from)
    }

    fn allow_execution(&self, address: u64) -> bool {
        self.program.window.allow_execution(address)
    }

    fn own_vdso(&self, address: u64) -> Option<u64> {
        let vdso = &self.program.vdso;
        let code =
            (vdso.target + vdso.vvar_bytes)..(vdso.target + vdso.vvar_bytes + vdso.vdso_bytes);
        (vdso.target != 0 && code.contains(&address)).then(|| address - vdso.target + vdso.source)
    }
}

/// A runner, which serves a queue in this process.
struct Runner {
    held_back: HeldBack,
    /// Address of the stack that functions have.
    stack: u64,
    /// The thread pointer that functions have.
    thread_pointer: u64,
    /// The means to run functions, once one was posted.
    functions: OnceCell<Result<Functions, Errno>>,
}

impl Runner {
    fn call(&self, function: u64, argument: u64) -> i64 {
        let functions = self
            .functions
            .get_or_init(|| Functions::prepare(Box::new(self.held_back.clone())));
        match functions {
            Ok(functions) => functions.call(&Call {
                function,
                argument,
                stack: self.stack,
                thread_pointer: self.thread_pointer,
            }),
            Err(errno) => result_of(Err(Failure::from(*errno))),
        }
    }
}

/// Returns `answer` as the result of a queue's entry, in which functions leave any number.
fn result_of(answer: Answer) -> i64 {
    encode(answer.map_err(Into::into)).cast_signed()
}

impl Server for Runner {
    const LOOK_FOR: Duration = POLL_FOR;

    fn perform(&self, request: &Request) -> i64 {
        if self.held_back.exchange.outdated.load(Ordering::Acquire) {
            return result_of(Err(Errno::EPERM.into()));
        }
        let [first, second, ..] = request.args;
        if request.number == FUNCTION {
            self.call(first, second)
        } else if is_delegable(request.number) {
            let program = self.held_back.program;
            result_of((program.functions.perform)(program, request))
        } else {
            result_of(Err(Errno::ENOSYS.into()))
        }
    }

    fn sleep(&self, word: &AtomicU32, value: u32) {
        // The waiter looks again, whatever ended the sleep.
        let _ = sleep(word, value);
    }

    fn wake(&self, word: &AtomicU32) {
        wake(word);
    }

    fn hire(&self) {
        self.held_back.exchange.ask(HIRE);
    }
}

impl Exchange {
    /// Has the program's thread do something. The runner calls this.
    fn ask(&self, what: u32) {
        self.asks.store(what, Ordering::Release);
        wake(&self.asks);
        while self.asks.load(Ordering::Acquire) == what {
            // It looks again, whatever ended the sleep.
            let _ = sleep(&self.asks, what);
        }
    }
}

fn sleep(word: &AtomicU32, value: u32) -> Answer {
    let operation = u64::from((libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG).unsigned_abs());
    let word = ptr::from_ref(word).addr() as u64;
    let args = [word, operation, u64::from(value), 0, 0, 0];
    syscall::perform(libc::SYS_futex.cast_unsigned(), args)
}

/// Wakes all who sleep on `word`. This is not done by `syscall::perform`, because it must happen:
/// what is to interrupt this thread interrupts what it does next.
fn wake(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the word is there; nobody is changed by it but who sleeps on it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX) };
}

/// Returns the queue at `address` of the program.
fn view_queue(program: &Program, address: u64) -> Result<Queue<'static>, Errno> {
    let header = view::<Header>(program, address)?;
    let entries = header.entries.load(Ordering::Relaxed) as usize;
    if header.magic.load(Ordering::Acquire) != MAGIC || !is_possible(entries) {
        return Err(Errno::EINVAL);
    }
    let place = reachable(program, address, bytes_of(entries))?;
    // SAFETY: memory of the program that is there now. It holds atomics only. A program that takes
    // it away while it is served has a fault, as it would have natively.
    unsafe { memory::view(place, entries) }.ok_or(Errno::EINVAL)
}

fn view_record(program: &Program, address: u64) -> Result<&'static ServerRecord, Errno> {
    view::<ServerRecord>(program, address)
}

/// Returns something that is made of atomics, at `address` of the program.
fn view<T>(program: &Program, address: u64) -> Result<&'static T, Errno> {
    let place = reachable(program, address, size_of::<T>())?;
    if place % align_of::<T>() != 0 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: memory of the program that is there now, aligned, and made of atomics only. A program
    // that takes it away while it is served has a fault, as it would have natively.
    Ok(unsafe { &*ptr::with_exposed_provenance::<T>(place) })
}

/// Returns `address` as a number of ours, if the program has `bytes` of memory there.
fn reachable(program: &Program, address: u64, bytes: usize) -> Result<usize, Errno> {
    let end = address.checked_add(bytes as u64).ok_or(Errno::EFAULT)?;
    if address < program.window.start() || end > WINDOW_END {
        return Err(Errno::EFAULT);
    }
    let mut copy = vec![0; bytes];
    if window::read(address, &mut copy)? != bytes {
        return Err(Errno::EFAULT);
    }
    usize::try_from(address).map_err(|_| Errno::EFAULT)
}
