// SPDX-License-Identifier: GPL-2.0
//! The first instructions of a co-kernel CPU: from real mode to 64-bit mode, in one page below
//! 1 MiB. For Linux they are data; only co-kernel CPUs run them.
//!
//! The CPUs pass one after the other: Linux writes [`Hand`] for a CPU, sends the start-up
//! interrupt, and the CPU says in `taken` that it holds its values in registers.

use crate::ffi::low_page::LowPage;
use core::mem::offset_of;
use core::ptr::addr_of;
use kernel::prelude::*;

core::arch::global_asm!(
    r#"
    .pushsection .rodata.ihk_trampoline, "a", @progbits
    .balign 16
    .globl ihk_trampoline_start, ihk_trampoline_hand, ihk_trampoline_end
ihk_trampoline_start:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    xorl %ebx, %ebx
    movw %ax, %bx
    shll $4, %ebx                       # ebx = physical address of this page
    leal (.Lgdt - ihk_trampoline_start)(%ebx), %eax
    movl %eax, .Lgdt_address - ihk_trampoline_start
    leal (.Lprotected - ihk_trampoline_start)(%ebx), %eax
    movl %eax, .Lto_protected - ihk_trampoline_start
    leal (.Llong - ihk_trampoline_start)(%ebx), %eax
    movl %eax, .Lto_long - ihk_trampoline_start
    lgdtl .Lgdt_pointer - ihk_trampoline_start
    movl %cr0, %eax
    andl $0x9fffffff, %eax              # caches on: INIT may leave CD and NW set
    orl $1, %eax                        # PE
    movl %eax, %cr0
    ljmpl *(.Lto_protected - ihk_trampoline_start)
    .code32
.Lprotected:
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr4, %eax
    orl $0x20, %eax                     # PAE
    movl %eax, %cr4
    movl (ihk_trampoline_hand - ihk_trampoline_start)(%ebx), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx              # EFER
    rdmsr
    orl $0x900, %eax                    # LME, NXE
    wrmsr
    movl %cr0, %eax
    andl $0xfffffff3, %eax              # not EM, not TS
    orl $0x80010002, %eax               # PG, WP, MP
    movl %eax, %cr0
    ljmpl *(.Lto_long - ihk_trampoline_start)(%ebx)
    .code64
.Llong:
    movl %ebx, %ebx
    leaq (ihk_trampoline_hand - ihk_trampoline_start)(%rbx), %rdx
    movq 8(%rdx), %rax                  # entry
    movq 16(%rdx), %rdi                 # params
    movq 24(%rdx), %rsp                 # stack
    movl 32(%rdx), %esi                 # index
    leal 1(%rsi), %ecx
    xorl %ebp, %ebp
    movl %ecx, 36(%rdx)                 # taken: from here on the page is the next CPU's
    jmpq *%rax
    .balign 8
.Lgdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 0x08: 32-bit code
    .quad 0x00af9b000000ffff            # 0x10: 64-bit code
    .quad 0x00cf93000000ffff            # 0x18: data
.Lgdt_pointer:
    .word . - .Lgdt - 1
.Lgdt_address:
    .long 0
    .balign 4
.Lto_protected:
    .long 0
    .word 0x08, 0
.Lto_long:
    .long 0
    .word 0x10, 0
    .balign 8
ihk_trampoline_hand:
    .skip 40
ihk_trampoline_end:
    .popsection
"#,
    options(att_syntax)
);

extern "C" {
    static ihk_trampoline_start: u8;
    static ihk_trampoline_hand: u8;
    static ihk_trampoline_end: u8;
}

/// The values that one CPU is given; the assembly above knows the offsets.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Hand {
    /// Physical address of the page tables, below 4 GiB.
    pub(crate) root: u64,
    /// First instruction of the image.
    pub(crate) entry: u64,
    /// Virtual address of the boot parameters: goes to `rdi`.
    pub(crate) params: u64,
    /// Virtual address of the top of its stack: goes to `rsp`.
    pub(crate) stack: u64,
    /// Its number in the co-kernel: goes to `rsi`.
    pub(crate) index: u32,
    /// The CPU writes its number + 1.
    pub(crate) taken: u32,
}

const _: () = {
    assert!(offset_of!(Hand, entry) == 8 && offset_of!(Hand, params) == 16);
    assert!(offset_of!(Hand, stack) == 24 && offset_of!(Hand, index) == 32);
    assert!(offset_of!(Hand, taken) == 36 && size_of::<Hand>() == 40);
};

/// The trampoline in a borrowed page.
pub(crate) struct Trampoline(LowPage);

impl Trampoline {
    /// Copies the code into `page`.
    pub(crate) fn install(mut page: LowPage) -> Result<Self> {
        page.write(code())?;
        Ok(Self(page))
    }

    /// Page number for the start-up interrupt.
    pub(crate) fn page(&self) -> u8 {
        self.0.number()
    }

    /// Prepares the page for the next CPU.
    pub(crate) fn set_hand(&mut self, hand: Hand) {
        self.0.store(hand_offset(), hand);
    }

    /// Whether CPU `index` has taken its values.
    pub(crate) fn is_taken(&self, index: u32) -> bool {
        self.0.load(hand_offset() + offset_of!(Hand, taken)) == index.wrapping_add(1)
    }
}

fn code() -> &'static [u8] {
    let (start, end) = (addr_of!(ihk_trampoline_start), addr_of!(ihk_trampoline_end));
    // SAFETY: the labels enclose read-only bytes of this module.
    unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) }
}

fn hand_offset() -> usize {
    addr_of!(ihk_trampoline_hand) as usize - addr_of!(ihk_trampoline_start) as usize
}
