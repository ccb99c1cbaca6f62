// SPDX-License-Identifier: GPL-2.0
//! What a function of the program cannot do alone comes here as a signal: system calls that the
//! filter holds back, code that is not executable here yet, faults.
//!
//! The handlers run on a stack of their own whose lowest words are a [`Head`], found by rounding the
//! stack pointer down. So they know what they belong to, and which FS base is ours, before anything
//! that needs it.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::arch::global_asm;
use std::cell::Cell;
use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ihk_ikc::delegable::is_delegable;
use nix::errno::Errno;
use nix::libc;

use super::{is_refused, Caller};
use crate::signal;

/// Size of the stack, and its alignment.
const BYTES: usize = 128 << 10;
/// In [`Head::magic`].
const MAGIC: u64 = 0x6d63_6b66_756e_6373;
/// In a page fault's error code: the instruction itself could not be fetched.
const FETCH: i64 = 1 << 4;
/// Whether faults are ours; see [`owns`].
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// How long a fault waits for the control thread to find that the co-kernel is gone.
const NEWS_TAKE: Duration = Duration::from_millis(200);

/// The lowest words of a handler stack.
#[repr(C)]
struct Head {
    magic: u64,
    /// FS base of this thread.
    thread_pointer: u64,
    caller: Box<dyn Caller>,
    /// The last instruction that could not be fetched, and nothing else has happened since.
    fetched: Cell<u64>,
}

/// Of a handler stack.
const LAYOUT: Layout = match Layout::from_size_align(BYTES, BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

/// A thread's [`Head`], with the stack above it. Only that thread has it, as no pointer is `Send`.
pub(super) struct Place(*mut Head);

global_asm!(
    ".pushsection .text.mcexec_on_trap,\"ax\",@progbits",
    ".globl mcexec_on_trap",
    ".type mcexec_on_trap,@function",
    "mcexec_on_trap:", // rdi, rsi, rdx: as handlers have them
    "push r12",
    "push r13",
    "sub rsp, 8",
    "mov rcx, rsp",
    "and rcx, {mask}",
    "mov rax, {magic}",
    "cmp [rcx], rax",
    "jne 2f",
    "rdfsbase r12",
    "mov r13, [rcx + 8]",
    "wrfsbase r13",
    "call {in_function}",
    "wrfsbase r12",
    "jmp 3f",
    "2:",
    "call {elsewhere}",
    "3:",
    "add rsp, 8",
    "pop r13",
    "pop r12",
    "ret",
    ".size mcexec_on_trap, . - mcexec_on_trap",
    ".popsection",
    mask = const -(BYTES as i64),
    magic = const MAGIC,
    in_function = sym in_function,
    elsewhere = sym elsewhere,
);

extern "C" {
    fn mcexec_on_trap(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void);
}

impl Place {
    /// Gives this thread the stack.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn set_up(caller: Box<dyn Caller>) -> Result<Self, Errno> {
        // SAFETY: the size is not 0.
        let memory = unsafe { alloc_zeroed(LAYOUT) };
        if memory.is_null() {
            return Err(Errno::ENOMEM);
        }
        let head = memory.cast::<Head>();
        let value = Head {
            magic: MAGIC,
            thread_pointer: thread_pointer(),
            caller,
            fetched: Cell::new(0),
        };
        // SAFETY: large and aligned enough, and nobody else's.
        unsafe { head.write(value) };
        let stack = libc::stack_t {
            ss_sp: memory.cast(),
            ss_flags: 0,
            ss_size: BYTES,
        };
        // The head is below all that the handlers use: they would need all of the stack to reach it.
        // SAFETY: the stack stays until this value is dropped.
        Errno::result(unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) })?;
        unblock(&[libc::SIGSEGV, libc::SIGBUS, libc::SIGSYS]);
        Ok(Self(head))
    }

    /// A function is about to be called.
    pub(super) fn begin(&self) {
        // SAFETY: written by `set_up`, and only this thread has it.
        unsafe { &*self.0 }.fetched.set(0);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let none = libc::stack_t {
            ss_sp: ptr::null_mut(),
            ss_flags: libc::SS_DISABLE,
            ss_size: 0,
        };
        // SAFETY: this thread runs no function any more, and a fault now is the end anyway.
        unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) };
        // SAFETY: written by `set_up`, and not used after this.
        unsafe { self.0.drop_in_place() };
        // SAFETY: allocated by `set_up` with this layout.
        unsafe { dealloc(self.0.cast(), LAYOUT) };
    }
}

