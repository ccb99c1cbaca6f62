// SPDX-License-Identifier: GPL-2.0
//! A process from what mcexec said of it. Everything is checked again: mcexec is not trusted, and
//! mcctrl's checks are its own.

use alloc::sync::Arc;

use cokernel_logic::signals::SignalSet;
use cokernel_logic::vma::{Attributes, Kind, Protection, Range};
use ihk_ikc::layout::{PAGE_BYTES, WINDOW_MIN};
use ihk_ikc::packet::ProcessHandle;
use ihk_ikc::process::{prot, range_kind, CreateMailbox, ImageRange, ProcessImage};
use ihk_ikc::scheduling::Scheduling;
use ihk_ikc::ABI_VERSION;
use x86_64::PhysAddr;

use crate::arch::pte::Flags;
use crate::aspace::populate;
use crate::aspace::space::AddressSpace;
use crate::errno::Errno;
use crate::frames::watermark;
use crate::mm::proxy_rights;
use crate::task::accounting::Accounting;
use crate::task::current;
use crate::task::process::{self, BarrierKinds, Beginning, Parts, Process};
use crate::task::rlimits::{Limits, AS, STACK};
use crate::task::signal::account::SignalAccount;
use crate::task::signal::proxy::ProxySignals;
use crate::task::signal::ProcessSignals;
use crate::task::slots::Slots;
use crate::{arch, partition};

/// The part of the stack's upper end that is there from the start: what mcexec writes, and a bit more.
const INITIAL_STACK_BYTES: u64 = 128 << 10;
/// Physical addresses are below this on every x86-64 CPU.
const PHYSICAL_END: u64 = 1 << 52;

/// Creates the process `mailbox` describes, on CPU `cpu` unless it wishes another.
///
/// # Errors
///
/// `EINVAL` for anything malformed, `ENOMEM`, `EAGAIN` if there are too many processes.
pub fn create(mailbox: &CreateMailbox, cpu: u32) -> Result<Arc<Process>, Errno> {
    let image = &mailbox.image;
    check(image)?;
    process::enter(|handle| make(handle, mailbox, wished_cpu(image).unwrap_or(cpu)))
}

fn make(handle: ProcessHandle, mailbox: &CreateMailbox, cpu: u32) -> Result<Process, Errno> {
    let image = &mailbox.image;
    let space =
        AddressSpace::new(handle, image.window_start, image.mmap_top).ok_or(Errno::ENOMEM)?;
    fill(&space, mailbox)?;
    let parts = parts(image)?;
    Ok(Process::new(handle, image.pid, cpu, Arc::new(space), parts))
}

fn parts(image: &ProcessImage) -> Result<Parts, Errno> {
    let blocked = SignalSet(image.blocked_signals);
    Ok(Parts {
        revoke_array: watermark::alloc_structure().ok_or(Errno::ENOMEM)?,
        slots: Slots::new().ok_or(Errno::ENOMEM)?,
        signals: ProcessSignals::new(SignalSet(image.ignored_signals)),
        proxy_signals: ProxySignals::new(blocked),
        signal_account: SignalAccount::default(),
        limits: Limits::new(image.rlimits),
        barriers: BarrierKinds::new(0),
        accounting: Accounting::of_program(image.pid),
        beginning: Beginning::of_program(
            blocked.without(SignalSet::UNBLOCKABLE),
            Scheduling::of_word(image.scheduling),
        ),
        release: None,
    })
}

fn wished_cpu(image: &ProcessImage) -> Option<u32> {
    u32::try_from(image.cpu)
        .ok()
        .filter(|&cpu| cpu < arch::cpu_count())
}

/// Whether the image makes sense at all; its ranges are checked where they are mapped.
fn check(image: &ProcessImage) -> Result<(), Errno> {
    let window_ok = image.window_start >= WINDOW_MIN && image.window_start % PAGE_BYTES == 0;
    let top_ok = image.mmap_top % PAGE_BYTES == 0;
    let ranges_ok = image.range_count != 0 && image.range_count as usize <= image.ranges.len();
    let cpu_ok = image.cpu == -1 || wished_cpu(image).is_some();
    let ok = image.abi_version == ABI_VERSION
        && window_ok
        && top_ok
        && ranges_ok
        && cpu_ok
        && image.pid > 0;
    ok.then_some(()).ok_or(Errno::EINVAL)
}

