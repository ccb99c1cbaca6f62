// SPDX-License-Identifier: GPL-2.0
//! Page-fault policy: what the program gets when it, or Linux on its behalf, touches an address.

use alloc::sync::Arc;

use cokernel_logic::signals::number::{SIGBUS, SIGSEGV};
use cokernel_logic::vma::{Area, Kind, Marks};

use crate::arch::pte::Mapping;
use crate::arch::{relax, tlb};
use crate::aspace::space::{AddressSpace, Inner};
use crate::aspace::{cow, populate, stack_growth};
use crate::errno::Errno;
use crate::ikc;
use crate::mm::file_mapping::{self, Wanted};
use crate::mm::{mirror, oom};
use crate::task::process::Process;
use crate::task::{current, sched};

pub use cokernel_logic::signal_frame::SEGV_PKUERR;

/// `si_code`: nothing is mapped there.
const SEGV_MAPERR: i32 = 1;
/// `si_code`: no right to do that.
const SEGV_ACCERR: i32 = 2;
/// `si_code`: there should be memory, but there is none, or a file is shorter than its mapping.
const BUS_ADRERR: i32 = 2;

/// The access that faulted.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// To write.
    pub write: bool,
    /// To execute.
    pub exec: bool,
}

/// The outcome of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultOutcome {
    /// Try again.
    Resolved,
    /// The thread gets a signal.
    Signal {
        /// Its number.
        signo: u32,
        /// Its `si_code`.
        code: i32,
        /// Its `si_addr`.
        addr: u64,
    },
}

/// The current thread, in user mode or in the kernel on user memory, faulted at `addr`.
pub fn handle_user(addr: u64, access: Access) -> FaultOutcome {
    let signal = |signo, code| FaultOutcome::Signal { signo, code, addr };
    let Some(process) = current::try_process() else {
        return signal(SIGSEGV, SEGV_MAPERR);
    };
    let resolved = match resolve(&process.space, addr, access) {
        Err(FaultError::Mirrored) => {
            mirror::fetch(process, addr, access.write).map_err(|_| FaultError::Mirrored)
        }
        Err(FaultError::InFile(wanted)) => fetch(process, &wanted, addr, access),
        other => other,
    };
    match resolved {
        // Another thread is at it, and what it makes is what counts: it faults again.
        Err(error) if error.may_be_passing() && await_layout(process) => FaultOutcome::Resolved,
        Ok(()) => {
            tlb::flush_page(addr);
            FaultOutcome::Resolved
        }
        Err(FaultError::Unmapped) => signal(SIGSEGV, SEGV_MAPERR),
        Err(FaultError::Forbidden) => signal(SIGSEGV, SEGV_ACCERR),
        Err(FaultError::Mirrored | FaultError::PastEnd | FaultError::InFile(_)) => {
            signal(SIGBUS, BUS_ADRERR)
        }
        Err(FaultError::OutOfMemory) if !process.is_dying() && oom::relieve(process, addr) => {
            // It faults again, until there is memory or it is killed.
            ikc::poll();
            relax();
            sched::let_all_run();
            FaultOutcome::Resolved
        }
        Err(FaultError::OutOfMemory) => signal(SIGBUS, BUS_ADRERR),
    }
}

/// Waits for a thread of `process` that changes what lies where; whether there was one. Who holds a lock
/// must not wait.
fn await_layout(process: &Process) -> bool {
    !mirror::must_not_wait() && !process.is_dying() && process.space.await_layout()
}

fn fetch(process: &Process, wanted: &Wanted, addr: u64, access: Access) -> Result<(), FaultError> {
    match file_mapping::fetch(process, wanted) {
        Ok(()) => Ok(()),
        Err(Errno::ENOMEM) => Err(FaultError::OutOfMemory),
        // Another thread may have mapped something else there meanwhile.
        Err(_) => match resolve(&process.space, addr, access) {
            Err(FaultError::InFile(again)) if again.is_same_page(wanted) => {
                Err(FaultError::PastEnd)
            }
            _ => Ok(()),
        },
    }
}

/// The protection key that kept the program from `addr`, if that is what a signal says; else 0.
pub fn key_of(process: &Process, signal: u32, code: i32, addr: u64) -> u64 {
    if (signal, code) != (SIGSEGV, SEGV_PKUERR) {
        return 0;
    }
    let area = process.space.with(|inner| inner.areas.find(addr));
    area.map_or(0, |area| area.attributes.protection.key.into())
}

