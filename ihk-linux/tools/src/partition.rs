// SPDX-License-Identifier: GPL-2.0
//! A whole instance in one go: from Linux's cores and memory to RUNNING, and back.

use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};

use ihk_ikc::uapi::{status, CpuSet, MemorySpec};
use nix::errno::Errno;

use crate::device::{Mcd, Mcos};
use crate::failure::{plain, Failure, Result};
use crate::image::{self, Image};
use crate::operand::{parse_cpus, parse_memory};
use crate::reasons::{reason, Action};
use crate::record::{self, Record, Request};
use crate::undo::Undo;
use crate::{group, instance, list, memory, topology, views};

/// A request whose every word was understood.
#[derive(Debug)]
pub struct Plan {
    /// As typed.
    pub request: Request,
    /// `None`: the upper half of the cores.
    pub cpus: Option<CpuSet>,
    /// `None`: a quarter of the free memory.
    pub memory: Option<MemorySpec>,
    /// The co-kernel.
    pub image: Image,
    /// Group id.
    pub gid: Option<u32>,
}

impl Plan {
    /// Understands `request` as far as that needs no change of the machine.
    ///
    /// # Errors
    ///
    /// A word that cannot be understood or fulfilled.
    pub fn new(request: Request) -> Result<Self> {
        let cpus = request.cpu.as_deref().map(|text| {
            let what = format!("cpu {text}");
            let cpus = parse_cpus(&what, text)?;
            topology::check_cpus(&what, &cpus).map(|()| cpus)
        });
        let memory = request.mem.as_deref().map(|text| {
            let what = format!("mem {text}");
            let memory = parse_memory(&what, text)?;
            topology::check_nodes(&what, &memory).map(|()| memory)
        });
        Ok(Self {
            cpus: cpus.transpose()?,
            memory: memory.transpose()?,
            image: image::read(&request.image)?,
            gid: request.group.as_deref().map(group::id).transpose()?,
            request,
        })
    }

    /// The CPUs to take now.
    ///
    /// # Errors
    ///
    /// No default can be chosen.
    pub fn choose_cpus(&self) -> Result<CpuSet> {
        self.cpus.map_or_else(topology::upper_half, Ok)
    }

    /// The memory to take now.
    ///
    /// # Errors
    ///
    /// No default can be chosen.
    pub fn choose_memory(&self) -> Result<MemorySpec> {
        self.memory
            .map_or_else(topology::quarter_of_free_memory, Ok)
    }
}

/// Whether instance `os` runs and is what `plan` asks for.
#[must_use]
pub fn is_fulfilled(os: &Mcos, plan: &Plan) -> bool {
    let Some(record) = record::read(os.number()) else {
        return false;
    };
    record.request == plan.request
        && record.build_id == plan.image.build_id
        && os.status() == Ok(status::RUNNING)
        && os.cpus().is_ok_and(|cpus| list::print(&cpus) == record.cpu)
        && os
            .memory()
            .is_ok_and(|memory| memory::print(&memory) == record.mem)
}

/// Builds instance `number` and boots it; on failure everything is as it was.
///
/// # Errors
///
/// Of the step that failed.
pub fn build(mcd: &Mcd, number: u32, plan: &Plan) -> Result {
    let (cpus, memory) = (plan.choose_cpus()?, plan.choose_memory()?);
    let mut undo = Undo::default();
    reserve(mcd, &cpus, &memory, &mut undo)?;
    let created = mcd
        .create()
        .map_err(|errno| Failure::refused("create", reason(Action::Create, errno)))?;
    undo.push(move || {
        let _ = mcd.destroy(created, true);
    });
    if created != number {
        let text = format!("the next free number is {created}");
        return Err(Failure::refused(format_args!("os {number}"), text));
    }
    let os = Mcos::open_created(number)?;
    instance::assign_cpus(&os, &list::print(&cpus))?;
    instance::assign_memory(&os, &memory::print(&memory))?;
    instance::load(&os, &plan.image)?;
    instance::set_kargs(&os, &plan.request.kargs)?;
    instance::boot(&os)?;
    if let Some(gid) = plan.gid {
        let_group_run(&os, gid)?;
    }
    let record = Record {
        request: plan.request.clone(),
        cpu: list::print(&cpus),
        mem: memory::print(&memory),
        build_id: plan.image.build_id.clone(),
    };
    record::write(number, &record)?;
    undo.keep();
    Ok(())
}

