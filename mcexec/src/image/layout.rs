// SPDX-License-Identifier: GPL-2.0
//! Chooses addresses inside the window as Linux chooses them in its address space, which ends 32 GiB
//! higher.
//!
//! ```text
//!  window_start … ET_EXEC programs where they want to be …
//!  0x5555_5555_4000 + random     position-independent program, heap behind it (+ random)
//!  … mmap areas grow downwards …
//!  mmap_top                      vdso, then the interpreter right below
//!  stack limit, gap
//!  WINDOW_END (- random)         top of the stack
//! ```
//!
//! The vdso lies where Linux put mcexec's own if that is in the window. So the mmap areas begin where
//! Linux lets them begin, too, unless that is far off.

use ihk_ikc::layout::{PAGE_BYTES, WINDOW_END};
use ihk_ikc::process::{prot, range_kind, ImageRange, VdsoArgs, MAX_IMAGE_RANGES};
use nix::errno::Errno;

use super::elf::Executable;
use super::random::Randomness;
use super::{page_down, page_up};
use crate::error::ExecError;

/// Position-independent programs begin here: Linux's `ELF_ET_DYN_BASE` is two thirds of its address
/// space.
const MOVABLE_BASE: u64 = page_down(0x7fff_ffff_f000 / 3 * 2);
/// Linux begins its mmap areas not further below than this, with the most random bits that it has,
/// unless it lets them grow upwards.
const MMAP_RANDOM_MOST: u64 = PAGE_BYTES << 32;
/// Bits of random pages for mmap areas and programs (`vm.mmap_rnd_bits`).
const MMAP_RANDOM_BITS: u32 = 28;
/// Bits of random pages for the stack (`STACK_RND_MASK`).
const STACK_RANDOM_BITS: u32 = 22;
/// Bits of random pages between a program and its heap: 32 MiB.
const HEAP_RANDOM_BITS: u32 = 13;
/// mmap areas keep at least this far from the top of the stack.
const MIN_STACK_GAP: u64 = 128 << 20;
/// No stack, not even an unlimited one, gets more room than this.
const MAX_STACK_GAP: u64 = 1 << 40;
/// Linux's `stack_guard_gap`.
const STACK_GUARD: u64 = 256 * PAGE_BYTES;
/// A stack has room for this beyond what the program is started with, as in Linux.
const MIN_STACK_ROOM: u64 = 128 << 10;

/// The conditions under which addresses are chosen, besides the files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    /// First address of the window.
    pub window_start: u64,
    /// Soft `RLIMIT_STACK`.
    pub stack_limit: u64,
    /// Bytes that the first stack will take at most.
    pub stack_needed: u64,
    /// The parts of the layout that move.
    pub randomness: Randomness,
    /// mcexec's own vdso.
    pub vdso: VdsoArgs,
}

/// A piece of a file that goes to an address. The list that it is in says which file that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FilePart {
    /// Address that it goes to.
    pub address: u64,
    /// Offset in the file at which it begins.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
}

/// A file at its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placed {
    /// Number that is added to the addresses in the file.
    pub bias: u64,
    /// The file's ranges: page-aligned, ascending, disjoint.
    pub ranges: Vec<ImageRange>,
    /// The pieces that are read from the file.
    pub parts: Vec<FilePart>,
}

/// All addresses of a new process.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The program.
    pub program: Placed,
    /// The program that loads it, if there is one.
    pub interpreter: Option<Placed>,
    /// All ranges, those of both files, heap and stack: ascending, disjoint.
    pub ranges: Vec<ImageRange>,
    /// The vdso at its place.
    pub vdso: VdsoArgs,
    /// mmap areas are given out downwards from here.
    pub mmap_top: u64,
    /// First address above the stack.
    pub stack_top: u64,
}

