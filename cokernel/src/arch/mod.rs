// SPDX-License-Identifier: GPL-2.0
//! The names every architecture owes the rest of the kernel.

mod x86_64;

pub use x86_64::clear::clear;
pub use x86_64::cpu::{
    attention, cpu_count, cpu_index, cpu_node, halt_forever, relax, request_attention,
    set_attention_handler, take_interrupts, this_cpu, wait_for_interrupt,
};
pub use x86_64::features::has_giant_pages;
pub use x86_64::frame::UserFrame;
pub use x86_64::{
    apic, backtrace, context, exception, fpu, idt, protection_key, pte, setup, time, timer, tlb,
    uaccess,
};