/// Takes from Linux what is not reserved already.
fn reserve<'a>(mcd: &'a Mcd, cpus: &CpuSet, memory: &MemorySpec, undo: &mut Undo<'a>) -> Result {
    let query = |errno: Errno| Failure::refused("query", reason(Action::Other, errno));
    let cpus = list::difference(cpus, &mcd.cpus().map_err(query)?);
    if !list::is_empty(&cpus) {
        let failed = |errno| {
            Failure::refused(
                format_args!("reserve cpu {}", list::print(&cpus)),
                reason(Action::ReserveCpu, errno),
            )
        };
        mcd.reserve_cpus(&cpus).map_err(failed)?;
        undo.push(move || {
            let _ = mcd.release_cpus(&cpus);
        });
    }
    let memory = memory::missing(memory, &mcd.memory().map_err(query)?);
    if !memory::is_empty(&memory) {
        let text = memory::print(&memory);
        let failed = |errno| {
            Failure::refused(
                format_args!("reserve mem {text}"),
                reason(Action::ReserveMemory, errno),
            )
        };
        mcd.reserve_memory(&memory).map_err(failed)?;
        undo.push(move || {
            let _ = mcd.release_memory(&memory);
        });
    }
    Ok(())
}

/// Group `gid` may run programs on `os`.
fn let_group_run(os: &Mcos, gid: u32) -> Result {
    let what = format!("group {gid}");
    os.set_group(gid)
        .map_err(|errno| Failure::refused(&what, reason(Action::Other, errno)))?;
    let node = format!("/dev/mcos{}", os.number());
    let changed = chown(&node, None, Some(gid))
        .and_then(|()| fs::set_permissions(&node, fs::Permissions::from_mode(0o660)));
    changed.map_err(|error| Failure::refused(what, plain(&error)))
}

/// Shuts `os` down, destroys it and gives all it held back to Linux.
///
/// # Errors
///
/// Programs run and `force` is not set, or a step failed.
pub fn take_down(mcd: &Mcd, os: Mcos, force: bool) -> Result {
    let number = os.number();
    let query = |errno: Errno| Failure::refused("query", reason(Action::Other, errno));
    let (cpus, memory) = (os.cpus().map_err(query)?, os.memory().map_err(query)?);
    if matches!(os.status().map_err(query)?, status::RUNNING) {
        instance::shutdown(&os, force)?;
    }
    drop(os);
    let destroyed = mcd.destroy(number, force);
    destroyed.map_err(|errno| {
        Failure::refused(
            format_args!("destroy {number}"),
            reason(Action::Stop, errno),
        )
    })?;
    record::forget(number);
    views::forget(number);
    give_back(mcd, &cpus, &memory)
}

/// Gives reserved CPUs and memory back to Linux.
///
/// # Errors
///
/// They are not reserved any more, or Linux does not take them.
pub fn give_back(mcd: &Mcd, cpus: &CpuSet, memory: &MemorySpec) -> Result {
    if !list::is_empty(cpus) {
        let what = format!("release cpu {}", list::print(cpus));
        mcd.release_cpus(cpus)
            .map_err(|errno| Failure::refused(what, reason(Action::UseReserved, errno)))?;
    }
    if !memory::is_empty(memory) {
        let what = format!("release mem {}", memory::print(memory));
        mcd.release_memory(memory)
            .map_err(|errno| Failure::refused(what, reason(Action::UseReserved, errno)))?;
    }
    Ok(())
}
