// SPDX-License-Identifier: GPL-2.0
//! Answers Linux's questions about processes and about this kernel: records for `/proc` views.
//!
//! An answer is written into one page, which is Linux's to read until it asks again. Work for one
//! answer is bounded, because it is done with interrupts off.

use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use cokernel_logic::vma::{Area, Attributes, Kind, Marks, Range};
use ihk_ikc::boot::CpuEntry;
use ihk_ikc::view::{
    area, thread_state, what, AreaView, CpuView, MachineView, ProcessView, RunView, ThreadView,
    VIEW_WORDS,
};
use spin::Once;
use x86_64::PhysAddr;

use crate::addr::{count_of, USER_END};
use crate::arch::pte::PageSize;
use crate::arch::{self, time};
use crate::aspace::space::Inner;
use crate::errno::Errno;
use crate::frames::owned::OwnedRun;
use crate::frames::{allocator, table};
use crate::ikc;
use crate::mm::load;
use crate::params::Params;
use crate::task::process::Process;
use crate::task::sched;
use crate::task::thread::{State, Thread};

/// Pages looked at for one answer.
const MOST_PAGES: usize = 1024;

static PAGE: Once<OwnedRun> = Once::new();
static CPUS: Once<&'static [CpuEntry]> = Once::new();

/// Sets a page aside for answers. The boot CPU, once.
pub fn init(params: Params) {
    PAGE.call_once(|| allocator::alloc_run(1).expect("no frame for answers"));
    CPUS.call_once(|| &params.get().cpus[..params.cpu_count as usize]);
}

/// The answer page while it is being written.
struct Records {
    page: &'static OwnedRun,
    words: usize,
}

impl Records {
    /// Adds a record; `false` if there is no room.
    fn add(&mut self, record: &[u64]) -> bool {
        let page = self.page.words();
        let Some(places) = page.get(self.words..self.words + record.len()) else {
            return false;
        };
        for (place, word) in places.iter().zip(record) {
            place.store(*word, Ordering::Relaxed);
        }
        self.words += record.len();
        true
    }

    /// Whether a record of `words` words fits.
    const fn has_room(&self, words: usize) -> bool {
        self.words + words <= VIEW_WORDS
    }
}

/// Writes the records that question `kind` asks for; where they lie and how many words they are.
///
/// # Errors
///
/// `EINVAL` for an unknown question, `ESRCH` if it is about a process and there is none.
pub fn answer(process: Option<&Process>, kind: u32, from: u64) -> Result<(PhysAddr, u32), Errno> {
    let page = PAGE.get().ok_or(Errno::EAGAIN)?;
    let mut records = Records { page, words: 0 };
    let process = process.ok_or(Errno::ESRCH);
    match kind {
        what::PROCESS => tell_process(&mut records, process?),
        what::AREAS => tell_areas(&mut records, process?, from),
        what::THREADS => tell_threads(&mut records, process?, from),
        what::MACHINE => tell_machine(&mut records),
        what::CPUS => tell_cpus(&mut records, from),
        what::RUNS => tell_runs(&mut records, process?, from),
        what::REGISTERS => tell_registers(&mut records, process?, from),
        _ => return Err(Errno::EINVAL),
    }
    Ok((page.start(), count_of(records.words)))
}

fn tell_process(records: &mut Records, process: &Process) {
    let (peak_bytes, break_start, break_now) = process
        .space
        .with(|inner| (inner.table.peak_bytes(), inner.break_start, inner.break_now));
    let view = ProcessView {
        threads: process.threads().len() as u64,
        cpu_ns: process.cpu_ns(),
        peak_bytes,
        break_start,
        break_now,
        pending: process.signals.waiting().0,
        ignored: process.signals.ignored().0,
        caught: process.signals.caught().0,
    };
    records.add(&view.words());
}

fn tell_areas(records: &mut Records, process: &Process, from: u64) {
    let mut pages_left = MOST_PAGES;
    process.space.with(|inner| {
        let mut areas = inner.areas.parts_from(from).peekable();
        while let Some(area) = areas.next() {
            if !records.has_room(AreaView::WORDS) || pages_left == 0 {
                return;
            }
            let mut view = look_at(inner, &area, &mut pages_left);
            if areas.peek().is_some_and(|next| continues(&area, next)) {
                view.flags |= area::CONTINUES;
            }
            records.add(&view.words());
        }
    });
}

/// Whether `next` is part of the same area as Linux has them, where guard pages are no areas of their own.
fn continues(area: &Area, next: &Area) -> bool {
    let unguarded = |area: &Area| Attributes {
        marks: area.attributes.marks.with(Marks::GUARDED, false),
        ..area.attributes
    };
    area.range.end == next.range.start
        && area.attributes != next.attributes
        && unguarded(area) == unguarded(next)
}

