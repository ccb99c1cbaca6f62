// SPDX-License-Identifier: GPL-2.0
//! exec: the thread of mcexec that serves an `execve` of the program executes the program's own file, and
//! Linux does everything that belongs to that: permissions, set-ids, capabilities, scripts, other formats,
//! names, arguments. We have it run mcexec instead of the program, and tell the new mcexec for whom.
//!
//! ```text
//!  announced ── Linux opens the program ──► exchanged ── mcexec is loaded ──► executed: its gate is mapped,
//!      │            (scripts: several times)    │                               CARRIED answers
//!      └──────── failed: withdrawn ─────────────┘
//! ```
//! An announcement holds for one thread and for its next exec: whoever executes something else, or takes the
//! thread's place, has announced nothing. Once the file is exchanged no other format may have the program,
//! for it would run with the program's credentials.

use crate::ffi::exec::{self, Choice, Interpreter};
use crate::ffi::file::{ExecutedFile, File};
use crate::ffi::irq_lock::IrqLock;
use crate::ffi::mm;
use crate::ffi::rlimit;
use crate::ffi::task::{self, ThreadId};
use crate::ffi::user;
use crate::process::elf_head::{self, Kind};
use crate::process::instance::Instance;
use crate::proto::uapi::{Carried, Execute};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use kernel::{prelude::*, sync::Arc};

/// The mcexec that runs programs which programs execute. It gets their credentials, so nobody but the
/// administrator chooses it.
static MCEXEC: IrqLock<Option<ExecutedFile>> = IrqLock::new(None);

/// What has been announced and neither withdrawn nor led to a new image.
static ANNOUNCED: IrqLock<KVec<Arc<Execution>>> = IrqLock::new(KVec::new());
/// How many there are: Linux asks about every program of the machine.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// As many descriptors mcexec has at once while it loads a program, and some more.
const DESCRIPTORS: u64 = 16;

/// An announced execution.
pub(crate) struct Execution {
    /// Where the program runs and will run.
    pub(crate) instance: Arc<Instance>,
    thread: ThreadId,
    /// What the new mcexec is to know.
    announced: KBox<Execute>,
    /// Whether Linux has the interpreter's file instead of the program's.
    is_exchanged: AtomicBool,
    /// The program's file, once it is executed.
    program: IrqLock<Option<File>>,
    /// The program's limit of descriptors, if that was too low for the new mcexec to load it.
    descriptor_limit: IrqLock<Option<u64>>,
    /// Gives the new image its gate.
    attach: fn(Arc<Execution>) -> Result,
}

/// SET_MCEXEC: descriptor `number` of the caller, who must be the administrator, is the mcexec.
pub(crate) fn set_mcexec(number: usize) -> Result {
    task::require_admin()?;
    let file = File::of_descriptor(u32::try_from(number).map_err(|_| EBADF)?)?;
    let before = MCEXEC.lock().replace(file.executed()?);
    drop(before);
    Ok(())
}

/// EXECUTABLE: the calling process's program is the file of its descriptor `number`.
pub(crate) fn set_executable(number: usize) -> Result {
    let file = File::of_descriptor(u32::try_from(number).map_err(|_| EBADF)?)?;
    file.check_may_execute()?;
    let before = mm::set_executable(file.executed()?);
    drop(before);
    Ok(())
}

/// Forgets everything; the module goes, and nobody has a gate any more.
pub(crate) fn forget_all() {
    let before = MCEXEC.lock().take();
    drop(before);
    // Only a list that cannot grow keeps something, as long as this machine runs.
    let _ = take(|_| true);
}

/// EXECUTE: the calling thread is about to execute a program that runs in `instance`.
pub(crate) fn announce(
    instance: &Arc<Instance>,
    argument: usize,
    attach: fn(Arc<Execution>) -> Result,
) -> Result {
    let execution = Execution {
        instance: instance.clone(),
        thread: ThreadId::current(),
        announced: user::read::<Execute>(argument)?,
        is_exchanged: AtomicBool::new(false),
        program: IrqLock::new(None),
        descriptor_limit: IrqLock::new(None),
        attach,
    };
    let execution = Arc::new(execution, GFP_KERNEL)?;
    // Threads that died before their exec came to anything have left theirs.
    let gone = |other: &Execution| other.thread.is_current() || !other.thread.is_alive();
    drop(take(gone)?);
    let mut announced = ANNOUNCED.lock();
    announced.push(execution, GFP_ATOMIC)?;
    COUNT.store(announced.len(), Ordering::Release);
    Ok(())
}

