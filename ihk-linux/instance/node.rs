// SPDX-License-Identifier: GPL-2.0
//! The node's pool: what is reserved and not assigned, and the instances. And the two locks of the
//! whole module.
//!
//! Lock order: [`NODE`] → an instance's `steering` → [`STARTING`] → (Linux's CPU hotplug lock) →
//! doorbells' publishing lock or a channel's lock. Doorbells are rung after the last unlock of a
//! channel. What interrupts and the service look up takes none of them (see [`super::running`]).

use super::stop::{stop, Cause};
use super::Instance;
use crate::ffi::device::Device;
use crate::ffi::module_ref::ModuleRef;
use crate::proto::layout::MAX_INSTANCES;
use crate::proto::uapi::{CpuSet, MemorySpec, StopOptions};
use crate::resource::cpus::CpuList;
use crate::resource::memory::BlockSet;
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::{global_lock, Arc};

global_lock! {
    /// The pool of what is reserved, and the instances.
    // SAFETY: `init_locks` runs before anything else of the module.
    pub(crate) unsafe(uninit) static NODE: Mutex<Node> = Node::new();
}

global_lock! {
    /// Held while co-kernel CPUs start: only one boot at a time may borrow a page below 1 MiB.
    // SAFETY: as above.
    pub(crate) unsafe(uninit) static STARTING: Mutex<()> = ();
}

/// Makes the locks usable.
///
/// # Safety
///
/// Called once, before anything else of the module runs.
pub(crate) unsafe fn init_locks() {
    // SAFETY: the caller's promise.
    unsafe {
        NODE.init();
        STARTING.init();
    }
}

/// An instance and its device.
struct Member {
    instance: Arc<Instance>,
    _device: Device<Instance>,
}

/// The pool.
pub(crate) struct Node {
    pub(crate) cpus: CpuList,
    pub(crate) memory: BlockSet,
    /// Index = instance number.
    slots: [Option<Member>; MAX_INSTANCES],
    /// Held while anything is reserved or exists: the module must not be unloaded then.
    hold: Option<ModuleRef>,
}

impl Node {
    pub(crate) const fn new() -> Self {
        Self {
            cpus: CpuList::new(),
            memory: BlockSet::new(),
            slots: [const { None }; MAX_INSTANCES],
            hold: None,
        }
    }

    /// Bit set of the instances.
    pub(crate) fn instances(&self) -> u64 {
        let exists = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_some());
        exists.fold(0, |set, (number, _)| set | 1 << number)
    }

    fn instance(&self, number: usize) -> Option<&Arc<Instance>> {
        self.slots.get(number)?.as_ref().map(|slot| &slot.instance)
    }

    /// Takes or drops our own reference to the module, as needed after every change.
    fn update_hold(&mut self) {
        let is_used = !self.cpus.is_empty() || !self.memory.is_empty() || self.instances() != 0;
        if !is_used {
            self.hold = None;
        } else if self.hold.is_none() {
            self.hold = ModuleRef::this();
        }
    }

    /// Gives everything back to Linux. For unloading; nothing can exist any more then.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// Calls `change` with the pool locked.
pub(crate) fn change<R>(change: impl FnOnce(&mut Node) -> Result<R>) -> Result<R> {
    let mut node = NODE.lock();
    let result = change(&mut node);
    node.update_hold();
    result
}

/// References to all instances. Nobody's lock is held afterwards.
pub(crate) fn all_instances() -> Result<KVec<Arc<Instance>>> {
    let node = NODE.lock();
    let mut all = KVec::new();
    for number in 0..MAX_INSTANCES {
        if let Some(instance) = node.instance(number) {
            all.push(instance.clone(), GFP_KERNEL)?;
        }
    }
    Ok(all)
}

/// Creates an instance with the lowest free number, and its device.
///
/// # Errors
///
/// ENOSPC: there are [`MAX_INSTANCES`] already.
pub(crate) fn create() -> Result<u32> {
    change(|node| {
        let free = node
            .slots
            .iter_mut()
            .enumerate()
            .find(|(_, slot)| slot.is_none());
        let (number, slot) = free.ok_or(ENOSPC)?;
        let instance = Instance::new(number as u32)?;
        let name = CString::try_from_fmt(fmt!("mcos{number}"))?;
        let device = Device::register(name, instance.clone())?;
        *slot = Some(Member {
            instance,
            _device: device,
        });
        Ok(number as u32)
    })
}

/// Stops the instance if needed and destroys it; what it held is reserved again.
///
/// # Errors
///
/// ENOENT: no such instance; EBUSY: programs run and it is not forced.
pub(crate) fn destroy(options: &StopOptions) -> Result {
    let number = options.os as usize;
    let instance = change(|node| {
        let instance = node.instance(number).ok_or(ENOENT)?.clone();
        let mut steering = instance.steering.lock();
        if options.force == 0 {
            steering.require_no_programs()?;
        }
        stop(&instance, &mut steering, Cause::Asked);
        steering.cpus.move_all_to(&mut node.cpus)?;
        steering.memory.move_all_to(&mut node.memory)?;
        steering.is_destroyed = true;
        drop(steering);
        // The device goes with its slot, while the pool is locked: the number is free when its name is.
        drop(node.slots.get_mut(number).and_then(Option::take));
        Ok(instance)
    })?;
    // Work items take locks of ours.
    instance.flush();
    Ok(())
}

/// Reserved CPUs become the instance's. See [`CpuList::move_to`]; EBUSY while it runs.
pub(crate) fn assign_cpus(instance: &Instance, set: &CpuSet) -> Result {
    change(|node| {
        let mut steering = instance.steering.lock();
        steering.require_idle()?;
        node.cpus.move_to(set, &mut steering.cpus)?;
        steering.forget_map();
        Ok(())
    })
}

/// The other way round.
pub(crate) fn unassign_cpus(instance: &Instance, set: &CpuSet) -> Result {
    change(|node| {
        let mut steering = instance.steering.lock();
        steering.require_idle()?;
        steering.cpus.move_to(set, &mut node.cpus)?;
        steering.forget_map();
        Ok(())
    })
}

/// Reserved memory becomes the instance's. See [`BlockSet::move_to`]; EBUSY while it runs.
pub(crate) fn assign_memory(instance: &Instance, spec: &MemorySpec) -> Result {
    change(|node| {
        let mut steering = instance.steering.lock();
        steering.require_idle()?;
        node.memory.move_to(spec, &mut steering.memory)
    })
}

/// The other way round.
pub(crate) fn unassign_memory(instance: &Instance, spec: &MemorySpec) -> Result {
    change(|node| {
        let mut steering = instance.steering.lock();
        steering.require_idle()?;
        steering.memory.move_to(spec, &mut node.memory)
    })
}
