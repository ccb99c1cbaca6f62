// SPDX-License-Identifier: GPL-2.0
//! The interrupt descriptor table and the 256 entry stubs.
//!
//! A stub leaves the error code (or 0) and its vector on the stack and goes on in `trap_common`,
//! which completes a [`super::frame::UserFrame`]. Vectors that may strike anywhere, even between
//! `syscall` and the kernel's own stack, enter through `trap_paranoid` on a stack of their own.

use x86_64::instructions::tables::lidt;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::structures::idt::{Entry, HandlerFunc};
use x86_64::structures::DescriptorTablePointer;
use x86_64::{PrivilegeLevel, VirtAddr};

use super::gdt::KERNEL_CS;
use crate::cell::OwnedCell;

/// Non-maskable interrupt.
pub const NMI: u8 = 2;
/// Double fault.
pub const DOUBLE_FAULT: u8 = 8;
/// Machine check.
pub const MACHINE_CHECK: u8 = 18;
/// Vectors with a stack of their own, in the order of the interrupt stack table.
pub const PARANOID: [u8; 3] = [NMI, DOUBLE_FAULT, MACHINE_CHECK];
/// The gate of 32-bit system calls.
pub const SYSCALL32: u8 = 0x80;
/// Breakpoint and overflow instructions, and the gate: user space may raise these itself.
const USER_RAISABLE: [u8; 3] = [3, 4, SYSCALL32];

core::arch::global_asm!(
    // Stub n lies at trap_stubs + 16 n. Vectors 8, 10-14, 17, 21, 29, 30 push an error code.
    ".balign 16",
    ".globl trap_stubs",
    "trap_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".set has_code, 0",
    ".if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30",
    ".set has_code, 1",
    ".endif",
    ".if has_code == 0",
    "push 0",
    ".endif",
    "push vector",
    ".if vector == 2 || vector == 8 || vector == 18",
    "jmp trap_paranoid",
    ".else",
    "jmp trap_common",
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    ".balign 16",
);

extern "C" {
    static trap_stubs: u8;
}

#[repr(C, align(4096))]
struct Idt([Entry<HandlerFunc>; 256]);

static IDT: OwnedCell<Idt> = OwnedCell::new(Idt([const { Entry::missing() }; 256]));

/// The table's length as the processor is told it: one less than the bytes.
const LIMIT: u16 = {
    assert!(size_of::<Idt>() <= 1 << 16);
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let limit = (size_of::<Idt>() - 1) as u16;
    limit
};

/// Fills the table.
///
/// # Safety
///
/// Once, before any CPU loads it.
pub(super) unsafe fn init() {
    // SAFETY: the caller's promise.
    let idt = unsafe { IDT.get_mut() };
    for (vector, entry) in (0..=u8::MAX).zip(&mut idt.0) {
        fill(entry, vector);
    }
}

/// Lets `entry` lead to the stub of `vector`, with interrupts off inside.
fn fill(entry: &mut Entry<HandlerFunc>, vector: u8) {
    let stub = (&raw const trap_stubs).addr() as u64 + 16 * u64::from(vector);
    // SAFETY: the stub is that of this vector; it saves what it changes.
    let options = unsafe { entry.set_handler_addr(VirtAddr::new(stub)) };
    // SAFETY: each CPU has this segment by the time it loads the table.
    unsafe { options.set_code_selector(SegmentSelector(KERNEL_CS)) };
    if let Some((_, stack)) = PARANOID
        .iter()
        .zip(0..)
        .find(|(paranoid, _)| **paranoid == vector)
    {
        // SAFETY: `tables` fills the interrupt stack table in this order.
        unsafe { options.set_stack_index(stack) };
    }
    if USER_RAISABLE.contains(&vector) {
        options.set_privilege_level(PrivilegeLevel::Ring3);
    }
}

/// Makes the table this CPU's.
pub(super) fn load() {
    let pointer = DescriptorTablePointer {
        limit: LIMIT,
        base: VirtAddr::from_ptr(IDT.as_ptr()),
    };
    // SAFETY: `init` filled it and nobody changes it any more.
    unsafe { lidt(&pointer) };
}