/// WITHDRAW: it has not happened.
pub(crate) fn withdraw() -> Result {
    take(|execution| execution.thread.is_current()).map(drop)
}

/// Takes out what `is_meant` says yes to; the caller drops it, without the lock.
fn take(is_meant: impl Fn(&Execution) -> bool) -> Result<KVec<Arc<Execution>>> {
    let mut taken = KVec::new();
    loop {
        let mut announced = ANNOUNCED.lock();
        let Some(index) = announced.iter().position(|execution| is_meant(execution)) else {
            return Ok(taken);
        };
        let execution = announced.remove(index).map_err(|_| EINVAL)?;
        COUNT.store(announced.len(), Ordering::Release);
        drop(announced);
        taken.push(execution, GFP_KERNEL)?;
    }
}

impl Execution {
    /// The program runs: its file is nobody's to read any more, and its limits are its own.
    pub(crate) fn program_runs(&self) {
        let before = self.program.lock().take();
        drop(before);
        let limit = self.descriptor_limit.lock().take();
        if let Some(limit) = limit {
            // There is such a limit.
            let _ = rlimit::restore_descriptors(DESCRIPTORS, limit);
        }
    }

    /// CARRIED: what the old mcexec has said, and a descriptor of the program's file.
    pub(crate) fn tell(&self, argument: usize) -> Result {
        let mut carried = user::zeroed::<Carried>()?;
        carried.os = self.instance.os;
        carried.announced = *self.announced;
        let file = self.program.lock().clone();
        let file = file.ok_or(ENOENT)?;
        if let Some(limit) = rlimit::lift_descriptors(DESCRIPTORS)? {
            self.descriptor_limit.lock().get_or_insert(limit);
        }
        let descriptor = file.reserve_descriptor()?;
        carried.program = descriptor.number()?;
        user::write(argument, &*carried)?;
        descriptor.install();
        Ok(())
    }

    /// Says who runs `file`, which begins with `head`.
    fn choose(&self, file: &File, head: &[u8]) -> Result<Choice> {
        if self.is_exchanged.load(Ordering::Relaxed) {
            return Err(elf_head::nowhere_else());
        }
        let mcexec = MCEXEC.lock().as_ref().map(ExecutedFile::file);
        let mcexec = mcexec.ok_or_else(not_registered)?;
        if file.is_same_file(&mcexec) {
            // A new mcexec, like one that a shell on Linux starts.
            withdraw()?;
            return Ok(Choice::Others);
        }
        match elf_head::kind(file, head)? {
            Kind::Other => return Ok(Choice::Others),
            Kind::Foreign => return Err(elf_head::nowhere_else()),
            Kind::Native(interpreter) => elf_head::check_interpreter(interpreter)?,
        }
        let interpreter = Interpreter::of(mcexec.reopen_for_exec()?);
        Ok(Choice::Run(interpreter))
    }
}

/// The error of an exec for which no mcexec is registered; the first time it is logged why.
fn not_registered() -> Error {
    static IS_LOGGED: AtomicBool = AtomicBool::new(false);
    if !IS_LOGGED.swap(true, Ordering::Relaxed) {
        pr_warn!("no mcexec is registered, so programs cannot execute others: boot with `mcreboot` or `ihkosctl`\n");
    }
    elf_head::nowhere_else()
}

impl exec::Execution for Execution {
    fn of_current() -> Option<Arc<Self>> {
        find(|execution| execution.thread.is_current())
    }

    fn program(&self, file: &File, head: &[u8]) -> Result<Choice> {
        self.choose(file, head)
    }

    fn note_exchange(&self) {
        self.is_exchanged.store(true, Ordering::Relaxed);
    }

    fn of_executed() -> Option<Arc<Self>> {
        let is_meant = |execution: &Self| {
            execution.is_exchanged.load(Ordering::Relaxed) && execution.thread.has_executed()
        };
        find(is_meant)
    }

    fn executed(this: Arc<Self>, program: ExecutedFile) -> Result {
        // Only a list that cannot grow keeps it, until the thread has died.
        let _ = take(|other| core::ptr::eq(other, &*this));
        let before = this.program.lock().replace(program.file());
        drop(before);
        // `/proc/PID/exe` leads to the program, not to mcexec.
        drop(mm::set_executable(program));
        let attach = this.attach;
        attach(this)
    }
}

fn find(is_meant: impl Fn(&Execution) -> bool) -> Option<Arc<Execution>> {
    if COUNT.load(Ordering::Acquire) == 0 {
        return None;
    }
    let announced = ANNOUNCED.lock();
    let mut all = announced.iter();
    all.find(|execution| is_meant(execution)).cloned()
}
