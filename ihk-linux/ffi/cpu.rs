// SPDX-License-Identifier: GPL-2.0
//! CPUs as Linux knows them, the state co-kernel CPUs must share with them, clocks and sleeping.

use core::arch::asm;
use core::ptr::{addr_of, addr_of_mut};
use kernel::bindings;
use kernel::prelude::*;

/// CPUs Linux may ever have; numbers are below this.
pub(crate) fn possible_count() -> u32 {
    // SAFETY: set at boot, constant afterwards.
    unsafe { bindings::nr_cpu_ids }
}

/// Whether the machine has CPU `cpu`.
pub(crate) fn exists(cpu: u32) -> bool {
    // SAFETY: the mask is a static of the kernel; `test` bounds `cpu`.
    unsafe { test(cpu, addr_of_mut!(bindings::__cpu_present_mask)) }
}

/// Whether Linux runs on CPU `cpu` at this moment.
pub(crate) fn is_online(cpu: u32) -> bool {
    // SAFETY: as above.
    unsafe { test(cpu, addr_of_mut!(bindings::__cpu_online_mask)) }
}

/// The number of CPUs that Linux runs on at this moment.
pub(crate) fn online_count() -> u32 {
    let count = (0..possible_count()).filter(|&cpu| is_online(cpu)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// # Safety
///
/// `mask` must be one of the kernel's own masks.
unsafe fn test(cpu: u32, mask: *mut bindings::cpumask) -> bool {
    let Ok(bit) = c_int::try_from(cpu) else {
        return false;
    };
    // SAFETY: the caller's promise, and the bit is one the mask has.
    cpu < possible_count() && unsafe { bindings::cpumask_test_cpu(bit, mask) }
}

/// A mask of the one CPU `cpu`.
pub(crate) fn mask_of(cpu: u32) -> Result<KBox<bindings::cpumask>> {
    let mut mask = KBox::new(bindings::cpumask { bits: [0; 128] }, GFP_KERNEL)?;
    let word = mask.bits.get_mut(cpu as usize / 64).ok_or(EINVAL)?;
    *word = 1 << (cpu % 64);
    Ok(mask)
}

/// Reads Linux's per-CPU variable at `variable` for `cpu`.
///
/// # Safety
///
/// `variable` must be the address of a per-CPU variable, and `cpu` must exist.
unsafe fn per_cpu<T: Copy>(variable: *const T, cpu: u32) -> T {
    let offsets = addr_of!(bindings::__per_cpu_offset).cast::<usize>();
    // SAFETY: the offset table has an entry per possible CPU, and variable plus offset is that
    // CPU's instance.
    unsafe {
        let offset = offsets.add(cpu as usize).read();
        variable
            .cast::<u8>()
            .wrapping_add(offset)
            .cast::<T>()
            .read()
    }
}

/// Local APIC id of `cpu`.
pub(crate) fn apic_id(cpu: u32) -> Option<u32> {
    // SAFETY: the variable is per CPU and the CPU exists.
    exists(cpu).then(|| unsafe { per_cpu(addr_of!(bindings::x86_cpu_to_apicid), cpu) })
}

/// NUMA node of `cpu`; 0 where firmware names none.
pub(crate) fn node(cpu: u32) -> u32 {
    if !exists(cpu) {
        return 0;
    }
    // SAFETY: the variable is per CPU and the CPU exists.
    let node = unsafe { per_cpu(addr_of!(bindings::x86_cpu_to_node_map), cpu) };
    u32::try_from(node).unwrap_or(0)
}

/// Features and memory types Linux switched on, which programs were promised.
pub(crate) struct Features {
    /// Control register 4.
    pub(crate) cr4: u64,
    /// Extended control register 0.
    pub(crate) xcr0: u64,
    /// Page attribute table.
    pub(crate) pat: u64,
}

/// CR4 bit that says XCR0 exists.
const CR4_OSXSAVE: u64 = 1 << 18;
/// IA32_PAT.
const MSR_PAT: u32 = 0x277;

/// Reads them on the current CPU; they are the same on all.
pub(crate) fn features() -> Features {
    let cr4: u64;
    let (low, high): (u32, u32);
    // SAFETY: reading these has no side effect; every x86-64 CPU has a PAT.
    unsafe {
        asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags));
        asm!("rdmsr", in("ecx") MSR_PAT, out("eax") low, out("edx") high,
             options(nomem, nostack, preserves_flags));
    }
    let has_xcr0 = cr4 & CR4_OSXSAVE != 0;
    let xcr0 = if has_xcr0 {
        // SAFETY: it was just seen to exist.
        unsafe { xcr0() }
    } else {
        0
    };
    Features {
        cr4,
        xcr0,
        pat: join(low, high),
    }
}

