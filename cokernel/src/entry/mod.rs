// SPDX-License-Identifier: GPL-2.0
//! Entry from outside: the Rust halves of the entry stubs in [`crate::arch`], which call them by the names
//! of their symbols; the order of booting; and Linux's orders.

#[expect(
    unsafe_code,
    reason = "statics that only the boot CPU touches, and symbols of the linker script"
)]
pub mod boot;
pub mod exception;
pub mod host_orders;
#[expect(unsafe_code, reason = "what the boot CPU does once, before any other")]
pub mod init;
pub mod int80;
#[expect(
    unsafe_code,
    reason = "called by the stub with the address of the boot parameters"
)]
pub mod start;
#[expect(unsafe_code, reason = "called by the stub with the address of a frame")]
pub mod syscall;
pub mod timer_interrupt;
#[expect(
    unsafe_code,
    reason = "called by the stubs with the address of a frame"
)]
pub mod trap;
