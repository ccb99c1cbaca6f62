// SPDX-License-Identifier: GPL-2.0
//! Helps a function of the program where it cannot go on alone.
//!
//! Three things come here as signals: system calls that the filter holds back, code that is not
//! executable here yet, and faults. The handlers run on a stack of their own whose lowest words are
//! a [`Head`], found by rounding the stack pointer down. So they know whose they are, and which FS
//! base is ours, before they do anything that needs it.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::arch::global_asm;
use std::cell::Cell;
use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ihk_ikc::errno::encode;
use ihk_ikc::syscalls::{self, is_delegable, Class};
use nix::errno::Errno;
use nix::libc;

use crate::signals::{dispositions, raw, worker_mask};
use crate::syscall::Answer;

/// Size of the stack, and its alignment.
const BYTES: usize = 128 << 10;
/// The value of [`Head::magic`].
const MAGIC: u64 = 0x6d63_6b66_756e_6373;
/// The bit of a page fault's error code that says: the instruction itself could not be fetched.
const FETCH: i64 = 1 << 4;
/// Whether the handlers are set up.
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// The longest time that a fault waits for the control thread to find that the co-kernel is gone.
const NEWS_TAKE: Duration = Duration::from_millis(200);

/// The maker of a trapped system call.
pub(crate) trait Caller {
    /// Makes the call in this process, with all exceptions.
    fn perform(&self, number: u64, args: [u64; 6]) -> Answer;
    /// Has the program's thread make the call.
    fn pass_on(&self, number: u64, args: [u64; 6]) -> Answer;
    /// Lets the program's code at `address` be executed here, if it is code. Returns whether
    /// anything was changed.
    fn allow_execution(&self, address: u64) -> bool;
    /// Returns where `address` of the program's vdso is in this process.
    fn own_vdso(&self, address: u64) -> Option<u64>;
}

/// The lowest words of a handler stack.
#[repr(C)]
struct Head {
    magic: u64,
    /// FS base of this thread.
    thread_pointer: u64,
    caller: Box<dyn Caller>,
    /// The last instruction that could not be fetched, if nothing else has happened since.
    fetched: Cell<u64>,
}

/// The layout of a handler stack.
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
        // The head is below all that the handlers use: they would need all of the stack to reach
        // it. SAFETY: the stack stays until this value is dropped.
        Errno::result(unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) })?;
        unblock(&[libc::SIGSEGV, libc::SIGBUS, libc::SIGSYS]);
        Ok(Self(head))
    }

    /// Prepares for the call of a function.
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
    let bits = signals.iter().map(|signal| 1 << (signal - 1));
    worker_mask::keep_open(bits.fold(0, |all, bit: u64| all | bit));
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
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: a set of ours.
        unsafe { libc::sigfillset(&raw mut action.sa_mask) };
        dispositions::take_over(signal, &action)?;
    }
    Ok(())
}

/// Takes the default action for a fault in a thread that runs no functions. What another process sent
/// is the program's.
extern "C" fn elsewhere(number: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel hands a handler with SA_SIGINFO a valid siginfo.
    let info = unsafe { &*info };
    if dispositions::is_own_fault(info) {
        die(number);
    }
    dispositions::act(number, info);
}

fn die(number: libc::c_int) -> ! {
    raw::die(u64::from(number.unsigned_abs()))
}

/// Handles a signal in a thread that runs functions, with our FS base.
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
    let info = unsafe { &*info };
    if !dispositions::is_own_fault(info) {
        return dispositions::act(number, info);
    }
    /// `SYS_SECCOMP`.
    const FILTERED: i32 = 1;
    if number == libc::SIGSYS && info.si_code == FILTERED {
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
    let answer = if is_delegable(number) {
        head.caller.perform(number, args)
    } else if number == libc::SYS_exit.cast_unsigned() {
        // The function would never return, and its server neither.
        die(libc::SIGABRT)
    } else if syscalls::class(number).has(Class::NOT_IN_FUNCTIONS) {
        Err(Errno::ENOSYS.into())
    } else {
        head.caller.pass_on(number, args)
    };
    registers[libc::REG_RAX as usize] = encode(answer.map_err(Into::into)).cast_signed();
}

