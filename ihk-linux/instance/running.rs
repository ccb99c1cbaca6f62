// SPDX-License-Identifier: GPL-2.0
//! Booted instances as interrupts and the service see them: looked up without a lock, by read-copy-
//! update.

use super::Instance;
use crate::ffi::{self, apic, cpu, pages};
use crate::ikc::channel::CpuLink;
use crate::ikc::kmsg::LiveLog;
use crate::ikc::shared::Shared;
use crate::proto::boot::MemoryRange;
use crate::proto::control::InstanceControl;
use crate::proto::layout::{Region, MAX_INSTANCES, PAGE_BYTES};
use crate::service::{self, Attachment};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use kernel::prelude::*;
use kernel::sync::{rcu, Arc};

/// The regions of the instance's memory that both kernels use.
pub(crate) struct SharedRegions {
    /// Words of life.
    pub(crate) control: Region,
    /// The log.
    pub(crate) kmsg: Region,
    /// A channel for each CPU.
    pub(crate) channels: Region,
    /// The exposed bitmap.
    pub(crate) exposed: Region,
}

/// A booted instance. Its memory and CPUs stay the instance's as long as it is published.
pub(crate) struct Running {
    /// The instance.
    pub(crate) instance: Arc<Instance>,
    /// Index = number inside the co-kernel.
    pub(crate) cpus: KVec<CpuLink>,
    /// The memory, ascending.
    ranges: KVVec<MemoryRange>,
    /// Words of life.
    pub(crate) control: Shared<InstanceControl>,
    /// Its log.
    pub(crate) log: LiveLog,
    exposed: Region,
    /// The co-kernel can be talked to.
    is_alive: AtomicBool,
    /// The service that knows of it and gets its packets, if one does.
    pub(crate) service: Attachment,
}

impl Running {
    /// The view of an instance whose boot area is filled and whose CPUs stand still.
    ///
    /// # Safety
    ///
    /// `regions` and `ranges` must be memory of the instance and stay so until the value is dropped.
    pub(crate) unsafe fn new(
        instance: Arc<Instance>,
        regions: &SharedRegions,
        ranges: KVVec<MemoryRange>,
        apic_ids: &[u32],
    ) -> Result<Arc<Self>> {
        let mut cpus = KVec::with_capacity(apic_ids.len(), GFP_KERNEL)?;
        for (index, &apic_id) in apic_ids.iter().enumerate() {
            // SAFETY: the caller's promise.
            let link = unsafe { CpuLink::new(apic_id, regions.channels, index)? };
            cpus.push(link, GFP_KERNEL)?;
        }
        let service = Attachment::new(instance.number);
        let running = Self {
            instance,
            cpus,
            ranges,
            // SAFETY: the caller's promise; the control words are atomics.
            control: unsafe { Shared::in_region(regions.control, 0)? },
            // SAFETY: the caller's promise.
            log: unsafe { LiveLog::create(regions.kmsg)? },
            exposed: regions.exposed,
            is_alive: AtomicBool::new(false),
            service,
        };
        Ok(Arc::new(running, GFP_KERNEL)?)
    }

