// SPDX-License-Identifier: GPL-2.0
//! Brings a program to the co-kernel: everything between the command line and the first
//! instruction.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ihk_ikc::layout::{WINDOW_END, WINDOW_MIN};
use ihk_ikc::process::{prot, range_kind, ImageRange, ProcessImage, MAX_IMAGE_RANGES, RLIMITS};
use ihk_ikc::uapi::CreateProcess;
use ihk_ikc::ABI_VERSION;
use nix::errno::Errno;
use nix::sys::prctl;

use crate::auxv;
use crate::cli::Run;
use crate::delegate::Program;
use crate::error::{ExecError, StartError};
use crate::image::elf::{self, Executable};
use crate::image::layout::{self, Conditions, Layout, Placed};
use crate::image::random::{self, Randomness};
use crate::image::stack::{Contents, Stack};
use crate::image::{find, page_up, script, vdso};
use crate::inherited::STACK;
use crate::window::{self, Slots};
use crate::{control, device};

/// What the program inherits.
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

/// A file that is to be loaded.
struct Source {
    file: File,
    headers: Executable,
}

/// All that was found out about the program, before anything was changed.
struct Prepared {
    sources: Vec<Source>,
    exe: CString,
    name: CString,
    layout: Layout,
    stack: Stack,
    entry: u64,
    window_start: u64,
}

/// Starts the program; what its worker needs to know.
///
/// # Errors
///
/// It was not started.
pub(crate) fn start(run: &Run, inheritance: &Inheritance) -> Result<(Program, Slots), StartError> {
    let shown = shown(run);
    let prepared = prepare(run, inheritance).map_err(|error| error.of_program(&shown))?;
    device::open(run.os)?;
    let (program, slots) = create(run, inheritance, &prepared)?;
    load(&prepared, &program).map_err(|error| error.of_program(&shown))?;
    let _ = prctl::set_name(&prepared.name);
    control::spawn(run.os)?;
    let (entry, pointer) = (prepared.entry, prepared.stack.pointer);
    // The program's first open() gets the lowest number: nothing of ours may be open.
    drop(prepared);
    device::start(entry, pointer)
        .map_err(|errno| StartError::cokernel(format!("os {}", run.os), errno.desc()))?;
    Ok((program, slots))
}

/// Reads the program and chooses its addresses.
fn prepare(run: &Run, inheritance: &Inheritance) -> Result<Prepared, ExecError> {
    let name = run.argv.first().ok_or(Errno::ENOENT)?;
    let path = find::find(name, &inheritance.environment)?;
    let argv = run
        .argv
        .iter()
        .map(|text| c_string(text))
        .collect::<Result<_, _>>()?;
    let program = script::resolve(&path, argv)?;
    let exe = real_path(&program.file, &program.path)?;
    let headers = elf::read(&program.file)?;
    let interpreter = headers
        .interpreter
        .as_deref()
        .map(read_interpreter)
        .transpose()?;
    let mut sources = vec![Source {
        file: program.file,
        headers,
    }];
    sources.extend(interpreter);
    let randomness = Randomness::of_this_process();
    let path = c_string(path.as_os_str())?;
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
    contents.check_size(inheritance.limits[STACK][0])?;
    let conditions = Conditions {
        window_start: window_start(),
        stack_limit: inheritance.limits[STACK][0],
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
        exe,
        name: process_name(&path)?,
        window_start: conditions.window_start,
        layout,
        sources,
    })
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