/// Handles an instruction that could not be fetched. Returns whether it can be fetched now.
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

#[cfg(test)]
mod tests {
    use super::super::{Call, Caller, Functions};
    use crate::syscall::Answer;
    use nix::libc;
    use std::ptr;

    const BYTES: usize = 1 << 16;

    fn pages(rights: libc::c_int) -> *mut u8 {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new pages.
        let pages = unsafe { libc::mmap(ptr::null_mut(), BYTES, rights, flags, -1, 0) };
        assert_ne!(pages, libc::MAP_FAILED);
        pages.cast()
    }

    /// Stands for the program's thread.
    struct Fake {
        code: usize,
    }

    impl Caller for Fake {
        fn perform(&self, number: u64, args: [u64; 6]) -> Answer {
            // Uses thread-local storage, so ours must be there.
            assert!(std::thread::current().name().is_none());
            Ok(number * 1000 + args[0])
        }

        fn pass_on(&self, number: u64, args: [u64; 6]) -> Answer {
            Ok(number * 2000 + args[0])
        }

        fn allow_execution(&self, address: u64) -> bool {
            assert_eq!(address & !0xfff, self.code as u64);
            let rights = libc::PROT_READ | libc::PROT_EXEC;
            let code = ptr::with_exposed_provenance_mut(self.code);
            // SAFETY: the pages of the test.
            unsafe { libc::mprotect(code, BYTES, rights) == 0 }
        }

        fn own_vdso(&self, _: u64) -> Option<u64> {
            None
        }
    }

    #[test]
    #[cfg_attr(
        not(target_feature = "crt-static"),
        ignore = "the filter wants the C library in our text"
    )]
    fn a_function_runs_with_its_own_stack_and_thread_pointer_and_filtered_calls() {
        let ours = std::thread::spawn(|| {
            let read_write = libc::PROT_READ | libc::PROT_WRITE;
            let (code, stack, block) = (pages(read_write), pages(read_write), pages(read_write));
            let snippets: [&[u8]; 5] = [
                b"\x64\x48\x8b\x04\x25\x00\x00\x00\x00\xc3", // mov rax, fs:[0]; ret
                b"\x48\x89\xe0\xc3",                         // mov rax, rsp; ret
                b"\xb8\x6e\x00\x00\x00\x0f\x05\xc3",         // getppid
                b"\xb8\x3f\x00\x00\x00\x0f\x05\xc3",         // uname: delegable, not direct
                b"\xb8\x09\x00\x00\x00\x0f\x05\xc3",         // mmap: the thread's
            ];
            for (snippet, offset) in snippets.iter().zip((0..).step_by(64)) {
                // SAFETY: inside the pages just mapped.
                let place = unsafe { code.add(offset) };
                // SAFETY: as above.
                unsafe { ptr::copy_nonoverlapping(snippet.as_ptr(), place, snippet.len()) };
            }
            let block_address = block.expose_provenance() as u64;
            // SAFETY: inside the pages just mapped.
            unsafe { block.cast::<u64>().write(block_address) };
            // SAFETY: as above.
            unsafe { libc::mprotect(code.cast(), BYTES, libc::PROT_READ) };
            let code = code.expose_provenance();
            let functions = Functions::prepare(Box::new(Fake { code })).unwrap();
            let run = |index: u64| {
                functions.call(&Call {
                    function: code as u64 + 64 * index,
                    argument: 7,
                    stack: (stack.expose_provenance() + BYTES) as u64,
                    thread_pointer: block_address,
                })
            };
            assert_eq!(run(0), block_address.cast_signed());
            let top = (stack.expose_provenance() + BYTES) as i64;
            assert_eq!(run(1), top - 8);
            assert_eq!(run(2), i64::from(nix::unistd::getppid().as_raw()));
            assert_eq!((run(3), run(4)), (63_007, 18_007));
        });
        ours.join().unwrap();
    }
}