/// The extended states that Linux has enabled.
///
/// # Safety
///
/// CR4.OSXSAVE is set.
unsafe fn xcr0() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: by contract XGETBV exists.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high,
             options(nomem, nostack, preserves_flags));
    }
    join(low, high)
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Time-stamp counter and CLOCK_MONOTONIC (ns) of the same moment: the closest of a few pairs, since
/// a hypervisor may take the CPU away between the two looks.
pub(crate) fn clock_pair() -> (u64, u64) {
    const TRIES: usize = 8;
    let _still = InterruptsOff::new();
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..TRIES {
        let before = tsc();
        // SAFETY: no requirement.
        let ns = unsafe { bindings::ktime_get() };
        let width = tsc().saturating_sub(before);
        if width < best.0 {
            best = (width, before + width / 2, u64::try_from(ns).unwrap_or(0));
        }
    }
    (best.1, best.2)
}

fn tsc() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: RDTSC has no side effect.
    unsafe {
        asm!("rdtsc", out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    join(low, high)
}

/// Frequency of the time-stamp counter, kHz.
pub(crate) fn tsc_khz() -> u64 {
    // SAFETY: set while Linux boots.
    u64::from(unsafe { bindings::tsc_khz })
}

/// CLOCK_MONOTONIC in microseconds.
pub(crate) fn now_us() -> u64 {
    // SAFETY: no requirement.
    u64::try_from(unsafe { bindings::ktime_get() }).unwrap_or(0) / 1000
}

/// Sleeps about `us` microseconds. Process context.
pub(crate) fn sleep_us(us: usize) {
    const UNINTERRUPTIBLE: u32 = 2;
    // SAFETY: process context, by this function's contract.
    unsafe { bindings::usleep_range_state(us, us + us / 4, UNINTERRUPTIBLE) };
}

/// Sleeps in short steps until `done` says so; `false` if `timeout_us` passed before. Process
/// context.
///
/// A step counts for no more than `MOST_US`: while a hypervisor keeps the machine from running,
/// whoever is waited for does not run either, and must not be blamed for it.
pub(crate) fn wait_until(timeout_us: u64, mut done: impl FnMut() -> bool) -> bool {
    const STEP_US: usize = 100;
    const MOST_US: u64 = 20_000;
    let mut left_us = timeout_us;
    let mut seen = now_us();
    loop {
        if done() {
            return true;
        }
        if left_us == 0 {
            return false;
        }
        sleep_us(STEP_US);
        let now = now_us();
        left_us = left_us.saturating_sub(now.saturating_sub(seen).min(MOST_US));
        seen = now;
    }
}

/// Interrupts of this CPU stay off while this lives.
pub(crate) struct InterruptsOff(usize);

impl InterruptsOff {
    /// Switches them off and remembers whether they were on.
    pub(crate) fn new() -> Self {
        let flags: usize;
        // SAFETY: `drop` puts the flag back on the same CPU, since nothing can migrate us.
        unsafe { asm!("pushfq; pop {}; cli", out(reg) flags) };
        Self(flags)
    }
}

impl Drop for InterruptsOff {
    fn drop(&mut self) {
        // SAFETY: the flags `new` saved.
        unsafe { asm!("push {}; popfq", in(reg) self.0) };
    }
}