    /// Whether the co-kernel can be talked to.
    pub(crate) fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::Acquire)
    }

    /// The CPUs are about to start.
    pub(crate) fn set_alive(&self) {
        self.is_alive.store(true, Ordering::Release);
    }

    /// The number of programs that run. Process context.
    pub(crate) fn programs(&self) -> u32 {
        service::programs(self.instance.number)
    }

    /// Interrupts CPU `index` of the instance.
    pub(crate) fn ring(&self, index: usize) {
        if let Some(link) = self.cpus.get(index) {
            link.ring();
        }
    }

    /// The heartbeat of CPU `index`, a counter that moves while it lives; 0 if there is no such CPU.
    pub(crate) fn heartbeat(&self, index: usize) -> u64 {
        let beats = self.control.heartbeats.get(index);
        beats.map_or(0, |beats| beats.load(Ordering::Acquire))
    }

    /// The non-maskable interrupts that CPU `index` has taken; 0 if there is no such CPU.
    pub(crate) fn nmis(&self, index: usize) -> u32 {
        let nmis = self.control.nmis.get(index);
        nmis.map_or(0, |nmis| nmis.load(Ordering::Acquire))
    }

    /// Interrupts CPU `index` of the instance wherever it is.
    pub(crate) fn interrupt_unmaskably(&self, index: usize) {
        if let Some(link) = self.cpus.get(index) {
            apic::interrupt_unmaskably(link.apic_id());
        }
    }

    /// Interrupts all CPUs of the instance.
    pub(crate) fn ring_all(&self) {
        for index in 0..self.cpus.len() {
            self.ring(index);
        }
    }

    /// Stops all CPUs wherever they are; they execute nothing until started again. Process
    /// context.
    pub(crate) fn reset_cpus(&self) {
        /// The duration of the reset signal.
        const RESET_US: usize = 10_000;
        self.assert_reset();
        cpu::sleep_us(RESET_US);
        for link in self.cpus.iter() {
            apic::end_reset(link.apic_id());
        }
    }

    /// The first half of [`Self::reset_cpus`], which is enough when Linux goes down. Any context.
    pub(crate) fn assert_reset(&self) {
        self.is_alive.store(false, Ordering::Release);
        for link in self.cpus.iter() {
            apic::reset(link.apic_id());
        }
    }

    /// Linux's address of the physical range if it lies in one run of the partition.
    pub(crate) fn to_virtual(&self, phys: u64, bytes: u64) -> Option<*mut u8> {
        let range = self.range_of(phys)?;
        let room = range.region.bytes - (phys - range.region.phys);
        (bytes <= room).then(|| pages::to_virtual(phys))
    }

    /// Partition-wide number of the frame at `phys`.
    pub(crate) fn frame_number(&self, phys: u64) -> Option<u32> {
        let range = self.range_of(phys)?;
        let offset = u32::try_from((phys - range.region.phys) / PAGE_BYTES).ok()?;
        range.first_frame.checked_add(offset)
    }

    /// Physical address of frame `frame`.
    pub(crate) fn frame_address(&self, frame: u32) -> Option<u64> {
        let after = self
            .ranges
            .partition_point(|range| range.first_frame <= frame);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        let offset = u64::from(frame - range.first_frame) * PAGE_BYTES;
        (offset < range.region.bytes).then_some(range.region.phys + offset)
    }

    /// The exposed bitmap and its length in words.
    pub(crate) fn exposed(&self) -> (*mut u64, u64) {
        (
            pages::to_virtual(self.exposed.phys).cast(),
            self.exposed.bytes / 8,
        )
    }

    fn range_of(&self, phys: u64) -> Option<&MemoryRange> {
        let after = self
            .ranges
            .partition_point(|range| range.region.phys <= phys);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (phys - range.region.phys < range.region.bytes).then_some(range)
    }
}

/// Index = instance number. Each non-null pointer owns a reference.
static TABLE: [AtomicPtr<Running>; MAX_INSTANCES] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_INSTANCES];

/// Makes `running` visible. Its number must be free in the table.
pub(crate) fn publish(running: Arc<Running>) {
    if let Some(slot) = TABLE.get(running.instance.number as usize) {
        slot.store(Arc::into_raw(running).cast_mut(), Ordering::Release);
    }
}

/// Makes instance `os` invisible; returns when nobody looks at it any more. Process context.
pub(crate) fn withdraw(os: u32) {
    let Some(slot) = TABLE.get(os as usize) else {
        return;
    };
    let pointer = slot.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if pointer.is_null() {
        return;
    }
    ffi::rcu::synchronize();
    // SAFETY: the table's reference, put there by `publish`.
    drop(unsafe { Arc::from_raw(pointer) });
}

/// Calls `look` with instance `os` if it is booted. `look` must not sleep. Any context.
pub(crate) fn with<R>(os: u32, look: impl FnOnce(&Running) -> R) -> Option<R> {
    let slot = TABLE.get(os as usize)?;
    let _guard = rcu::read_lock();
    // SAFETY: `withdraw` gives the table's reference up only after our guard is gone.
    unsafe { slot.load(Ordering::Acquire).as_ref() }.map(look)
}

/// Calls `look` with each booted instance, as [`with`].
pub(crate) fn for_each(mut look: impl FnMut(&Running)) {
    for os in 0..MAX_INSTANCES as u32 {
        let _ = with(os, &mut look);
    }
}