fn fill(space: &AddressSpace, mailbox: &CreateMailbox) -> Result<(), Errno> {
    let image = &mailbox.image;
    space.with(|inner| {
        inner.stack_limit = image.rlimits[STACK][0];
        inner.space_limit = image.rlimits[AS][0];
    });
    if space.window.is_empty() || !space.window.contains(image.mmap_top) {
        return Err(Errno::EINVAL);
    }
    let mut previous_end = 0;
    for range in &image.ranges[..image.range_count as usize] {
        let place = Range::new(range.start, range.bytes).ok_or(Errno::EINVAL)?;
        if place.start < previous_end {
            return Err(Errno::EINVAL);
        }
        previous_end = place.end;
        match range.kind {
            range_kind::SEGMENT => add_segment(space, place, protection(range)?)?,
            range_kind::STACK => add_stack(space, place, protection(range)?)?,
            range_kind::HEAP => add_heap(space, place)?,
            _ => return Err(Errno::EINVAL),
        }
    }
    add_vdso(space, mailbox)
}

fn protection(range: &ImageRange) -> Result<Protection, Errno> {
    if range.prot & !(prot::READ | prot::WRITE | prot::EXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(Protection {
        read: range.prot & prot::READ != 0,
        write: range.prot & prot::WRITE != 0,
        exec: range.prot & prot::EXEC != 0,
        key: 0,
    })
}

/// Program text and data: the file's pages come when mcexec binds the file, the others when the
/// program starts.
fn add_segment(space: &AddressSpace, place: Range, protection: Protection) -> Result<(), Errno> {
    if !space.is_valid(place) {
        return Err(Errno::EINVAL);
    }
    if !watermark::has_room_for(place.bytes()) {
        return Err(Errno::ENOMEM);
    }
    space.with(|inner| inner.add_area(place, Attributes::new(Kind::Segment, protection)))?;
    // mcexec makes these read-only before it starts the program.
    if protection.is_read_only() {
        space.with(|inner| proxy_rights::record(inner, place, true));
    }
    Ok(())
}

fn add_stack(space: &AddressSpace, place: Range, protection: Protection) -> Result<(), Errno> {
    if !space.is_valid(place) {
        return Err(Errno::EINVAL);
    }
    // The rest comes as it grows, as far as the limit allows.
    let start = place
        .end
        .saturating_sub(INITIAL_STACK_BYTES)
        .max(place.start);
    let initial = Range {
        start,
        end: place.end,
    };
    let what = Attributes {
        on_demand: true,
        grows_down: true,
        ..Attributes::new(Kind::Stack, protection)
    };
    space.with(|inner| inner.add_area(initial, what))?;
    populate::populate(space, initial, protection, &current::asker(space))
}

fn add_heap(space: &AddressSpace, place: Range) -> Result<(), Errno> {
    if !place.is_empty() || !space.window.contains(place.start) {
        return Err(Errno::EINVAL);
    }
    space.with(|inner| {
        if inner.break_start != 0 {
            return Err(Errno::EINVAL);
        }
        inner.break_start = place.start;
        inner.break_now = place.start;
        Ok(())
    })
}

/// Linux's own time pages and the code that reads them.
fn add_vdso(space: &AddressSpace, mailbox: &CreateMailbox) -> Result<(), Errno> {
    let (count, data) = (
        mailbox.vdso_page_count as usize,
        mailbox.vvar_page_count as usize,
    );
    let pages = mailbox.vdso_pages.get(..count).ok_or(Errno::EINVAL)?;
    if pages.is_empty() {
        return Ok(());
    }
    let target = mailbox.image.vdso.target;
    let place = Range::new(target, count as u64 * PAGE_BYTES).ok_or(Errno::EINVAL)?;
    if !space.is_valid(place) || data > count {
        return Err(Errno::EINVAL);
    }
    for (index, &page) in pages.iter().enumerate() {
        let start = target + index as u64 * PAGE_BYTES;
        add_vdso_page(
            space,
            Range {
                start,
                end: start + PAGE_BYTES,
            },
            page,
            index >= data,
        )?;
    }
    Ok(())
}

fn add_vdso_page(space: &AddressSpace, place: Range, page: u64, exec: bool) -> Result<(), Errno> {
    let protection = Protection {
        read: true,
        write: false,
        exec,
        key: 0,
    };
    space.with(|inner| {
        inner.add_area(place, Attributes::new(Kind::Special, protection))?;
        if page == 0 {
            return Ok(());
        }
        if page % PAGE_BYTES != 0
            || page >= PHYSICAL_END
            || partition::map().contains(page, PAGE_BYTES)
        {
            return Err(Errno::EINVAL);
        }
        let flags = Flags::user(true, false, exec);
        let mapped = inner
            .table
            .map_foreign(place.start, PhysAddr::new(page), flags);
        mapped.map_err(|_| Errno::ENOMEM)
    })
}
