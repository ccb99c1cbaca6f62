// SPDX-License-Identifier: GPL-2.0
//! Copying to and from user space. An access that faults is resolved by the fault handler, or ends
//! the copy with an error: the instructions that may fault are listed in the exception table.
//! Callers hold no lock the fault handler takes.

use super::features;
use crate::addr::{is_user_range, to_usize};

/// User memory that is not there, or not with the needed right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault;

core::arch::global_asm!(
    // uaccess_copy(rdi = to, rsi = from, rdx = bytes) -> bytes not copied
    ".globl uaccess_copy",
    "uaccess_copy:",
    "mov rcx, rdx",
    "shr rcx, 3",
    "and edx, 7",
    "1: rep movsq",
    "mov ecx, edx",
    "2: rep movsb",
    "xor eax, eax",
    "ret",
    "3: lea rax, [rdx + 8 * rcx]",
    "ret",
    "4: mov rax, rcx",
    "ret",
    // uaccess_load32(rdi = address, rsi = &mut value) -> 0, or 1 after a fault
    ".globl uaccess_load32",
    "uaccess_load32:",
    "5: mov eax, [rdi]",
    "mov [rsi], eax",
    "xor eax, eax",
    "ret",
    "7: mov eax, 1",
    "ret",
    // uaccess_exchange32(rdi = address, esi = old, edx = new, rcx = &mut found) -> 0, or 1 after a fault
    ".globl uaccess_exchange32",
    "uaccess_exchange32:",
    "mov eax, esi",
    "8: lock cmpxchg [rdi], edx",
    "mov [rcx], eax",
    "xor eax, eax",
    "ret",
    "9: mov eax, 1",
    "ret",
    ".pushsection .exception_table, \"a\"",
    ".balign 8",
    ".quad 1b, 3b",
    ".quad 2b, 4b",
    ".quad 5b, 7b",
    ".quad 8b, 9b",
    ".popsection",
);

extern "C" {
    fn uaccess_copy(to: *mut u8, from: *const u8, bytes: usize) -> usize;
    fn uaccess_load32(address: u64, value: *mut u32) -> u64;
    fn uaccess_exchange32(address: u64, old: u32, new: u32, found: *mut u32) -> u64;
    static __exception_table_start: [u64; 2];
    static __exception_table_end: [u64; 2];
}

/// The address at which the code goes on after a fault at `rip`, if that is an instruction that may fault.
pub fn fixup(rip: u64) -> Option<u64> {
    let (start, end) = (
        &raw const __exception_table_start,
        &raw const __exception_table_end,
    );
    let count = (end.addr() - start.addr()) / size_of::<[u64; 2]>();
    // SAFETY: the linker script puts the table's pairs between the two symbols.
    let table = unsafe { core::slice::from_raw_parts(start, count) };
    table
        .iter()
        .find(|[instruction, _]| *instruction == rip)
        .map(|[_, fixup]| *fixup)
}

/// Copies `buffer.len()` bytes from `address`.
///
/// # Errors
///
/// [`Fault`]; the buffer's contents are undefined then.
pub fn read_bytes(address: u64, buffer: &mut [u8]) -> Result<(), Fault> {
    // SAFETY: the target is a Rust slice.
    unsafe { read_raw(address, buffer.as_mut_ptr(), buffer.len()) }
}

/// Copies `bytes` bytes from `address` to memory that somebody else may write to meanwhile.
///
/// # Errors
///
/// [`Fault`].
///
/// # Safety
///
/// The `bytes` from `to` on may be written, and nobody has a reference to them.
pub unsafe fn read_raw(address: u64, to: *mut u8, bytes: usize) -> Result<(), Fault> {
    check(address, bytes as u64)?;
    let from = core::ptr::with_exposed_provenance(to_usize(address));
    let _open = Open::new();
    // SAFETY: the source is user space's, where faults are caught; the target by this function's
    // contract.
    match unsafe { uaccess_copy(to, from, bytes) } {
        0 => Ok(()),
        _ => Err(Fault),
    }
}

