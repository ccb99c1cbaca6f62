// SPDX-License-Identifier: GPL-2.0
//! Questions to the co-kernel, and whole answers.

use ihk_ikc::view::{area, what, AreaView, CpuView, MachineView, ProcessView, RunView, ThreadView};
use nix::errno::Errno;

use crate::device;

/// Most records of one kind that are gathered; far more than there can be.
const MOST_RECORDS: usize = 1 << 20;

/// Asks about process `pid` as a whole. Here and below, 0 is the own one.
///
/// # Errors
///
/// `ESRCH` if it is no program of the co-kernel. Others mean that the co-kernel is gone.
pub(crate) fn process(pid: i32) -> Result<ProcessView, Errno> {
    record(
        &device::query(pid, what::PROCESS, 0)?,
        ProcessView::from_words,
    )
}

/// Asks about the co-kernel.
///
/// # Errors
///
/// The co-kernel is gone.
pub(crate) fn machine() -> Result<MachineView, Errno> {
    record(
        &device::query(0, what::MACHINE, 0)?,
        MachineView::from_words,
    )
}

/// Asks for the areas of a process. Areas that the co-kernel told in parts are put together again.
///
/// # Errors
///
/// The errors are those of [`process`].
pub(crate) fn areas(pid: i32) -> Result<Vec<AreaView>, Errno> {
    let parts = records(pid, what::AREAS, AreaView::from_words, |part| part.end)?;
    let mut areas: Vec<AreaView> = Vec::with_capacity(parts.len());
    for part in parts {
        match areas.last_mut() {
            Some(last) if last.flags & area::CONTINUES != 0 && last.end == part.start => {
                last.end = part.end;
                last.resident_bytes += part.resident_bytes;
                last.giant_bytes += part.giant_bytes;
                last.flags = part.flags;
            }
            _ => areas.push(part),
        }
    }
    Ok(areas)
}

/// Asks for the runs of memory that are there in a process.
///
/// # Errors
///
/// The errors are those of [`process`].
pub(crate) fn runs(pid: i32) -> Result<Vec<RunView>, Errno> {
    records(pid, what::RUNS, RunView::from_words, |run| run.end)
}

/// Asks for the threads of a process.
///
/// # Errors
///
/// The errors are those of [`process`].
pub(crate) fn threads(pid: i32) -> Result<Vec<ThreadView>, Errno> {
    records(pid, what::THREADS, ThreadView::from_words, |thread| {
        thread.slot + 1
    })
}

/// Asks for the CPUs of the co-kernel.
///
/// # Errors
///
/// The co-kernel is gone.
pub(crate) fn cpus() -> Result<Vec<CpuView>, Errno> {
    let mut count = 0;
    records(0, what::CPUS, CpuView::from_words, |_| {
        count += 1;
        count
    })
}

fn record<T, const N: usize>(words: &[u64], read: impl Fn(&[u64; N]) -> T) -> Result<T, Errno> {
    let words = words.try_into().map_err(|_| Errno::EPROTO)?;
    Ok(read(words))
}

/// Asks for all records, until there are no more. `behind` says which number comes after a record.
fn records<T, const N: usize>(
    pid: i32,
    what: u32,
    read: impl Fn(&[u64; N]) -> T,
    mut behind: impl FnMut(&T) -> u64,
) -> Result<Vec<T>, Errno> {
    let mut records = Vec::new();
    let mut from = 0;
    while records.len() < MOST_RECORDS {
        let words = device::query(pid, what, from)?;
        let before = records.len();
        for chunk in words.chunks_exact(N) {
            let record = read(chunk.try_into().map_err(|_| Errno::EPROTO)?);
            from = behind(&record);
            records.push(record);
        }
        if records.len() == before {
            break;
        }
    }
    Ok(records)
}
