// SPDX-License-Identifier: GPL-2.0
//! Faults in the window: where a task of Linux touches it, what the co-kernel's page table says is mapped.
//! Hop 7 of a delegated call.
//!
//! F1 get access, F2 mark the frame found by a first walk, F3 walk again and compare,
//! F4 insert, F5 give access back. Any task may fault: workers, kernel threads, debuggers. In a
//! writable area every fault counts as a write, so that a frame the co-kernel shares is never mapped
//! writable. An executable area (only read-only ones are made that, for functions that the program
//! posts) shows nothing but pages that the co-kernel lets the program execute. A page that the
//! co-kernel has not mapped is asked for without access, and without Linux's lock where that is
//! allowed.

use super::block::Block;
use crate::ffi::ihk::Partition;
use crate::ffi::vma::{Fault, Outcome};
use crate::ffi::wait::Until;
use crate::ffi::{errno, task};
use crate::files::load;
use crate::process::proxy::Proxy;
use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES};
use crate::proto::packet::ToCokernel;
use crate::proto::page_table::{walk, Access, Translation};
use crate::proto::slot::{SHARED_PAGES, SLOT_PAGES};
use crate::proto::uapi::SLOTS_OFFSET;
use kernel::prelude::*;

/// The number of times that a fault that must keep its lock asks before it gives up.
const MOST_QUESTIONS: u32 = 3;

/// One look at the page tables.
enum Look {
    /// The fault is over.
    End(Outcome),
    /// The program has no usable page there now.
    Missing,
}

/// Maps the page that faulted, and its neighbours.
pub(super) fn small(proxy: &Proxy, fault: Fault<'_>) -> Outcome {
    if fault.offset() >= SLOTS_OFFSET {
        return map_slots(fault, proxy);
    }
    if fault.offset() != fault.address() {
        return Outcome::NoSuchAddress;
    }
    for _ in 0..MOST_QUESTIONS {
        if let Look::End(outcome) = map_small(&fault, proxy) {
            return outcome;
        }
        if fault.may_unlock() {
            let (address, access) = (fault.address(), access_of(&fault));
            return ask_unlocked(fault, proxy, |proxy| ask(proxy, address, access));
        }
        if fault.must_not_wait() {
            return Outcome::WouldWait;
        }
        if let Err(error) = ask(proxy, fault.address(), access_of(&fault)) {
            return outcome_of(error);
        }
    }
    Outcome::Broken
}

/// Maps 2 MiB at once, if both sides allow it.
pub(super) fn large(proxy: &Proxy, fault: &Fault<'_>) -> Outcome {
    if proxy.shows_single_pages() {
        return Outcome::Fallback;
    }
    map_large(fault, proxy).unwrap_or(Outcome::Fallback)
}

fn access_of(fault: &Fault<'_>) -> Access {
    if fault.is_writable() {
        Access::Write
    } else if fault.is_executable() {
        Access::Execute
    } else {
        Access::Read
    }
}

/// The translation of `address` of the program at this moment.
fn translate(
    partition: &Partition<'_>,
    root: u64,
    address: u64,
    access: Access,
) -> Option<Translation> {
    walk(root, address, access, |entry| partition.word(entry))
}

/// The range that may be mapped: the area, or the page alone, where mcexec wants to pay for each page (for
/// measurement), or its user has pinned too much.
fn wanted(fault: &Fault<'_>, proxy: &Proxy) -> (u64, u64) {
    if fault.wants_neighbours() && !proxy.shows_single_pages() {
        fault.bounds()
    } else {
        (fault.address(), fault.address().saturating_add(PAGE_BYTES))
    }
}

/// F1 to F5 (see above) for the block around the fault; only pages that did not change meanwhile are mapped.
fn map_small(fault: &Fault<'_>, proxy: &Proxy) -> Look {
    let (Some(guard), Some(root)) = (proxy.memory.access(), proxy.root()) else {
        return Look::End(Outcome::Broken);
    };
    let partition = guard.partition();
    let _inserting = proxy.instance.begin_insertion();
    let block = Block::around(fault.address(), wanted(fault, proxy));
    let first = block.look(&partition, root, access_of(fault));
    if first.page_of(fault.address()).is_none() {
        let is_there = access_of(fault) == Access::Execute
            && translate(&partition, root, fault.address(), Access::Read).is_some();
        return if is_there {
            // The co-kernel has it and does not let it be executed.
            Look::End(Outcome::NoSuchAddress)
        } else {
            Look::Missing
        };
    }
    let marked = first.expose(&partition);
    let Some(marked) = marked.filter(|marked| marked.has(fault.address())) else {
        return Look::End(Outcome::Broken);
    };
    let second = block.look(&partition, root, access_of(fault));
    let mut result = Outcome::Done;
    for (address, frame) in marked.unchanged_in(&second) {
        let outcome = fault.insert(address, frame);
        // A neighbour that cannot be mapped is left to a fault of its own. If the page itself has
        // changed, the access is tried again and looks anew.
        if address == fault.address() {
            result = outcome;
        }
    }
    Look::End(result)
}