/// Linux found no usable mapping at `addr`; after `Ok` it looks again, and perhaps asks again. If that
/// names pages of a file, Linux loads them before.
///
/// # Errors
///
/// `EFAULT`: there is none to be had; `ENOMEM`.
pub fn handle_linux(
    process: &Arc<Process>,
    addr: u64,
    write: bool,
) -> Result<Option<Wanted>, Errno> {
    match resolve(&process.space, addr, Access { write, exec: false }) {
        Ok(()) => Ok(None),
        Err(FaultError::InFile(wanted)) => Ok(Some(wanted)),
        Err(FaultError::OutOfMemory) if !process.is_dying() && oom::relieve(process, addr) => {
            Ok(None)
        }
        Err(error) => Err(errno_of(&error)),
    }
}

/// Makes a page be there, and be writable if `write`, for the current process. May wait for Linux.
///
/// # Errors
///
/// `EFAULT`: the program may not touch it so; `ENOMEM`.
pub fn bring_in(process: &Process, addr: u64, write: bool) -> Result<(), Errno> {
    loop {
        // Each time around Linux has loaded the page, or will end the loop.
        match resolve(&process.space, addr, Access { write, exec: false }) {
            Err(FaultError::InFile(wanted)) => file_mapping::fetch(process, &wanted)?,
            result => return result.map_err(|error| errno_of(&error)),
        }
    }
}

const fn errno_of(error: &FaultError) -> Errno {
    match error {
        // Of what is mirrored Linux has a mapping of its own, which does not lead here.
        FaultError::Unmapped
        | FaultError::Forbidden
        | FaultError::Mirrored
        | FaultError::InFile(_)
        | FaultError::PastEnd => Errno::EFAULT,
        FaultError::OutOfMemory => Errno::ENOMEM,
    }
}

enum FaultError {
    Unmapped,
    Forbidden,
    OutOfMemory,
    /// Only Linux has the page.
    Mirrored,
    /// The file has no such page.
    PastEnd,
    /// Linux must load these pages of a file.
    InFile(Wanted),
}

impl FaultError {
    /// Whether it may come from a change that is under way: areas are replaced in steps.
    const fn may_be_passing(&self) -> bool {
        !matches!(self, Self::OutOfMemory)
    }
}

fn resolve(space: &AddressSpace, addr: u64, access: Access) -> Result<(), FaultError> {
    space.with(|inner| resolve_locked(space, inner, addr, access))
}

fn resolve_locked(
    space: &AddressSpace,
    inner: &mut Inner,
    addr: u64,
    access: Access,
) -> Result<(), FaultError> {
    let area = inner
        .areas
        .find(addr)
        .or_else(|| stack_growth::down_to(inner, addr))
        .ok_or(FaultError::Unmapped)?;
    if area.attributes.marks.has(Marks::GUARDED) {
        return Err(FaultError::Unmapped);
    }
    let rights = area.attributes.protection;
    let allowed =
        rights.is_accessible() && (rights.write || !access.write) && (rights.exec || !access.exec);
    if !allowed {
        return Err(FaultError::Forbidden);
    }
    match inner.table.lookup(addr) {
        // Another thread was faster, or this CPU's translation is old.
        Some(mapping) if permits(&mapping, access) => Ok(()),
        _ if mirror::is_mirrored(&area) => Err(FaultError::Mirrored),
        Some(_) if access.write => {
            cow::make_writable(inner, addr, rights, current::policy_in(space))
                .map_err(|_| FaultError::OutOfMemory)
        }
        // The table lags behind the areas only while the layout changes.
        Some(_) => Err(FaultError::Forbidden),
        None if area.attributes.kind == Kind::Special => Err(FaultError::Unmapped),
        None if area.attributes.source != 0 => resolve_in_file(space, inner, addr, access, &area),
        None if area.attributes.kind == Kind::File => Err(FaultError::PastEnd),
        None => populate::demand(
            inner,
            addr,
            area.range,
            &area.attributes,
            current::policy_in(space),
        )
        .map_err(|_| FaultError::OutOfMemory),
    }
}

/// A page of a file is not there.
fn resolve_in_file(
    space: &AddressSpace,
    inner: &mut Inner,
    addr: u64,
    access: Access,
    area: &Area,
) -> Result<(), FaultError> {
    let source = inner.source_of(&area.attributes);
    let source = source.ok_or(FaultError::PastEnd)?;
    file_mapping::map_kept(inner, addr, area, &source).map_err(FaultError::InFile)?;
    if !access.write {
        return Ok(());
    }
    let rights = area.attributes.protection;
    cow::make_writable(inner, addr, rights, current::policy_in(space))
        .map_err(|_| FaultError::OutOfMemory)
}

fn permits(mapping: &Mapping, access: Access) -> bool {
    let flags = &mapping.flags;
    flags.read && (flags.write || !access.write) && (flags.exec || !access.exec)
}
