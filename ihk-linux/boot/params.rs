// SPDX-License-Identifier: GPL-2.0
//! `BootParams`, filled from what Linux knows.

use super::area::BootArea;
use super::plan::Plan;
use crate::ffi::{apic, cpu, pages};
use crate::proto::boot::{BootParams, CpuEntry, MemoryRange, BOOT_MAGIC, KARGS_BYTES};
use crate::proto::layout::{Region, PAGE_BYTES};
use crate::proto::ABI_VERSION;
use crate::resource::memory::Run;
use kernel::prelude::*;

/// Writes the parameters of instance `number` to their place in the zeroed boot area.
///
/// # Safety
///
/// The boot area must be ours, zeroed, and no one may look at it.
pub(super) unsafe fn write(number: u32, plan: &Plan, apic_ids: &[u32], kargs: &[u8]) {
    let at = pages::to_virtual(plan.area.params.phys).cast::<BootParams>();
    // SAFETY: the caller's promise; zeroes are a valid value, and pages are aligned enough.
    let params = unsafe { &mut *at };
    params.magic = BOOT_MAGIC;
    params.abi_version = ABI_VERSION;
    params.bytes = size_of::<BootParams>() as u32;
    params.instance = number;
    describe_area(params, &plan.area);
    describe_machine(params);
    let length = kargs.len().min(KARGS_BYTES);
    for (target, byte) in params.kargs.iter_mut().zip(kargs) {
        *target = *byte;
    }
    params.kargs_bytes = length as u32;
    params.cpu_count = plan.cpus.len() as u32;
    for (index, entry) in params.cpus.iter_mut().enumerate().take(plan.cpus.len()) {
        let linux_cpu = plan.cpus.get(index).copied().unwrap_or(0);
        *entry = CpuEntry {
            apic_id: apic_ids.get(index).copied().unwrap_or(0),
            linux_cpu,
            node: cpu::node(linux_cpu),
            reserved: 0,
            boot_stack_top: plan.area.stack_top(index as u64),
        };
    }
    params.memory_count = plan.runs.len() as u32;
    for (entry, range) in params.memory.iter_mut().zip(numbered(&plan.runs)) {
        *entry = range;
    }
}

fn describe_area(params: &mut BootParams, area: &BootArea) {
    params.image = area.image;
    params.params = area.params;
    params.control = area.control;
    params.kmsg = area.kmsg;
    params.channels = area.channels;
    params.exposed = area.exposed;
    params.stacks = area.stacks;
    params.boot_area = area.whole;
}

fn describe_machine(params: &mut BootParams) {
    let features = cpu::features();
    params.x2apic = u32::from(apic::is_x2apic());
    params.linux_cr4 = features.cr4;
    params.linux_xcr0 = features.xcr0;
    params.linux_pat = features.pat;
    params.tsc_khz = cpu::tsc_khz();
    (params.boot_tsc, params.boot_monotonic_ns) = cpu::clock_pair();
}

/// The runs with their frames numbered through.
fn numbered(runs: &[Run]) -> impl Iterator<Item = MemoryRange> + '_ {
    runs.iter().scan(0u32, |next_frame, run| {
        let first_frame = *next_frame;
        *next_frame = first_frame.wrapping_add((run.bytes / PAGE_BYTES) as u32);
        let region = Region {
            phys: run.phys,
            bytes: run.bytes,
        };
        Some(MemoryRange {
            region,
            node: run.node,
            first_frame,
        })
    })
}

/// Returns the numbered runs for Linux's own use.
pub(super) fn memory_ranges(runs: &[Run]) -> Result<KVVec<MemoryRange>> {
    let mut ranges = KVVec::with_capacity(runs.len(), GFP_KERNEL)?;
    for range in numbered(runs) {
        ranges.push(range, GFP_KERNEL)?;
    }
    Ok(ranges)
}