/// First instruction: the interpreter's, if there is one.
fn entry(sources: &[Source], layout: &Layout) -> u64 {
    let placed = layout.interpreter.as_ref().unwrap_or(&layout.program);
    sources
        .last()
        .map_or(0, |source| source.headers.entry.wrapping_add(placed.bias))
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

/// What `/proc/self/exe` of the program is: the file's path without links.
fn real_path(file: &File, path: &Path) -> Result<CString, ExecError> {
    let link = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let path = link
        .or_else(|_| fs::canonicalize(path))
        .unwrap_or_else(|_| path.to_owned());
    c_string(path.as_os_str())
}

/// The process's name: the last part of its path, at most 15 bytes.
fn process_name(path: &CString) -> Result<CString, ExecError> {
    let last = path
        .as_bytes()
        .rsplit(|byte| *byte == b'/')
        .next()
        .unwrap_or_default();
    c_string(OsStr::from_bytes(last.get(..15).unwrap_or(last)))
}

/// Linux maps nothing below `vm.mmap_min_addr`.
fn window_start() -> u64 {
    let text = fs::read_to_string("/proc/sys/vm/mmap_min_addr");
    let lowest: u64 = text
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    page_up(lowest.max(WINDOW_MIN))
}

/// Creates the process in the co-kernel and maps its window and slots.
fn create(
    run: &Run,
    inheritance: &Inheritance,
    prepared: &Prepared,
) -> Result<(Program, Slots), StartError> {
    let what = format!("os {}", run.os);
    let image = describe(run, inheritance, prepared);
    let mut request = CreateProcess {
        image,
        window_fd: -1,
        reserved: 0,
    };
    let fd = device::create(&mut request).map_err(|errno| create_error(run, errno))?;
    let (window, slots) = window::map(&fd, prepared.window_start).map_err(|errno| {
        StartError::cokernel(what, format!("cannot map the window: {}", errno.desc()))
    })?;
    Ok((
        Program {
            os: run.os,
            path: prepared.exe.clone(),
            window,
        },
        slots,
    ))
}

fn create_error(run: &Run, errno: Errno) -> StartError {
    let what = format!("os {}", run.os);
    match (errno, run.cpu) {
        // The image is well-formed, so it is the CPU that is not.
        (Errno::EINVAL, Some(cpu)) => StartError::cokernel(
            format!("cpu {cpu}"),
            format!("no such CPU in os {}", run.os),
        ),
        (Errno::ENOMEM, _) => {
            ExecError::new(errno, "too large for the partition").of_program(shown(run))
        }
        (errno, _) => StartError::cokernel(what, create_reason(errno)),
    }
}

fn create_reason(errno: Errno) -> &'static str {
    match errno {
        Errno::ESRCH | Errno::ENODEV | Errno::ENOTTY | Errno::ESHUTDOWN => {
            "no co-kernel runs there (see mcreboot)"
        }
        Errno::EPROTO => "interface versions of mcexec and mcctrl.ko differ",
        _ => errno.desc(),
    }
}

/// The program's name as it is told in error lines.
fn shown(run: &Run) -> String {
    match run.argv.first() {
        Some(name) if !name.is_empty() => name.display().to_string(),
        _ => "''".to_owned(),
    }
}

/// The program as mcctrl and the co-kernel are told of it.
fn describe(run: &Run, inheritance: &Inheritance, prepared: &Prepared) -> ProcessImage {
    let layout = &prepared.layout;
    let mut ranges = [ImageRange::default(); MAX_IMAGE_RANGES];
    for (place, range) in ranges.iter_mut().zip(&layout.ranges) {
        *place = *range;
    }
    let mut name = [0; 16];
    for (place, byte) in name.iter_mut().zip(prepared.name.as_bytes()) {
        *place = *byte;
    }
    ProcessImage {
        abi_version: ABI_VERSION,
        range_count: layout.ranges.len().try_into().unwrap_or(0),
        cpu: run.cpu.map_or(-1, u32::cast_signed),
        pid: std::process::id().cast_signed(),
        window_start: prepared.window_start,
        mmap_top: layout.mmap_top,
        vdso: layout.vdso,
        rlimits: inheritance.limits,
        ignored_signals: inheritance.ignored_signals,
        blocked_signals: inheritance.blocked_signals,
        name,
        ranges,
    }
}

/// Fills the created process: files, stack, and the protections delegated calls go by.
fn load(prepared: &Prepared, program: &Program) -> Result<(), ExecError> {
    let layout = &prepared.layout;
    let placed = [Some(&layout.program), layout.interpreter.as_ref()];
    for (source, placed) in prepared.sources.iter().zip(placed.into_iter().flatten()) {
        read_parts(source, placed)?;
    }
    window::write(prepared.stack.pointer, &prepared.stack.bytes)
        .map_err(|errno| ExecError::new(errno, "cannot write the stack"))?;
    let read_only =
        |range: &&ImageRange| range.kind == range_kind::SEGMENT && range.prot & prot::WRITE == 0;
    for range in layout.ranges.iter().filter(read_only) {
        program
            .window
            .protect(range.start, range.bytes, prot::READ)?;
    }
    Ok(())
}

fn read_parts(source: &Source, placed: &Placed) -> Result<(), ExecError> {
    for part in &placed.parts {
        device::populate(
            source.file.as_raw_fd(),
            part.offset,
            part.address,
            part.bytes,
        )
        .map_err(|errno| ExecError::new(errno, "cannot be loaded"))?;
    }
    Ok(())
}