/// The record of `area`, or of its beginning if looking at it would take too long.
fn look_at(inner: &Inner, area: &Area, pages_left: &mut usize) -> AreaView {
    let Range { start, end } = area.range;
    let mut view = AreaView {
        start,
        end,
        flags: flags_of(area),
        resident_bytes: 0,
        giant_bytes: 0,
    };
    let mut at = start;
    while let Some((address, mapping)) = inner.table.next_mapping(at, end) {
        let behind = address + mapping.size.bytes();
        let bytes = behind.min(end) - address.max(start);
        view.resident_bytes += bytes;
        if mapping.size == PageSize::Giant {
            view.giant_bytes += bytes;
        }
        at = behind;
        *pages_left -= 1;
        if *pages_left == 0 && at < end {
            view.end = at;
            view.flags |= area::CONTINUES;
            break;
        }
    }
    view
}

fn tell_runs(records: &mut Records, process: &Process, from: u64) {
    process.space.with(|inner| {
        let mut run: Option<RunView> = None;
        let mut at = from;
        for _ in 0..MOST_PAGES {
            let Some((address, mapping)) = inner.table.next_mapping(at, USER_END) else {
                break;
            };
            let (start, end) = (address.max(from), address + mapping.size.bytes());
            at = end;
            run = match run {
                Some(run) if run.end == start => Some(RunView { end, ..run }),
                Some(run) if !records.add(&run.words()) => return,
                _ => Some(RunView { start, end }),
            };
        }
        if let Some(run) = run {
            records.add(&run.words());
        }
    });
}

fn tell_registers(records: &mut Records, process: &Process, from: u64) {
    let index = usize::try_from(from).unwrap_or(usize::MAX);
    process.core_registers.with(index, |registers| {
        let mut words = Vec::with_capacity(VIEW_WORDS);
        words.push(u64::from(registers.tid.unsigned_abs()));
        words.extend(registers.frame.words());
        words.extend(registers.bases);
        words.extend(&registers.fpu);
        records.add(&words);
    });
}

fn flags_of(area: &Area) -> u64 {
    let attributes = &area.attributes;
    let protection = attributes.protection;
    let kind = match attributes.kind {
        Kind::Segment => area::SEGMENT,
        Kind::Anonymous | Kind::ThreadStack => area::ANONYMOUS,
        Kind::File => area::FILE,
        Kind::MappedFile | Kind::SystemV => area::MIRRORED,
        Kind::Stack => area::STACK,
        Kind::Heap => area::HEAP,
        Kind::Special => area::SPECIAL,
    };
    let bit = |set: bool, bit: u64| if set { bit } else { 0 };
    bit(protection.read, 1)
        | bit(protection.write, 2)
        | bit(protection.exec, 4)
        | bit(
            attributes.shared || attributes.kind.is_mirrored(),
            area::SHARED,
        )
        | bit(attributes.locked, area::LOCKED)
        | bit(
            attributes.marks.has(Marks::OMITTED_FROM_CORE),
            area::OMITTED_FROM_CORE,
        )
        | kind << area::KIND_SHIFT
}

fn tell_threads(records: &mut Records, process: &Process, from: u64) {
    let mut threads = process.threads();
    threads.retain(|thread| u64::from(thread.slot) >= from);
    threads.sort_unstable_by_key(|thread| thread.slot);
    for thread in threads {
        let view = ThreadView {
            slot: thread.slot.into(),
            tid: u64::from(thread.data.tid.unsigned_abs()),
            state: state_of(process, &thread),
            cpu: thread.cpu().into(),
            cpu_ns: thread.data.clock.ns(),
            pending: thread.data.signals.waiting().0,
            blocked: thread.data.signals.mask().0,
        };
        if !records.add(&view.words()) {
            return;
        }
    }
}

fn state_of(process: &Process, thread: &Thread) -> u64 {
    match thread.state() {
        _ if process.lifetime.is_frozen() => thread_state::STOPPED,
        State::Blocked => thread_state::SLEEPING,
        _ => thread_state::RUNNING,
    }
}

fn tell_machine(records: &mut Records) {
    let usage = &ikc::control().usage;
    let frames = table::stats();
    let bytes = |frames: u64| frames * ihk_ikc::layout::PAGE_BYTES;
    let view = MachineView {
        cpus: arch::cpu_count().into(),
        total_bytes: bytes(frames.total),
        free_bytes: bytes(usage.frames_free.load(Ordering::Relaxed)),
        cached_bytes: bytes(table::reclaimable()),
        pages_read: load::pages_read(),
        uptime_ns: time::uptime_ns(),
        processes: usage.processes.load(Ordering::Relaxed),
        threads: usage.threads.load(Ordering::Relaxed),
    };
    records.add(&view.words());
}

fn tell_cpus(records: &mut Records, from: u64) {
    let cpus = CPUS.get().copied().unwrap_or(&[]);
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    for (index, cpu) in (0..).zip(cpus).skip(from) {
        let view = CpuView {
            linux_cpu: cpu.linux_cpu.into(),
            apic_id: cpu.apic_id.into(),
            node: cpu.node.into(),
            busy_ns: sched::busy_ns(index),
        };
        if !records.add(&view.words()) {
            return;
        }
    }
}
