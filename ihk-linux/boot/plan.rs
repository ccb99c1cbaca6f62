// SPDX-License-Identifier: GPL-2.0
//! The plan of a boot: CPUs in order, memory, and the boot area in it.

use super::area::BootArea;
use crate::instance::Steering;
use crate::proto::layout::{MAX_CPUS, MAX_MEMORY_RANGES};
use crate::resource::memory::Run;
use kernel::prelude::*;

/// The CPUs of a boot in their order, and where its memory holds what.
pub(super) struct Plan {
    pub(super) runs: KVVec<Run>,
    pub(super) area: BootArea,
    pub(super) entry: u64,
    /// Linux's numbers in the co-kernel's order, which is ascending.
    pub(super) cpus: KVec<u32>,
}

impl Plan {
    /// For the next boot; errors as [`super::boot`] says.
    pub(super) fn make(steering: &Steering) -> Result<Self> {
        let image = steering.image.as_ref().ok_or(ENOENT)?;
        let mut cpus = KVec::new();
        for cpu in steering.cpus.iter() {
            cpus.push(cpu.number(), GFP_KERNEL)?;
        }
        // However they came: the tools, and maps of who serves whom, count them so.
        cpus.sort_unstable();
        if cpus.is_empty() {
            return Err(ENXIO);
        }
        if steering.memory.is_empty() {
            return Err(ENOMEM);
        }
        let runs = steering.memory.runs()?;
        if runs.len() > MAX_MEMORY_RANGES || cpus.len() > MAX_CPUS {
            return Err(E2BIG);
        }
        let area = BootArea::place(&runs, image.bytes().len() as u64, cpus.len() as u64)?;
        Ok(Self {
            runs,
            area,
            entry: image.entry(),
            cpus,
        })
    }
}
