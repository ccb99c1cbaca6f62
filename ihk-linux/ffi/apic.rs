// SPDX-License-Identifier: GPL-2.0
//! Sending interrupts through Linux's own local APIC driver, which knows xAPIC, x2APIC and
//! hypervisors. Addressing is physical: the APIC id of the target.

use super::cpu::InterruptsOff;
use super::extra;

/// The driver Linux chose at boot.
fn driver() -> &'static extra::apic {
    // SAFETY: `apic` is set before modules can load and never changes afterwards.
    unsafe { &*extra::apic }
}

/// Writes the interrupt command register of the CPU it happens to run on.
fn send(command: u32, apic_id: u32) {
    let apic = driver();
    let Some(write) = apic.icr_write else { return };
    let _here = InterruptsOff::new();
    // SAFETY: both are the driver's own functions; interrupts are off, so the two halves of the
    // register are written on one CPU without anyone in between.
    unsafe {
        if let Some(wait_idle) = apic.wait_icr_idle {
            wait_idle();
        }
        write(command, apic_id);
    }
}

/// Resets CPU `apic_id`: it stops at once and waits for [`startup`]. [`end_reset`] follows after
/// 10 ms.
pub(crate) fn reset(apic_id: u32) {
    send(
        extra::APIC_INT_LEVELTRIG | extra::APIC_INT_ASSERT | extra::APIC_DM_INIT,
        apic_id,
    );
}

/// Ends the reset signal (a no-op on CPUs that need none).
pub(crate) fn end_reset(apic_id: u32) {
    send(extra::APIC_INT_LEVELTRIG | extra::APIC_DM_INIT, apic_id);
}

/// Starts CPU `apic_id` in real mode at physical page `page` (below 256).
pub(crate) fn startup(apic_id: u32, page: u8) {
    send(extra::APIC_DM_STARTUP | u32::from(page), apic_id);
}

/// Interrupts CPU `apic_id` with `vector`.
pub(crate) fn ring(apic_id: u32, vector: u8) {
    send(
        extra::APIC_DM_FIXED | extra::APIC_INT_ASSERT | u32::from(vector),
        apic_id,
    );
}

/// Interrupts CPU `apic_id` wherever it is.
pub(crate) fn interrupt_unmaskably(apic_id: u32) {
    send(extra::APIC_DM_NMI | extra::APIC_INT_ASSERT, apic_id);
}

/// Returns what a co-kernel writes into its interrupt command register to raise `vector` on the CPU
/// Linux calls `destination`: the destination in the high half, the command in the low half.
pub(crate) fn command_word(vector: u32, destination: u32) -> u64 {
    // The driver's own query, without side effects.
    let is_logical = driver().dest_mode_logical() != 0;
    let mode = if is_logical {
        extra::APIC_DEST_LOGICAL
    } else {
        0
    };
    u64::from(destination) << 32
        | u64::from(extra::APIC_DM_FIXED | extra::APIC_INT_ASSERT | mode | vector)
}

/// Raises what a [`command_word`] says, as a co-kernel would.
pub(crate) fn raise(word: u64) {
    send(word as u32, (word >> 32) as u32);
}

/// Whether Linux runs the local APICs in x2APIC mode.
pub(crate) fn is_x2apic() -> bool {
    // SAFETY: set before modules can load and never changed afterwards.
    unsafe { extra::x2apic_mode != 0 }
}
