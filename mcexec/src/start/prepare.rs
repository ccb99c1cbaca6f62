// SPDX-License-Identifier: GPL-2.0
//! Finds out everything about a program before anything is changed: its files, addresses, stack.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ihk_ikc::layout::{WINDOW_END, WINDOW_MIN};
use ihk_ikc::process::RLIMITS;
use nix::errno::Errno;
use nix::sys::prctl;

use super::inherited::{self, STACK};
use super::{auxv, by_linux};
use crate::error::ExecError;
use crate::image::elf::{self, Executable};
use crate::image::layout::{self, Conditions, Layout};
use crate::image::random::{self, Randomness};
use crate::image::stack::{Contents, Stack};
use crate::image::{find, page_up, script, vdso};
use crate::proc_file;

/// The things that the program inherits.
#[derive(Debug)]
pub(crate) struct Inheritance {
    /// Environment.
    pub environment: Vec<CString>,
    /// Bit n − 1: signal n is ignored.
    pub ignored_signals: u64,
    /// Bit n − 1: signal n is blocked.
    pub blocked_signals: u64,
    /// Resource limits by Linux's number.
    pub limits: [[u64; 2]; RLIMITS],
}

/// A program's file that Linux has opened, because another program executed it.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The file.
    pub file: File,
    /// The path by which it was executed, which need not lead to it any more.
    pub path: CString,
}

/// A file that is to be loaded.
#[derive(Debug)]
pub(crate) struct Source {
    /// Open for reading.
    pub file: File,
    /// The headers of the file.
    pub headers: Executable,
}

/// All that was found out about the program, before anything was changed.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The program and, if it has one, its interpreter.
    pub sources: Vec<Source>,
    /// Whether Linux has executed the program, and this mcexec for it.
    pub is_by_linux: bool,
    /// Name of the process, at most 15 bytes.
    pub name: CString,
    /// The place of everything.
    pub layout: Layout,
    /// The first stack.
    pub stack: Stack,
    /// Address of the first instruction.
    pub entry: u64,
    /// First address of the window.
    pub window_start: u64,
}

/// Reads the program that was `opened`, or the one that the first of `argv` names, and chooses its
/// addresses.
///
/// # Errors
///
/// The error is the one that `execve` would have.
pub(crate) fn prepare(
    opened: Option<Opened>,
    argv: &[OsString],
    inheritance: &Inheritance,
) -> Result<Prepared, ExecError> {
    let is_by_linux = opened.is_some();
    let (program, path) = find_program(opened, argv, inheritance)?;
    let name = process_name(&path, &program.file)?;
    let sources = read_sources(program.file)?;
    let randomness = Randomness::of_this_process();
    let mut contents = Contents {
        argv: &program.argv,
        environment: &inheritance.environment,
        path: &path,
        platform: auxv::PLATFORM,
        random: random::bytes(),
        auxv: &[],
        gap: if randomness.addresses {
            random::word()
        } else {
            0
        },
    };
    if !is_by_linux {
        // Linux has counted those of a program that another one has executed.
        contents.check_size(inheritance.limits[STACK][0])?;
    }
    let conditions = Conditions {
        window_start: window_start(),
        stack_limit: stack_limit(inheritance),
        stack_needed: contents.most_bytes(),
        randomness,
        vdso: vdso::find(),
    };
    let layout = lay_out(&sources, &conditions)?;
    let entry = entry(&sources, &layout);
    if !(conditions.window_start..WINDOW_END).contains(&entry) {
        return Err(ExecError::format(
            "its entry point is outside the address space of programs",
        ));
    }
    let vector = auxv::build(&headers_of(&sources)?.headers, &layout);
    contents.auxv = &vector;
    Ok(Prepared {
        stack: contents.build(layout.stack_top),
        entry,
        name,
        is_by_linux,
        window_start: conditions.window_start,
        layout,
        sources,
    })
}

/// Returns how large the stack may become: as Linux has it for a program with rights of its own, not as large as
/// the caller likes (`begin_new_exec`).
fn stack_limit(inheritance: &Inheritance) -> u64 {
    const OF_SECURE: u64 = 8 << 20;
    let limit = inheritance.limits[STACK][0];
    if inherited::is_secure() {
        limit.min(OF_SECURE)
    } else {
        limit
    }
}

