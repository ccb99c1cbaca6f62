// SPDX-License-Identifier: GPL-2.0
//! Segments with Linux's selectors (programs see and save them), and the task state segment. The table of
//! the x86_64 crate gives out selectors of its own.

use x86_64::structures::tss::TaskStateSegment;

/// Kernel code.
pub const KERNEL_CS: u16 = 0x10;
/// Kernel data.
pub const KERNEL_SS: u16 = 0x18;
/// 32-bit user code; also what `sysret` computes its selectors from.
pub const USER32_CS: u16 = 0x23;
/// User data.
pub const USER_SS: u16 = 0x2b;
/// 64-bit user code.
pub const USER_CS: u16 = 0x33;
/// Task state segment (two entries).
const TSS: u16 = 0x40;
/// Segment whose limit tells programs their CPU (`lsl`), entry 15.
const CPU_NUMBER: usize = 15;

/// Entries of the table: Linux's count.
const ENTRIES: usize = 16;

/// One CPU's descriptor table.
#[repr(C, align(64))]
pub struct Gdt([u64; ENTRIES]);

impl Gdt {
    /// The table of CPU `cpu` on node `node`, which points to `tss`.
    pub fn new(tss: *const TaskStateSegment, cpu: u32, node: u32) -> Self {
        let mut entries = [0; ENTRIES];
        entries[1] = 0x00cf_9b00_0000_ffff; // 32-bit kernel code, as Linux has it
        entries[usize::from(KERNEL_CS / 8)] = 0x00af_9b00_0000_ffff;
        entries[usize::from(KERNEL_SS / 8)] = 0x00cf_9300_0000_ffff;
        entries[usize::from(USER32_CS / 8)] = 0x00cf_fb00_0000_ffff;
        entries[usize::from(USER_SS / 8)] = 0x00cf_f300_0000_ffff;
        entries[usize::from(USER_CS / 8)] = 0x00af_fb00_0000_ffff;
        let base = tss.expose_provenance() as u64;
        let limit = size_of::<TaskStateSegment>() as u64 - 1;
        let index = usize::from(TSS / 8);
        entries[index] = limit | (base & 0xff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        entries[index + 1] = base >> 32;
        entries[CPU_NUMBER] = cpu_number_segment(cpu, node);
        Self(entries)
    }
}

/// A data segment for user space with limit `node << 12 | cpu`, as Linux's vdso expects it.
fn cpu_number_segment(cpu: u32, node: u32) -> u64 {
    let limit = u64::from(node << 12 | cpu & 0xfff);
    0x0040_f500_0000_0000 | limit & 0xffff | (limit >> 16 & 0xf) << 48
}

/// The value of `IA32_TSC_AUX` that `rdtscp` and `rdpid` return to programs: the same number.
pub fn cpu_number(cpu: u32, node: u32) -> u64 {
    u64::from(node << 12 | cpu & 0xfff)
}

/// The table's length as the processor is told it: one less than the bytes.
const LIMIT: u16 = {
    assert!(size_of::<Gdt>() <= 1 << 16);
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let limit = (size_of::<Gdt>() - 1) as u16;
    limit
};

/// Makes `gdt` this CPU's table and loads every segment register from it.
///
/// # Safety
///
/// `gdt` and the task state segment it names stay where they are for ever. The GS base is lost.
pub unsafe fn load(gdt: &'static Gdt) {
    #[repr(C, packed)]
    struct Pointer {
        limit: u16,
        base: u64,
    }
    let pointer = Pointer {
        limit: LIMIT,
        base: core::ptr::from_ref(gdt).expose_provenance() as u64,
    };
    // SAFETY: the table has the segments named here and outlives the kernel, by the contract.
    unsafe {
        core::arch::asm!(
            "lgdt [{pointer}]",
            "push {cs}",
            "lea {scratch}, [rip + 2f]",
            "push {scratch}",
            "retfq",
            "2:",
            "mov ss, {ss:e}",
            "xor {scratch:e}, {scratch:e}",
            "mov ds, {scratch:e}",
            "mov es, {scratch:e}",
            "mov fs, {scratch:e}",
            "mov gs, {scratch:e}",
            "lldt {scratch:x}",
            "ltr {tss:x}",
            pointer = in(reg) &pointer,
            cs = const KERNEL_CS as u64,
            ss = in(reg) u32::from(KERNEL_SS),
            tss = in(reg) u32::from(TSS),
            scratch = out(reg) _,
        );
    }
}
