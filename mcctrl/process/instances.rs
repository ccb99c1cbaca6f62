// SPDX-License-Identifier: GPL-2.0
//! The attached instances by number.

use crate::ffi::irq_lock::IrqLock;
use crate::process::instance::Instance;
use crate::proto::layout::MAX_INSTANCES;
use kernel::{prelude::*, sync::Arc};

static INSTANCES: IrqLock<[Option<Arc<Instance>>; MAX_INSTANCES]> =
    IrqLock::new([const { None }; MAX_INSTANCES]);

/// Instance `os` is running. EEXIST if it was attached already, EINVAL for an impossible number.
pub(crate) fn attach(os: u32) -> Result {
    let instance = Instance::new(os)?;
    let mut instances = INSTANCES.lock();
    let place = instances.get_mut(os as usize).ok_or(EINVAL)?;
    if place.is_some() {
        return Err(EEXIST);
    }
    *place = Some(instance);
    Ok(())
}

/// Instance `os` goes away; see `service_abi`.
pub(crate) fn detach(os: u32) {
    let instance = INSTANCES.lock().get_mut(os as usize).and_then(Option::take);
    if let Some(instance) = instance {
        instance.detach();
    }
}

/// Hands instance `os` to `visit`, if it is attached; interrupts are off meanwhile. Once `detach`
/// goes on, no visit is under way.
pub(crate) fn with(os: u32, visit: impl FnOnce(&Arc<Instance>)) {
    if let Some(Some(instance)) = INSTANCES.lock().get(os as usize) {
        visit(instance);
    }
}

/// Instance `os`, if it is attached. Process context.
pub(crate) fn get(os: u32) -> Option<Arc<Instance>> {
    INSTANCES.lock().get(os as usize).and_then(Clone::clone)
}