/// Chooses a place for everything.
///
/// # Errors
///
/// Something does not fit.
pub(crate) fn choose(
    program: &Executable,
    interpreter: Option<&Executable>,
    conditions: &Conditions,
) -> Result<Layout, ExecError> {
    let random = conditions.randomness;
    let Frame {
        stack_top,
        mmap_top,
        vdso,
        libraries_top,
    } = choose_frame(conditions);
    let stack = choose_stack(stack_top, program.executable_stack, conditions);
    let interpreter = match interpreter {
        Some(interpreter) => Some(place_below(interpreter, libraries_top)?),
        None => None,
    };
    let program = place_program(program, random)?;
    let heap = choose_heap(&program, random);
    let mut ranges = program.ranges.clone();
    ranges.extend(interpreter.iter().flat_map(|placed| placed.ranges.clone()));
    ranges.extend([heap, stack]);
    ranges.sort_by_key(|range| (range.start, range.bytes));
    check_ranges(&ranges, &vdso, conditions.window_start)?;
    Ok(Layout {
        program,
        interpreter,
        ranges,
        vdso,
        mmap_top,
        stack_top,
    })
}

/// The addresses that do not depend on the program.
struct Frame {
    stack_top: u64,
    mmap_top: u64,
    vdso: VdsoArgs,
    /// The interpreter goes below.
    libraries_top: u64,
}

fn choose_frame(conditions: &Conditions) -> Frame {
    let random = conditions.randomness;
    let mut vdso = conditions.vdso;
    let vdso_bytes = vdso.vvar_bytes + vdso.vdso_bytes;
    let vdso_end = vdso.source + vdso_bytes;
    let is_fixed =
        vdso_bytes != 0 && vdso.source >= conditions.window_start && vdso_end <= WINDOW_END;
    let gap = mmap_gap(conditions);
    // In the way of stack and mmap areas; they go below.
    let is_high = is_fixed && vdso_end > WINDOW_END - gap;
    let end = if is_high { vdso.source } else { WINDOW_END };
    let stack_top = end - PAGE_BYTES - random.bits(STACK_RANDOM_BITS) * PAGE_BYTES;
    let highest = page_down(end - gap);
    if is_fixed {
        vdso.target = vdso.source;
        if !is_high && vdso_end >= highest - MMAP_RANDOM_MOST {
            return Frame {
                stack_top,
                mmap_top: vdso_end,
                vdso,
                libraries_top: vdso.target,
            };
        }
    }
    let mmap_top = highest - random.bits(MMAP_RANDOM_BITS) * PAGE_BYTES;
    if !is_fixed && vdso_bytes != 0 {
        vdso.target = mmap_top - vdso_bytes;
    }
    let libraries_top = if is_fixed {
        mmap_top
    } else {
        mmap_top - vdso_bytes
    };
    Frame {
        stack_top,
        mmap_top,
        vdso,
        libraries_top,
    }
}

fn choose_stack(stack_top: u64, executable: bool, conditions: &Conditions) -> ImageRange {
    let limit = conditions.stack_limit.min(MAX_STACK_GAP);
    let bytes = page_up(limit.max(conditions.stack_needed + MIN_STACK_ROOM));
    let exec = if executable { prot::EXEC } else { 0 };
    ImageRange {
        start: stack_top - bytes,
        bytes,
        prot: prot::READ | prot::WRITE | exec,
        kind: range_kind::STACK,
    }
}

/// Returns how far below the end the mmap areas begin, apart from their own random bits.
fn mmap_gap(conditions: &Conditions) -> u64 {
    let random = conditions.randomness;
    let widest_stack_random = if random.addresses {
        PAGE_BYTES << STACK_RANDOM_BITS
    } else {
        0
    };
    let pad = widest_stack_random + STACK_GUARD + conditions.stack_needed + MIN_STACK_ROOM;
    (page_up(conditions.stack_limit).saturating_add(pad))
        .clamp(MIN_STACK_GAP + pad, MAX_STACK_GAP + pad)
}