/// Copies `bytes` to `address`.
///
/// # Errors
///
/// [`Fault`]; part of the bytes may have been written.
pub fn write_bytes(address: u64, bytes: &[u8]) -> Result<(), Fault> {
    // SAFETY: the source is a Rust slice.
    unsafe { write_raw(address, bytes.as_ptr(), bytes.len()) }
}

/// Copies `bytes` bytes to `address` from memory that somebody else may write to meanwhile.
///
/// # Errors
///
/// [`Fault`]; part of the bytes may have been written.
///
/// # Safety
///
/// The `bytes` from `from` on may be read.
pub unsafe fn write_raw(address: u64, from: *const u8, bytes: usize) -> Result<(), Fault> {
    check(address, bytes as u64)?;
    let to = core::ptr::with_exposed_provenance_mut(to_usize(address));
    let _open = Open::new();
    // SAFETY: the target is user space's, where faults are caught; the source by this function's
    // contract.
    match unsafe { uaccess_copy(to, from, bytes) } {
        0 => Ok(()),
        _ => Err(Fault),
    }
}

/// Plain data that may cross: any bytes are a value, and there are no bytes in between.
///
/// # Safety
///
/// The type has no padding, no invalid values and no pointers that matter.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($t:ty),*) => {$(
        // SAFETY: an integer, or an array of integers.
        unsafe impl Plain for $t {}
    )*};
}

plain!(u8, i8, u16, i16, u32, i32, u64, i64, usize, [u64; 2], [u64; 3], [u64; 4]);

/// Writes a value to `address`, which need not be aligned.
///
/// # Errors
///
/// [`Fault`].
pub fn write<T: Plain>(address: u64, value: &T) -> Result<(), Fault> {
    // SAFETY: `Plain`: no padding, so all bytes are initialised.
    let bytes =
        unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast(), size_of::<T>()) };
    write_bytes(address, bytes)
}

/// Reads the aligned word at `address` in one piece.
///
/// # Errors
///
/// [`Fault`], also if it is not aligned.
pub fn load_u32(address: u64) -> Result<u32, Fault> {
    check_word(address)?;
    let mut value = 0;
    let _open = Open::new();
    // SAFETY: user space's, where faults are caught.
    match unsafe { uaccess_load32(address, &mut value) } {
        0 => Ok(value),
        _ => Err(Fault),
    }
}

/// Replaces the aligned word at `address`, if it is `old`, by `new`, atomically; otherwise the word
/// that is there.
///
/// # Errors
///
/// [`Fault`], also if it is not aligned.
pub fn compare_exchange(address: u64, old: u32, new: u32) -> Result<Result<(), u32>, Fault> {
    check_word(address)?;
    let mut found = 0;
    let _open = Open::new();
    // SAFETY: user space's, where faults are caught.
    match unsafe { uaccess_exchange32(address, old, new, &mut found) } {
        0 if found == old => Ok(Ok(())),
        0 => Ok(Err(found)),
        _ => Err(Fault),
    }
}

const fn check(address: u64, bytes: u64) -> Result<(), Fault> {
    if is_user_range(address, bytes) {
        Ok(())
    } else {
        Err(Fault)
    }
}

const fn check_word(address: u64) -> Result<(), Fault> {
    if address % 4 != 0 {
        return Err(Fault);
    }
    check(address, 4)
}

/// While it lives, the CPU lets the kernel touch user memory (SMAP).
struct Open;

impl Open {
    fn new() -> Self {
        if features::has_smap() {
            // SAFETY: the CPU has SMAP; the flag is cleared again on drop.
            unsafe { core::arch::asm!("stac", options(nostack)) };
        }
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if features::has_smap() {
            // SAFETY: the CPU has SMAP.
            unsafe { core::arch::asm!("clac", options(nostack)) };
        }
    }
}
