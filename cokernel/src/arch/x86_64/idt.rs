// SPDX-License-Identifier: GPL-2.0
//! The interrupt descriptor table and the 256 entry stubs.
//!
//! A stub leaves the error code (or 0) and its vector on the stack and goes on in `trap_common`,
//! which completes a [`super::frame::UserFrame`]. Vectors that may strike anywhere, even between
//! `syscall` and the kernel's own stack, enter through `trap_paranoid` on a stack of their own.

use super::gdt::KERNEL_CS;

/// Non-maskable interrupt.
pub const NMI: u8 = 2;
/// Double fault.
pub const DOUBLE_FAULT: u8 = 8;
/// Machine check.
pub const MACHINE_CHECK: u8 = 18;
/// Vectors with a stack of their own, in the order of the interrupt stack table.
pub const PARANOID: [u8; 3] = [NMI, DOUBLE_FAULT, MACHINE_CHECK];
/// Breakpoint and overflow instructions: user space may raise these itself.
const USER_RAISABLE: [u8; 2] = [3, 4];

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

/// One gate.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    /// Interrupt stack (0 = the current one).
    stack: u8,
    /// Present, privilege, type: interrupt gate, so that interrupts are off inside.
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

const PRESENT_INTERRUPT_GATE: u8 = 0x8e;
const USER_MAY_RAISE: u8 = 0x60;

impl Gate {
    const EMPTY: Self = Self {
        offset_low: 0,
        selector: 0,
        stack: 0,
        kind: 0,
        offset_middle: 0,
        offset_high: 0,
        reserved: 0,
    };

    fn new(vector: u8) -> Self {
        let address = (&raw const trap_stubs).addr() as u64 + 16 * u64::from(vector);
        let mut stacks = PARANOID.iter().zip(1..);
        let stack = stacks.find(|(paranoid, _)| **paranoid == vector);
        let kind = if USER_RAISABLE.contains(&vector) {
            PRESENT_INTERRUPT_GATE | USER_MAY_RAISE
        } else {
            PRESENT_INTERRUPT_GATE
        };
        Self {
            offset_low: (address & 0xffff) as u16,
            selector: KERNEL_CS,
            stack: stack.map_or(0, |(_, stack)| stack),
            kind,
            offset_middle: (address >> 16 & 0xffff) as u16,
            offset_high: (address >> 32) as u32,
            reserved: 0,
        }
    }
}

#[repr(C, align(4096))]
struct Idt([Gate; 256]);

static IDT: crate::cell::OwnedCell<Idt> = crate::cell::OwnedCell::new(Idt([Gate::EMPTY; 256]));

/// The table's length as the processor is told it: one less than the bytes.
const LIMIT: u16 = {
    assert!(size_of::<Idt>() <= 1 << 16);
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let limit = (size_of::<Idt>() - 1) as u16;
    limit
};

/// Fills the table. The boot CPU, before any CPU loads it.
pub(super) fn init() {
    // SAFETY: the other CPUs wait for the boot CPU and have not loaded the table.
    let idt = unsafe { IDT.get_mut() };
    for (vector, gate) in (0..=u8::MAX).zip(&mut idt.0) {
        *gate = Gate::new(vector);
    }
}

/// Makes the table this CPU's.
pub(super) fn load() {
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let pointer = Pointer {
        limit: LIMIT,
        base: IDT.as_ptr().expose_provenance() as u64,
    };
    // SAFETY: `init` filled it and nobody changes it any more.
    unsafe {
        core::arch::asm!("lidt [{}]", in(reg) &pointer, options(readonly, nostack, preserves_flags))
    };
}
