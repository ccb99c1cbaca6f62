// SPDX-License-Identifier: GPL-2.0
//! x86-64, the only architecture so far.

pub mod apic;
pub mod backtrace;
pub mod boot;
pub mod clear;
pub mod context;
pub mod cpu;
mod exception;
pub mod features;
pub mod fpu;
pub mod frame;
mod gdt;
mod idt;
mod msr;
pub mod protection_key;
pub mod pte;
mod syscall_entry;
mod tables;
pub mod time;
pub mod timer;
pub mod tlb;
pub mod trap;
pub mod uaccess;
