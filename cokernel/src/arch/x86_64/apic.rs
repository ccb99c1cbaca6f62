// SPDX-License-Identifier: GPL-2.0
//! The local APIC: interrupts from Linux and from the other CPUs, and to them.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use ihk_ikc::layout::{COKERNEL_IPI_VECTOR, LAPIC_BASE, MAX_CPUS};
use x86_64::registers::model_specific::ApicBase;
use x86_64::PhysAddr;

use super::msr;
use super::pte::Flags;
use super::time::Deadline;
use crate::addr::to_usize;
use crate::params::Params;

/// Register offsets in xAPIC mode; the x2APIC register is offset / 16.
mod register {
    pub(super) const TASK_PRIORITY: u32 = 0x80;
    pub(super) const END_OF_INTERRUPT: u32 = 0xb0;
    pub(super) const SPURIOUS: u32 = 0xf0;
    pub(super) const ERROR_STATUS: u32 = 0x280;
    pub(super) const COMMAND_LOW: u32 = 0x300;
    pub(super) const COMMAND_HIGH: u32 = 0x310;
    pub(super) const LVT_TIMER: u32 = 0x320;
    pub(super) const LVT_THERMAL: u32 = 0x330;
    pub(super) const LVT_PERFORMANCE: u32 = 0x340;
    pub(super) const LVT_LINT0: u32 = 0x350;
    pub(super) const LVT_LINT1: u32 = 0x360;
    pub(super) const LVT_ERROR: u32 = 0x370;
    pub(super) const TIMER_INITIAL: u32 = 0x380;
    pub(super) const TIMER_CURRENT: u32 = 0x390;
    pub(super) const TIMER_DIVIDE: u32 = 0x3e0;
}

/// In the base register: x2APIC mode.
const BASE_X2APIC: u64 = 1 << 10;
/// APIC on, spurious vector 0xff.
const ENABLED: u32 = 0x1ff;
const MASKED: u32 = 1 << 16;
/// Index of uncached memory in Linux's page attribute table.
const UNCACHED: u64 = 3;
/// Delivery status of the command register.
const PENDING: u32 = 1 << 12;
/// Fixed delivery, physical destination, edge, asserted.
const FIXED: u32 = 1 << 14;
const NMI: u32 = 1 << 14 | 4 << 8;
const DIVIDE_BY_1: u32 = 0xb;
/// The longest time that the command register may stay busy.
const SEND_LIMIT_US: u64 = 1000;

static X2APIC: AtomicBool = AtomicBool::new(false);
static APIC_IDS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// The physical address of the registers, and the flags for mapping them at [`LAPIC_BASE`] before
/// [`init`]; `None` in x2APIC mode, in which they are no memory.
pub fn registers() -> Option<(PhysAddr, Flags)> {
    let (start, base) = ApicBase::read_raw();
    let flags = Flags {
        read: true,
        write: true,
        caching: UNCACHED,
        ..Flags::default()
    };
    (base & BASE_X2APIC == 0).then(|| (start.start_address(), flags))
}

/// Finds the mode. The boot CPU, once, with the [`registers`] mapped.
pub(super) fn init(params: Params) {
    let (_, base) = ApicBase::read_raw();
    X2APIC.store(base & BASE_X2APIC != 0, Ordering::Relaxed);
    for (id, cpu) in APIC_IDS.iter().zip(&params.cpus) {
        id.store(cpu.apic_id, Ordering::Relaxed);
    }
}

/// Switches this CPU's APIC on (INIT switched it off) and masks all local sources.
pub(super) fn enable() {
    use register as r;
    write(r::SPURIOUS, ENABLED);
    write(r::TASK_PRIORITY, 0);
    write(r::TIMER_DIVIDE, DIVIDE_BY_1);
    for entry in [
        r::LVT_TIMER,
        r::LVT_THERMAL,
        r::LVT_PERFORMANCE,
        r::LVT_LINT0,
        r::LVT_LINT1,
        r::LVT_ERROR,
    ] {
        write(entry, MASKED | 0xff);
    }
    write(r::ERROR_STATUS, 0);
}

/// The interrupt being handled is done.
pub fn end_of_interrupt() {
    write(register::END_OF_INTERRUPT, 0);
}

/// Interrupts co-kernel CPU `cpu`.
pub fn send_ipi(cpu: u32) {
    send_command(apic_id(cpu), FIXED | u32::from(COKERNEL_IPI_VECTOR));
}

/// Sends this CPU a non-maskable interrupt (tests).
pub fn send_nmi(cpu: u32) {
    send_command(apic_id(cpu), NMI);
}

/// Rings a doorbell as `InstanceControl::doorbells` states it.
pub fn send(doorbell: u64) {
    let low = (doorbell & 0xffff_ffff) as u32;
    send_command((doorbell >> 32) as u32, low);
}

/// Starts the timer's count-down: an interrupt after `count` ticks of the APIC's clock; 0 stops it.
pub(super) fn start_timer(count: u32) {
    write(register::TIMER_INITIAL, count);
}

/// The rest of the count-down.
pub(super) fn timer_left() -> u32 {
    read(register::TIMER_CURRENT)
}

/// Says what the timer does when it expires: the vector and mode bits.
pub(super) fn set_timer_entry(entry: u32) {
    write(register::LVT_TIMER, entry);
}

fn apic_id(cpu: u32) -> u32 {
    APIC_IDS[cpu as usize].load(Ordering::Relaxed)
}

fn send_command(destination: u32, low: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // The interrupted CPU must see all earlier stores: this register's write does not wait for
        // them.
        // SAFETY: fences; then the register exists in x2APIC mode, and interrupts are allowed to
        // anybody who published a doorbell or is one of our CPUs.
        unsafe {
            core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
            msr::write(
                x2apic(register::COMMAND_LOW),
                u64::from(destination) << 32 | u64::from(low),
            );
        }
        return;
    }
    let deadline = Deadline::after_us(SEND_LIMIT_US);
    while read(register::COMMAND_LOW) & PENDING != 0 && !deadline.passed() {
        core::hint::spin_loop();
    }
    write(register::COMMAND_HIGH, destination << 24);
    write(register::COMMAND_LOW, low);
}

const fn x2apic(register: u32) -> u32 {
    msr::X2APIC_BASE + register / 16
}

fn read(register: u32) -> u32 {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: the register exists in x2APIC mode.
        return (unsafe { msr::read(x2apic(register)) } & 0xffff_ffff) as u32;
    }
    // SAFETY: the page was mapped before `init`.
    unsafe { address(register).read_volatile() }
}

fn write(register: u32, value: u32) {
    if X2APIC.load(Ordering::Relaxed) {
        // SAFETY: the register exists in x2APIC mode, and those that this file names concern interrupts
        // only, of which each vector has a handler.
        return unsafe { msr::write(x2apic(register), u64::from(value)) };
    }
    // SAFETY: the page was mapped before `init`; else as above.
    unsafe { address(register).write_volatile(value) }
}

fn address(register: u32) -> *mut u32 {
    core::ptr::with_exposed_provenance_mut(to_usize(LAPIC_BASE + u64::from(register)))
}
