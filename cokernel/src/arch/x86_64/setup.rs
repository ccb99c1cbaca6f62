// SPDX-License-Identifier: GPL-2.0
//! The entry stub, and what the hardware of each CPU needs before it runs threads.

use super::pte;
use super::{apic, clear, cpu, features, fpu, idt, syscall_entry, tables, timer};
use crate::params::Params;

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

/// Gives this CPU its number and its words. First of all.
///
/// # Safety
///
/// No other CPU has the number `index`.
pub unsafe fn init_cpu(params: Params, index: u32) {
    let node = params.cpus[index as usize].node;
    // SAFETY: the caller's promise.
    unsafe { cpu::init(index, node, params.cpu_count) };
}

/// Prepares, on the boot CPU, all that is common to the CPUs, once its own page tables are built and the
/// local APIC's registers mapped.
///
/// # Safety
///
/// Once, before any CPU is [set up](set_up_cpu).
pub unsafe fn prepare_all(params: Params) {
    // SAFETY: the caller's promise.
    unsafe { idt::init() };
    apic::init(params);
    fpu::init();
    clear::init();
}

/// Features of this CPU, as programs were promised; before the kernel's page tables are loaded.
pub fn enable_features(params: Params) {
    features::enable(params, cpu::cpu_index(), cpu::cpu_node());
}

/// Leaves ihk.ko's page tables for the kernel's own, which were built.
pub fn load_kernel_tables() {
    let root = pte::kernel_root();
    assert!(!root.is_null(), "no page tables yet");
    // SAFETY: who made them the kernel's said that they map what it needs; they stay for ever.
    unsafe { pte::load_root(root) };
}

/// Everything else this CPU needs before it runs threads.
pub fn set_up_cpu() {
    tables::init();
    apic::enable();
    syscall_entry::init();
}

/// Timers: the boot CPU measures for all, then every CPU prepares its own.
pub fn set_up_timer() {
    if cpu::cpu_index() == 0 {
        timer::measure();
    }
    timer::enable();
}