fn thread_pointer() -> u64 {
    let pointer;
    // SAFETY: the caller of `set_up` has checked that the instruction may be used.
    unsafe { std::arch::asm!("rdfsbase {}", out(reg) pointer, options(nomem, nostack)) };
    pointer
}

fn unblock(signals: &[libc::c_int]) {
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::sigset_t = unsafe { zeroed() };
    for signal in signals {
        // SAFETY: a set of ours.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    // SAFETY: a set of ours.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut()) };
}

/// Sets the handlers up, for all threads, once.
///
/// # Errors
///
/// Linux refuses.
pub(super) fn install() -> Result<(), Errno> {
    if INSTALLED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGSYS] {
        // SAFETY: all zeroes is a sigaction.
        let mut action: libc::sigaction = unsafe { zeroed() };
        action.sa_sigaction = (mcexec_on_trap as *const ()).expose_provenance();
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: a set of ours.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        // SAFETY: the handler finds out by itself where it runs.
        Errno::result(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) })?;
    }
    Ok(())
}

/// Whether the disposition of `signal` is ours and not the program's to change.
#[must_use]
pub(super) fn owns(signal: i32) -> bool {
    INSTALLED.load(Ordering::Acquire)
        && matches!(signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGSYS)
}

/// A fault, or such a signal from outside, in a thread that runs no functions: the default action.
extern "C" fn elsewhere(number: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    die(number);
}

fn die(number: libc::c_int) -> ! {
    INSTALLED.store(false, Ordering::Release);
    signal::die(u64::from(number.unsigned_abs()))
}

/// A signal in a thread that runs functions, with our FS base.
///
/// # Safety
///
/// Called by the stub above, which found `head`, with what a handler gets.
unsafe extern "C" fn in_function(
    number: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
    head: *const Head,
) {
    // SAFETY: by the stub; it is this thread's, which is in a function.
    let head = unsafe { &*head };
    // SAFETY: the kernel hands a handler the interrupted context, ours to change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    // SAFETY: valid, as for all handlers.
    let code = unsafe { (*info).si_code };
    /// `SYS_SECCOMP`.
    const FILTERED: i32 = 1;
    if number == libc::SIGSYS && code == FILTERED {
        head.fetched.set(0);
        system_call(head, registers);
    } else if registers[libc::REG_ERR as usize] & FETCH == 0 || !fetch(head, registers) {
        // Memory that is gone is SIGBUS; if so is the co-kernel, that is what is to be said.
        if number == libc::SIGBUS {
            std::thread::sleep(NEWS_TAKE);
        }
        die(number);
    }
}

/// Makes the system call that the filter held back.
fn system_call(head: &Head, registers: &mut [libc::greg_t; 23]) {
    let at = |register: libc::c_int| registers[register as usize].cast_unsigned();
    let number = at(libc::REG_RAX);
    let args = [
        at(libc::REG_RDI),
        at(libc::REG_RSI),
        at(libc::REG_RDX),
        at(libc::REG_R10),
        at(libc::REG_R8),
        at(libc::REG_R9),
    ];
    let result = if is_delegable(number) {
        head.caller.perform(number, args)
    } else if number == libc::SYS_exit.cast_unsigned() {
        // The function would never return, and its server neither.
        die(libc::SIGABRT)
    } else if is_refused(number) {
        -i64::from(libc::ENOSYS)
    } else {
        head.caller.pass_on(number, args)
    };
    registers[libc::REG_RAX as usize] = result;
}

/// An instruction could not be fetched: whether it can be now.
fn fetch(head: &Head, registers: &mut [libc::greg_t; 23]) -> bool {
    let counter = &mut registers[libc::REG_RIP as usize];
    let address = counter.cast_unsigned();
    if let Some(own) = head.caller.own_vdso(address) {
        *counter = own.cast_signed();
        head.fetched.set(0);
        return true;
    }
    // The instruction may reach into the next part, so the faulting address counts.
    let address = registers[libc::REG_CR2 as usize].cast_unsigned();
    head.fetched.replace(address) != address && head.caller.allow_execution(address)
}

const _: () = assert!(size_of::<Head>() < 128);
