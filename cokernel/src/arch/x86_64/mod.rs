// SPDX-License-Identifier: GPL-2.0
//! x86-64, the only architecture so far.

pub mod apic;
pub mod backtrace;
pub mod clear;
pub mod context;
pub mod cpu;
pub mod exception;
pub mod features;
pub mod fpu;
pub mod frame;
mod gdt;
pub mod idt;
mod msr;
pub mod protection_key;
pub mod pte;
pub mod setup;
mod syscall_entry;
mod tables;
pub mod time;
pub mod timer;
pub mod tlb;
pub mod trap;
pub mod uaccess;
