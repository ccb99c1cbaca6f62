// SPDX-License-Identifier: GPL-2.0
//! Linux's exec of a program that mcexec is to stand for: a binary format that puts the file of our choice
//! in the place of the program's.
//!
//! `fs/exec.c` asks the formats about the program's file, ours first. Ours answers that it does not know the
//! file, as any format does, and has exchanged it: the format for ELF files loads the other one. Credentials
//! come from the program's file (`bprm->executable` with `execfd_creds`), arguments and names are untouched.

use super::file::{ExecutedFile, File};
use super::{compat, extra, task_work};
use core::ptr::NonNull;
use kernel::{bindings, error::from_err_ptr, prelude::*, sync::Arc};

/// A thread that executes a program, from its decision to the new program's first instruction.
pub(crate) trait Execution: task_work::HasTaskWork {
    /// The execution that the calling thread has announced.
    fn of_current() -> Option<Arc<Self>>;

    /// Linux has opened the program's `file`, which begins with `head`. An error is what exec returns.
    fn program(&self, file: &File, head: &[u8]) -> Result<Choice>;
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

/// The format; it lives in a static, which Linux links into its list.
pub(crate) struct Format(core::cell::UnsafeCell<extra::linux_binfmt>);

// SAFETY: written by Linux only, under its own lock.
unsafe impl Sync for Format {}

impl Format {
    /// The format of `T`'s executions. Linux holds the module while it is asked.
    pub(crate) const fn new<T: Execution>() -> Self {
        let format = extra::linux_binfmt {
            module: compat::this_module(),
            load_binary: Some(load::<T>),
            // SAFETY: null pointers and zeroes are what an unlisted format has.
            ..unsafe { core::mem::zeroed() }
        };
        Self(core::cell::UnsafeCell::new(format))
    }

    /// From now on it is asked, before all others.
    pub(crate) fn register(&'static self) {
        // SAFETY: lives for ever, and is registered once.
        unsafe { extra::__register_binfmt(self.0.get(), 1) };
    }

    /// It is asked no longer.
    pub(crate) fn unregister(&'static self) {
        // SAFETY: registered.
        unsafe { extra::unregister_binfmt(self.0.get()) };
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
        Ok(Choice::Run(interpreter)) => match unsafe { exchange(bprm, interpreter, &execution) } {
            Ok(()) => ENOEXEC.to_errno(),
            Err(error) => error.to_errno(),
        },
        Err(error) => error.to_errno(),
    }
}

/// Has Linux load the interpreter with the program's credentials, and the new image prepared. An error has
/// changed nothing.
///
/// # Safety
///
/// As [`load`].
unsafe fn exchange<T: Execution>(
    bprm: &mut extra::linux_binprm,
    interpreter: Interpreter,
    execution: &Arc<T>,
) -> Result {
    let mut head = [0; extra::BINPRM_BUF_SIZE as usize];
    read(&interpreter.0.file(), 0, &mut head)?;
    if !task_work::add_here(execution) {
        return Err(ESRCH);
    }
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
    // SAFETY: what `begin_new_exec` does for the file that is loaded; both are open.
    unsafe { extra::would_dump(bprm, bprm.executable) };
    Ok(())
}
