// SPDX-License-Identifier: GPL-2.0
//! Brings a prepared program to the co-kernel, up to its first instruction.

use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use ihk_ikc::process::{prot, range_kind, ImageRange, ProcessImage, MAX_IMAGE_RANGES};
use ihk_ikc::uapi::CreateProcess;
use ihk_ikc::ABI_VERSION;
use nix::errno::Errno;
use nix::sys::prctl;

use super::cli::Run;
use super::prepare::{prepare, Inheritance, Opened, Prepared, Source};
use super::{by_linux, command_line};
use crate::delegate::worker::FUNCTIONS;
use crate::delegate::{transport, Program};
use crate::error::{ExecError, StartError};
use crate::image::layout::Placed;
use crate::procfs::{files, sysfs};
use crate::signals::{interrupt, raw, worker_mask};
use crate::window;
use crate::{control, device};

/// The signal by which Linux ends what it cannot load any more.
const SIGSEGV: u64 = nix::libc::SIGSEGV as u64;

/// The number of times that the creation of a process is tried while it still has a program.
const BUSY_TRIES: u32 = 200;
/// The pause between two of these tries.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// Starts the program. Returns what its worker needs to know.
///
/// # Errors
///
/// It was not started.
pub(crate) fn launch(
    run: &Run,
    opened: Option<Opened>,
    inheritance: &Inheritance,
) -> Result<Program, StartError> {
    let has_gate = opened.is_some();
    let shown = shown(run);
    let prepared = match prepare(opened, &run.argv, inheritance) {
        Err(error) if !has_gate && by_linux::may_know(&error) => {
            Err(by_linux::execute(run, inheritance, error)?)
        }
        prepared => prepared,
    };
    let prepared = match prepared {
        // Behind Linux's point of no return there is nobody to tell, and the process dies of this.
        Err(error) if has_gate && error.errno != Errno::EMFILE => raw::die(SIGSEGV),
        prepared => prepared.map_err(|error| error.of_program(&shown))?,
    };
    if !has_gate {
        device::open(run.os)?;
    }
    let program = create(run, inheritance, &prepared)?;
    load(&prepared, &program).map_err(|error| error.of_program(&shown))?;
    // The name of the process matters to people only.
    let _ = prctl::set_name(&prepared.name);
    command_line::publish(&prepared.stack, code_of(&prepared.layout.program));
    sysfs::set_instance(run.os);
    transport::begin(run.transport, program.window)
        .map_err(|errno| StartError::cokernel("option --way", errno.desc()))?;
    interrupt::forget_control(Some(inheritance.blocked_signals));
    worker_mask::begin(&program.slots[0], inheritance.blocked_signals);
    control::spawn(run.os, program.slots)?;
    let (entry, pointer) = (prepared.entry, prepared.stack.pointer);
    // The program's first open() gets the lowest number: nothing of ours may be open.
    drop(prepared);
    device::start(entry, pointer)
        .map_err(|errno| StartError::cokernel(format!("os {}", run.os), errno.desc()))?;
    Ok(program)
}

/// Returns the first executable address of the program, and one past the last.
fn code_of(placed: &Placed) -> (u64, u64) {
    let code = || {
        placed
            .ranges
            .iter()
            .filter(|range| range.prot & prot::EXEC != 0)
    };
    let start = code().map(|range| range.start).min().unwrap_or(0);
    let end = code().map(|range| range.start + range.bytes).max();
    (start, end.unwrap_or(0))
}

/// Creates the process in the co-kernel and maps its window and slots.
fn create(
    run: &Run,
    inheritance: &Inheritance,
    prepared: &Prepared,
) -> Result<Program, StartError> {
    let what = format!("os {}", run.os);
    let image = describe(run, inheritance, prepared);
    let mut request = CreateProcess { image, slots: 0 };
    if let (false, Some(program)) = (prepared.is_by_linux, prepared.sources.first()) {
        let named = device::set_executable(&program.file);
        named.map_err(|errno| ExecError::from(errno).of_program(shown(run)))?;
    }
    let slots = create_when_free(&mut request).map_err(|errno| create_error(run, errno))?;
    let (window, slots) = window::mapped(prepared.window_start, slots)
        .map_err(|errno| StartError::cokernel(what, errno.desc()))?;
    Ok(Program {
        os: run.os,
        window,
        slots,
        vdso: prepared.layout.vdso,
        functions: FUNCTIONS,
    })
}

/// Creates the process. After an exec it is busy for a moment, until the program before has gone.
fn create_when_free(request: &mut CreateProcess) -> Result<u64, Errno> {
    for _ in 0..BUSY_TRIES {
        match device::create(request) {
            Err(Errno::EBUSY) => thread::sleep(BUSY_PAUSE),
            other => return other,
        }
    }
    device::create(request)
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
        (errno, _) => StartError::cokernel(what, device::reason(errno)),
    }
}

/// Returns the program's name for error lines.
fn shown(run: &Run) -> String {
    match run.argv.first() {
        Some(name) if !name.is_empty() => name.display().to_string(),
        _ => "''".to_owned(),
    }
}

/// Describes the program for mcctrl and the co-kernel.
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
        scheduling: 0,
        reserved: 0,
        ranges,
    }
}

/// Fills the created process: files, stack, and the rights that delegated calls have.
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
        device::bind_file(
            source.file.as_raw_fd(),
            part.offset,
            part.address,
            part.bytes,
            false,
        )
        .map_err(|errno| ExecError::new(errno, "cannot be loaded"))?;
        files::note(
            source.file.as_raw_fd(),
            part.offset,
            part.address,
            part.bytes,
        );
    }
    Ok(())
}
