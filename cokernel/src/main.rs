// SPDX-License-Identifier: GPL-2.0
//! The co-kernel.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
