// SPDX-License-Identifier: GPL-2.0
//! Linux's exec of a program that mcexec is to stand for: a binary format that puts the file of our choice
//! in the place of the program's, and a probe that is told when that has been loaded.
//!
//! `fs/exec.c` asks the formats about the program's file, ours first. Ours answers that it does not know the
//! file, as any format does, and has exchanged it: the format for ELF files loads the other one. Credentials
//! come from the program's file (`bprm->executable` with `execfd_creds`), arguments and names are untouched.
//! The tracepoint `sched_process_exec` is the last thing of a successful exec, before anybody is told of it
//! and before the first instruction.

use super::file::{ExecutedFile, File};
use super::{compat, extra};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::{
    bindings,
    error::{from_err_ptr, to_result},
    prelude::*,
    sync::Arc,
};

/// A thread that executes a program, from its decision to the new program's first instruction.
pub(crate) trait Execution: Send + Sync + Sized + 'static {
    /// The execution that the calling thread has announced, and that has not happened yet.
    fn of_current() -> Option<Arc<Self>>;

    /// Linux has opened the program's `file`, which begins with `head`. An error is what exec returns.
    fn program(&self, file: &File, head: &[u8]) -> Result<Choice>;

    /// From now on Linux loads the interpreter.
    fn note_exchange(&self);

    /// The execution that the calling thread has announced, and whose interpreter Linux has just loaded.
    fn of_executed() -> Option<Arc<Self>>;

    /// It has happened: the calling thread is about to begin with the interpreter that runs `program`. May
    /// sleep. An error ends the process.
    fn executed(this: Arc<Self>, program: ExecutedFile) -> Result;
}

/// The program that runs the program.
pub(crate) struct Interpreter(ExecutedFile);

impl Interpreter {
    /// It is `file`.
    pub(crate) fn of(file: ExecutedFile) -> Self {
        Self(file)
    }
}

/// Who runs a program.
pub(crate) enum Choice {
    /// Another format may know the file.
    Others,
    /// This interpreter.
    Run(Interpreter),
}

/// Opens the interpreter `path` that a program asks for. The errors are those of exec.
pub(crate) fn open_interpreter(path: &CStr) -> Result<ExecutedFile> {
    // SAFETY: the path lives during the call.
    let file = from_err_ptr(unsafe { bindings::open_exec(path.as_char_ptr()) })?;
    let file = NonNull::new(file).ok_or(ENOENT)?;
    // SAFETY: just opened.
    Ok(unsafe { ExecutedFile::from_raw(file) })
}

/// Reads from `file` at `offset`, as far as it goes, whoever may read it. Returns how much.
pub(crate) fn read(file: &File, offset: u64, bytes: &mut [u8]) -> Result<usize> {
    let mut position = i64::try_from(offset).map_err(|_| EINVAL)?;
    // SAFETY: the file is open, and `bytes` has room for so many.
    let read = unsafe {
        bindings::kernel_read(
            file.as_ptr(),
            bytes.as_mut_ptr().cast(),
            bytes.len(),
            &mut position,
        )
    };
    usize::try_from(read).map_err(|_| Error::from_errno(read as c_int))
}

/// The format and the probe; they live in a static, whose first part Linux links into its list.
pub(crate) struct Format {
    format: core::cell::UnsafeCell<extra::linux_binfmt>,
    probe: *mut c_void,
    tracepoint: AtomicPtr<extra::tracepoint>,
}

// SAFETY: the format is written by Linux only, under its own lock, and the probe is a function.
unsafe impl Sync for Format {}

