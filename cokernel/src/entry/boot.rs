// SPDX-License-Identifier: GPL-2.0
//! The boot CPU's first work, from ihk.ko's parameters: the description of the machine, and the kernel's
//! own page tables.
//!
//! An ordinary `BootInfo` is made from `BootParams`, so that what follows is what any bootloader would enter.

use core::mem::MaybeUninit;

use bootloader_api::info::{MemoryRegion, MemoryRegionKind, MemoryRegions};
use bootloader_api::BootInfo;
use cokernel_logic::memory_map::cut_out;
use ihk_ikc::boot::MemoryRange;
use ihk_ikc::layout::{
    DIRECT_MAP_BASE, IMAGE_BASE, LAPIC_BASE, LARGE_PAGE_BYTES, MAX_MEMORY_RANGES, PAGE_BYTES,
};
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::pte::{Flags, PageSize};
use crate::arch::{self, apic};
use crate::aspace::page_table::{self, PageTable};
use crate::cell::OwnedCell;
use crate::params::Params;
use crate::partition;

extern "C" {
    static __image_start: u8;
    static __rodata_start: u8;
    static __data_start: u8;
    static __image_end: u8;
}

/// Regions of the memory map: every range, and the parts cut out of two of them.
const MAX_REGIONS: usize = MAX_MEMORY_RANGES + 4;

static REGIONS: OwnedCell<[MemoryRegion; MAX_REGIONS]> = OwnedCell::new(
    [MemoryRegion {
        start: 0,
        end: 0,
        kind: MemoryRegionKind::Bootloader,
    }; MAX_REGIONS],
);

static BOOT_INFO: OwnedCell<MaybeUninit<BootInfo>> = OwnedCell::new(MaybeUninit::uninit());

/// The memory map and the rest of `BootInfo`, from ihk.ko's parameters.
///
/// # Safety
///
/// Called once.
pub unsafe fn boot_info(params: Params) -> &'static mut BootInfo {
    // SAFETY: once, by contract.
    let regions = unsafe { REGIONS.get_mut() };
    let count = fill_regions(params, regions);
    let mut info = BootInfo::new(MemoryRegions::from(&mut regions[..count]));
    info.physical_memory_offset = Some(DIRECT_MAP_BASE).into();
    info.kernel_addr = params.image.phys;
    info.kernel_len = params.image.bytes;
    info.kernel_image_offset = IMAGE_BASE;
    info.kernel_stack_bottom = params.stacks.phys + DIRECT_MAP_BASE;
    info.kernel_stack_len = params.stacks.bytes;
    // SAFETY: once, by contract.
    unsafe { BOOT_INFO.get_mut() }.write(info)
}

/// One region per memory range; the boot area, at the start of one of them, is a region of its own.
fn fill_regions(params: Params, regions: &mut [MemoryRegion]) -> usize {
    let mut count = 0;
    let ranges = &params.memory[..params.memory_count as usize];
    let parts = |range: &MemoryRange| cut_out(range.region, params.boot_area);
    for part in ranges
        .iter()
        .flat_map(parts)
        .filter(|part| part.start < part.end)
    {
        let kind = if part.is_usable {
            MemoryRegionKind::Usable
        } else {
            MemoryRegionKind::Bootloader
        };
        let (start, end) = (part.start, part.end);
        regions[count] = MemoryRegion { start, end, kind };
        count += 1;
    }
    count
}

/// Builds the kernel's page tables. The boot CPU, once.
pub fn build_kernel_tables(params: Params) {
    let mut tables = PageTable::new_kernel().expect("no memory for page tables");
    map_partition(&mut tables, params);
    map_image(&mut tables, params);
    // SAFETY: that is what was just mapped.
    unsafe { page_table::set_kernel(tables) };
}

/// Maps the registers of the local APIC, if they are memory. The boot CPU, once, when its own tables
/// are loaded.
pub fn map_local_apic() {
    if let Some((registers, flags)) = apic::registers() {
        // SAFETY: there the kernel expects these registers.
        unsafe { page_table::map_kernel(LAPIC_BASE, registers, PageSize::Small, flags) }
            .expect("mapping the local APIC");
    }
}

/// The direct map: the partition and nothing else, readable and writable, never executable.
fn map_partition(tables: &mut PageTable, params: Params) {
    let flags = Flags {
        read: true,
        write: true,
        ..Flags::default()
    };
    for range in &params.memory[..params.memory_count as usize] {
        let (mut at, end) = (range.region.phys, range.region.phys + range.region.bytes);
        while at < end {
            let giant = PageSize::Giant.bytes();
            let size = if arch::has_giant_pages() && at % giant == 0 && end - at >= giant {
                PageSize::Giant
            } else {
                PageSize::Large
            };
            // SAFETY: there the kernel expects the partition.
            unsafe { tables.map_unowned(DIRECT_MAP_BASE + at, PhysAddr::new(at), size, flags) }
                .expect("direct map");
            at += size.bytes();
        }
    }
}

/// The image: code is not writable, data not executable.
fn map_image(tables: &mut PageTable, params: Params) {
    let start = (&raw const __image_start).addr() as u64;
    let rodata = (&raw const __rodata_start).addr() as u64;
    let data = (&raw const __data_start).addr() as u64;
    let end = (&raw const __image_end).addr() as u64;
    assert!(
        end - start <= params.image.bytes,
        "the image does not fit its region"
    );
    for va in (start..end).step_by(to_usize(PAGE_BYTES)) {
        let flags = Flags {
            read: true,
            write: va >= data,
            exec: va < rodata,
            ..Flags::default()
        };
        let pa = PhysAddr::new(params.image.phys + (va - IMAGE_BASE));
        // SAFETY: it has been there since the CPU entered the image.
        unsafe { tables.map_unowned(va, pa, PageSize::Small, flags) }.expect("image");
    }
}

/// The reason why boot parameters are refused; `None` if they are sound.
pub fn reason_to_refuse(params: Params) -> Option<&'static str> {
    let memory = match params.memory.get(..params.memory_count as usize) {
        Some(memory) if !memory.is_empty() => memory,
        _ => return Some("boot parameters: bad number of memory ranges"),
    };
    let mut frames = 0;
    let mut free_from = 0;
    for range in memory {
        let region = range.region;
        let aligned = (region.phys | region.bytes) % LARGE_PAGE_BYTES == 0 && region.bytes != 0;
        if !aligned || region.phys < free_from || u64::from(range.first_frame) != frames {
            return Some("boot parameters: malformed memory range");
        }
        frames += region.bytes / PAGE_BYTES;
        free_from = region.phys + region.bytes;
    }
    if !partition::map().contains(params.boot_area.phys, params.boot_area.bytes)
        || params.boot_area.phys % PAGE_BYTES != 0
    {
        return Some("boot parameters: boot area outside the partition");
    }
    (params.tsc_khz == 0).then_some("boot parameters: frequency of the time-stamp counter unknown")
}
