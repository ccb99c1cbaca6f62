// SPDX-License-Identifier: GPL-2.0
//! The entry stub, and what the hardware of each CPU needs before it runs threads.

use ihk_ikc::boot::BootParams;

use super::pte;
use super::{apic, clear, cpu, features, fpu, idt, syscall_entry, tables, timer};

core::arch::global_asm!(
    ".pushsection .text.entry, \"ax\"",
    ".globl ihk_entry",
    "ihk_entry:",
    "cld",
    "xor ebp, ebp",
    "call boot_entry",
    "ud2",
    ".popsection",
);

/// Gives this CPU its number and its words. Each CPU, first of all.
pub fn init_cpu(index: u32, node: u32, count: u32) {
    cpu::init(index, node, count);
}

/// Prepares, on the boot CPU, all that is common to the CPUs, once its own page tables are built and the
/// local APIC's registers mapped.
pub fn prepare_all(params: &BootParams) {
    idt::init();
    apic::init(params);
    fpu::init();
    clear::init();
}

/// Features of this CPU, as programs were promised; before the kernel's page tables are loaded.
pub fn enable_features(params: &BootParams, index: u32) {
    features::enable(params, index, params.cpus[index as usize].node);
}

/// Leaves ihk.ko's page tables for the kernel's own, which were built.
pub fn load_kernel_tables() {
    let root = pte::kernel_root();
    assert!(!root.is_null(), "no page tables yet");
    // SAFETY: who made them the kernel's said that they map what it needs; they stay for ever.
    unsafe { pte::load_root(root) };
}

/// Everything else this CPU needs before it runs threads.
pub fn set_up_cpu(params: &BootParams, index: u32) {
    tables::init(index, params.cpus[index as usize].node);
    apic::enable();
    syscall_entry::init();
}

/// Timers: the boot CPU measures for all, then every CPU prepares its own.
pub fn set_up_timer(index: u32) {
    if index == 0 {
        timer::measure();
    }
    timer::enable();
}