fn map_large(fault: &Fault<'_>, proxy: &Proxy) -> Option<Outcome> {
    let address = fault.address() & !(LARGE_PAGE_BYTES - 1);
    let (start, end) = fault.bounds();
    let fits = address >= start && address.checked_add(LARGE_PAGE_BYTES)? <= end;
    if !fits || fault.offset() != fault.address() {
        return None;
    }
    let guard = proxy.memory.access()?;
    let root = proxy.root()?;
    let partition = guard.partition();
    let _inserting = proxy.instance.begin_insertion();
    let first = translate(&partition, root, address, access_of(fault)).filter(|it| it.is_large)?;
    let frame = partition.frame(first.page)?;
    partition.memory(first.page, LARGE_PAGE_BYTES)?;
    if !partition.expose_run(frame, (LARGE_PAGE_BYTES / PAGE_BYTES) as u32) {
        return None;
    }
    let unchanged = translate(&partition, root, address, access_of(fault)) == Some(first);
    unchanged.then(|| fault.insert_large(frame))
}

/// A page of slots, or a bounce page. The co-kernel is asked for the address of a page after the first
/// when it is touched for the first time.
fn map_slots(fault: Fault<'_>, proxy: &Proxy) -> Outcome {
    let page = (fault.offset() - SLOTS_OFFSET) / PAGE_BYTES;
    if page >= SHARED_PAGES as u64 {
        return Outcome::NoSuchAddress;
    }
    // Bounded by the line above.
    let page = page as usize;
    for _ in 0..MOST_QUESTIONS {
        if let Look::End(outcome) = map_slot_page(&fault, proxy, page) {
            return outcome;
        }
        if fault.may_unlock() {
            return ask_unlocked(fault, proxy, |proxy| ask_for_slots(proxy, page));
        }
        if fault.must_not_wait() {
            return Outcome::WouldWait;
        }
        if let Err(error) = ask_for_slots(proxy, page) {
            return outcome_of(error);
        }
    }
    Outcome::Broken
}

/// Maps a page of slots that is known; after the instance is gone, a page of free slots, so that a
/// polling worker comes to sleep in mcctrl and learns what happened instead of dying of SIGBUS. A
/// bounce page is never such a page: what Linux reads into it would become requests.
fn map_slot_page(fault: &Fault<'_>, proxy: &Proxy, page: usize) -> Look {
    let Some(guard) = proxy.memory.access() else {
        return Look::End(if page < SLOT_PAGES {
            fault.insert_own(fault.address(), &proxy.afterlife)
        } else {
            Outcome::Broken
        });
    };
    let Some(slots) = proxy.slots(page) else {
        return Look::Missing;
    };
    let partition = guard.partition();
    let _inserting = proxy.instance.begin_insertion();
    Look::End(match partition.frame(slots) {
        Some(frame) if partition.expose(frame) => fault.insert(fault.address(), frame),
        _ => Outcome::Broken,
    })
}

/// Asks the co-kernel where page `page` of the slots is.
fn ask_for_slots(proxy: &Proxy, page: usize) -> Result {
    let process = proxy.handle();
    let question = |token| ToCokernel::FindSlots {
        token,
        process,
        page: page as u32,
    };
    let answer = proxy
        .instance
        .ask(proxy.cpu(), Until::FatalSignal, question)?;
    answer.into_result()?;
    let guard = proxy.memory.access().ok_or_else(errno::shutdown)?;
    if guard.partition().slots(answer.slots).is_none() {
        return Err(errno::protocol());
    }
    proxy.set_slots(page, answer.slots);
    Ok(())
}

/// Asks the co-kernel for a page, and loads it if it must come from a file. EINTR if the task is
/// being killed.
fn ask(proxy: &Proxy, address: u64, access: Access) -> Result {
    let write = u32::from(access == Access::Write);
    let process = proxy.handle();
    for _ in 0..MOST_QUESTIONS {
        let question = |token| ToCokernel::ResolveFault {
            token,
            process,
            address,
            write,
        };
        let answer = proxy
            .instance
            .ask(proxy.cpu(), Until::FatalSignal, question)?;
        let Some(pages) = answer.pages else {
            return answer.into_result();
        };
        load::load_in_fault(proxy, &pages)?;
    }
    // They come and go: the next look tells.
    Ok(())
}

/// Asks with Linux's lock dropped. The verdict waits for the second try.
fn ask_unlocked(
    fault: Fault<'_>,
    proxy: &Proxy,
    question: impl FnOnce(&Proxy) -> Result,
) -> Outcome {
    let address = fault.address();
    let verdict = proxy
        .fault_verdicts
        .lock()
        .take(task::current_key(), address);
    if let Some(outcome) = verdict.filter(|_| fault.is_second_try()) {
        return outcome;
    }
    fault.unlock();
    match question(proxy) {
        Ok(()) | Err(EINTR) => {}
        // The second try sees for itself that the instance is gone.
        Err(error) if error == errno::shutdown() => {}
        Err(error) => {
            proxy
                .fault_verdicts
                .lock()
                .put(task::current_key(), address, outcome_of(error))
        }
    }
    Outcome::Waited
}

fn outcome_of(error: Error) -> Outcome {
    if error == EFAULT {
        Outcome::NoSuchAddress
    } else {
        Outcome::Broken
    }
}