impl Format {
    /// Those of `T`'s executions. Linux holds the module while the format is asked.
    pub(crate) const fn new<T: Execution>() -> Self {
        let format = extra::linux_binfmt {
            module: compat::this_module(),
            load_binary: Some(load::<T>),
            // SAFETY: null pointers and zeroes are what an unlisted format has.
            ..unsafe { core::mem::zeroed() }
        };
        let probe: unsafe extern "C" fn(_, _, _, _) = on_executed::<T>;
        Self {
            format: core::cell::UnsafeCell::new(format),
            probe: probe as *mut c_void,
            tracepoint: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// From now on the format is asked, before all others, and the probe is told.
    pub(crate) fn register(&'static self) -> Result {
        let mut found = core::ptr::null_mut::<extra::tracepoint>();
        // SAFETY: `find` gets what it expects, and it is called before this returns.
        unsafe { extra::for_each_kernel_tracepoint(Some(find), (&raw mut found).cast()) };
        if found.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: the tracepoint is one of Linux's own, which stay; the probe has its arguments.
        let registered =
            unsafe { extra::tracepoint_probe_register(found, self.probe, core::ptr::null_mut()) };
        to_result(registered)?;
        self.tracepoint.store(found, Ordering::Relaxed);
        // SAFETY: lives for ever, and is registered once.
        unsafe { extra::__register_binfmt(self.format.get(), 1) };
        Ok(())
    }

    /// Neither is any longer. Sleeps until nobody is in the probe.
    pub(crate) fn unregister(&'static self) {
        let tracepoint = self.tracepoint.load(Ordering::Relaxed);
        // SAFETY: registered; probes of this kind of tracepoint run under that lock
        // (`tracepoint_synchronize_unregister`).
        unsafe {
            extra::unregister_binfmt(self.format.get());
            extra::tracepoint_probe_unregister(tracepoint, self.probe, core::ptr::null_mut());
            extra::synchronize_srcu(&raw mut extra::tracepoint_srcu);
        }
    }
}

/// # Safety
///
/// `tracepoint` must be one, and `found` a place for one.
unsafe extern "C" fn find(tracepoint: *mut extra::tracepoint, found: *mut c_void) {
    // SAFETY: the caller's promise; names are strings that stay.
    unsafe {
        if CStr::from_char_ptr((*tracepoint).name) == c"sched_process_exec" {
            *found.cast() = tracepoint;
        }
    }
}

/// # Safety
///
/// Called by Linux in a thread that has executed `bprm`, with nothing locked but the list of probes.
unsafe extern "C" fn on_executed<T: Execution>(
    _: *mut c_void,
    _: *mut bindings::task_struct,
    _: bindings::pid_t,
    bprm: *mut extra::linux_binprm,
) {
    let Some(execution) = T::of_executed() else {
        return;
    };
    // SAFETY: the structure is the calling thread's own during the call, and the file is that of `exchange`.
    let program = unsafe { File::from_raw((*bprm).executable) };
    let done = program
        .executed()
        .and_then(|program| T::executed(execution, program));
    if done.is_err() {
        // The interpreter would not know for whom it is.
        super::task::kill_current();
    }
}

/// # Safety
///
/// Called by Linux in a thread that executes `bprm`.
unsafe extern "C" fn load<T: Execution>(bprm: *mut extra::linux_binprm) -> c_int {
    let Some(execution) = T::of_current() else {
        return ENOEXEC.to_errno();
    };
    // SAFETY: the structure is the calling thread's own during the call.
    let bprm = unsafe { &mut *bprm };
    // SAFETY: the file is open during the call.
    let file = unsafe { File::from_raw(bprm.file) };
    // SAFETY: a buffer of bytes, of which all are set.
    let head =
        unsafe { core::slice::from_raw_parts(bprm.buf.as_ptr().cast::<u8>(), bprm.buf.len()) };
    match execution.program(&file, head) {
        Ok(Choice::Others) => ENOEXEC.to_errno(),
        // Another format has its own use for the place of the file.
        Ok(Choice::Run(_)) if !bprm.executable.is_null() => ENOEXEC.to_errno(),
        // SAFETY: as this function.
        Ok(Choice::Run(interpreter)) => match unsafe { exchange(bprm, interpreter, &*execution) } {
            Ok(()) => ENOEXEC.to_errno(),
            Err(error) => error.to_errno(),
        },
        Err(error) => error.to_errno(),
    }
}

/// Has Linux load the interpreter with the program's credentials. An error has changed nothing.
///
/// # Safety
///
/// As [`load`].
unsafe fn exchange<T: Execution>(
    bprm: &mut extra::linux_binprm,
    interpreter: Interpreter,
    execution: &T,
) -> Result {
    let mut head = [0; extra::BINPRM_BUF_SIZE as usize];
    read(&interpreter.0.file(), 0, &mut head)?;
    for (byte, read) in bprm.buf.iter_mut().zip(head) {
        *byte = read as c_char;
    }
    let opened = core::mem::replace(&mut bprm.file, interpreter.0.into_raw());
    if extra::EXECUTABLE_IS_DENIED == 0 {
        // SAFETY: Linux has opened it for exec; the reference goes on as `executable`'s.
        unsafe { ExecutedFile::allow_writing(opened) };
    }
    bprm.executable = opened;
    bprm.set_execfd_creds(1);
    execution.note_exchange();
    // SAFETY: what `begin_new_exec` does for the file that is loaded; both are open.
    unsafe { extra::would_dump(bprm, bprm.executable) };
    Ok(())
}