/// Returns the program's file with its arguments, and the path by which it is executed.
fn find_program(
    opened: Option<Opened>,
    argv: &[OsString],
    inheritance: &Inheritance,
) -> Result<(script::Program, CString), ExecError> {
    let texts = argv.iter().map(|text| c_string(text));
    let texts = texts.collect::<Result<_, _>>()?;
    if let Some(Opened { file, path }) = opened {
        // Linux has followed the scripts, and has put their arguments in order.
        let program = script::Program {
            file,
            path: Path::new(OsStr::from_bytes(path.to_bytes())).to_owned(),
            argv: texts,
        };
        return Ok((program, path));
    }
    let name = argv.first().ok_or(Errno::ENOENT)?;
    let path = find::find(name, &inheritance.environment)?;
    let program = script::resolve(&path, texts)?;
    if by_linux::has_rights(&program.file) {
        return Err(ExecError::for_linux());
    }
    Ok((program, c_string(path.as_os_str())?))
}

fn c_string(text: &OsStr) -> Result<CString, ExecError> {
    CString::new(text.as_bytes()).map_err(|_| Errno::EINVAL.into())
}

fn headers_of(sources: &[Source]) -> Result<&Source, ExecError> {
    sources.first().ok_or(Errno::ENOEXEC.into())
}

fn lay_out(sources: &[Source], conditions: &Conditions) -> Result<Layout, ExecError> {
    let interpreter = sources.get(1).map(|source| &source.headers);
    layout::choose(&headers_of(sources)?.headers, interpreter, conditions)
}

/// Returns the address of the first instruction. It is the interpreter's, if there is one.
fn entry(sources: &[Source], layout: &Layout) -> u64 {
    let placed = layout.interpreter.as_ref().unwrap_or(&layout.program);
    sources
        .last()
        .map_or(0, |source| source.headers.entry.wrapping_add(placed.bias))
}

/// Reads the headers of the program and, if it has one, of its interpreter.
fn read_sources(file: File) -> Result<Vec<Source>, ExecError> {
    let headers = elf::read(&file)?;
    let interpreter = headers
        .interpreter
        .as_deref()
        .map(read_interpreter)
        .transpose()?;
    let mut sources = vec![Source { file, headers }];
    sources.extend(interpreter);
    Ok(sources)
}

fn read_interpreter(path: &Path) -> Result<Source, ExecError> {
    let name = path.display();
    let with_name = |error: ExecError| ExecError::new(error.errno, format!("interpreter {name}"));
    let file = find::open(path).map_err(with_name)?;
    let headers = elf::read(&file).map_err(|error| {
        ExecError::new(
            Errno::ELIBBAD,
            format!("interpreter {name}: {}", error.detail),
        )
    })?;
    Ok(Source { file, headers })
}

/// Returns the process's name: the last part of its path, at most 15 bytes.
///
/// One that was executed by descriptor is called after its file, `exe`. Linux does that, too, but it takes
/// mcexec's name.
fn process_name(path: &CString, file: &File) -> Result<CString, ExecError> {
    let last = |path: &[u8]| {
        let last = path.rsplit(|byte| *byte == b'/').next();
        last.unwrap_or_default().to_owned()
    };
    let mut name = last(path.to_bytes());
    let is_by_path = prctl::get_name().is_ok_and(|now| now.to_bytes() == name);
    if path.to_bytes().starts_with(b"/dev/fd/") && !is_by_path {
        // The thread may have a table of descriptors of its own.
        let link = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
        if let Ok(link) = fs::read_link(link) {
            name = last(link.as_os_str().as_bytes());
        }
        if let Some(bytes) = name.strip_suffix(b" (deleted)") {
            name = bytes.to_owned();
        }
    }
    name.truncate(15);
    c_string(OsStr::from_bytes(&name))
}

/// Returns the first address of the window. Linux maps nothing below `vm.mmap_min_addr`.
fn window_start() -> u64 {
    let text = proc_file::read_text("/proc/sys/vm/mmap_min_addr");
    let lowest: u64 = text.trim().parse().unwrap_or(0);
    page_up(lowest.max(WINDOW_MIN))
}