fn place_program(program: &Executable, random: Randomness) -> Result<Placed, ExecError> {
    if !program.movable {
        return Ok(place(program, 0));
    }
    let wanted = MOVABLE_BASE + random.bits(MMAP_RANDOM_BITS) * PAGE_BYTES;
    let (first, _) = program.span();
    let base = wanted / program.alignment * program.alignment;
    // A movable file may still begin at an address of its own.
    let bias = base
        .checked_sub(first - first % program.alignment)
        .ok_or_else(too_large)?;
    Ok(place(program, bias))
}

/// Places a program as high as possible below `top`.
fn place_below(program: &Executable, top: u64) -> Result<Placed, ExecError> {
    if !program.movable {
        return Ok(place(program, 0));
    }
    let (first, end) = program.span();
    let lowest = first - first % program.alignment;
    let start = top.checked_sub(end - lowest).ok_or_else(too_large)?;
    let bias = (start / program.alignment * program.alignment)
        .checked_sub(lowest)
        .ok_or_else(too_large)?;
    Ok(place(program, bias))
}

fn too_large() -> ExecError {
    ExecError::new(Errno::ENOMEM, "the program is too large")
}

/// Returns the pages and file parts of `program` with `bias` added.
fn place(program: &Executable, bias: u64) -> Placed {
    let mut placed = Placed {
        bias,
        ..Placed::default()
    };
    for segment in &program.segments {
        let address = segment.address + bias;
        let start = page_down(address);
        let end = page_up(address + segment.memory_bytes);
        // If two segments share a page, the later one gets it, as in Linux.
        if let Some(before) = placed.ranges.last_mut() {
            before.bytes = before.bytes.min(start.saturating_sub(before.start));
        }
        if placed.ranges.last().is_some_and(|before| before.bytes == 0) {
            placed.ranges.pop();
        }
        placed.ranges.push(ImageRange {
            start,
            bytes: end - start,
            prot: segment.prot,
            kind: range_kind::SEGMENT,
        });
        if segment.file_bytes > 0 {
            // The rest of the file in the first and last page comes along, as in Linux.
            let head = address - start;
            let all = head + segment.file_bytes;
            let bytes = if segment.file_bytes == segment.memory_bytes {
                page_up(all)
            } else {
                all
            };
            placed.parts.push(FilePart {
                address: start,
                offset: segment.file_offset - head,
                bytes,
            });
        }
    }
    placed
}

fn choose_heap(program: &Placed, random: Randomness) -> ImageRange {
    let end = program
        .ranges
        .last()
        .map_or(0, |range| range.start + range.bytes);
    let gap = if random.heap {
        random.bits(HEAP_RANDOM_BITS) * PAGE_BYTES
    } else {
        0
    };
    ImageRange {
        start: end + gap,
        bytes: 0,
        prot: prot::READ | prot::WRITE,
        kind: range_kind::HEAP,
    }
}

/// Refuses ranges that leave the window, overlap each other or the vdso, or are too many.
fn check_ranges(
    ranges: &[ImageRange],
    vdso: &VdsoArgs,
    window_start: u64,
) -> Result<(), ExecError> {
    let mut free_from = window_start;
    for range in ranges {
        if range.start < free_from || range.start.saturating_add(range.bytes) > WINDOW_END {
            let text = format!("no room at {:#x}", range.start);
            return Err(ExecError::new(Errno::ENOMEM, text));
        }
        free_from = range.start + range.bytes;
    }
    let vdso_end = vdso.target + vdso.vvar_bytes + vdso.vdso_bytes;
    if ranges
        .iter()
        .any(|range| range.start < vdso_end && vdso.target < range.start + range.bytes)
    {
        return Err(ExecError::new(Errno::ENOMEM, "no room for the vdso"));
    }
    if ranges.len() > MAX_IMAGE_RANGES {
        return Err(ExecError::format("too many segments"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
