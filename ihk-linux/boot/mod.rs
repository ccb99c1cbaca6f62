// SPDX-License-Identifier: GPL-2.0
//! Booting an instance: from assigned CPUs and memory to RUNNING.

mod area;
pub(crate) mod image;
mod params;
mod plan;
mod start;
mod tables;
mod trampoline;

use crate::ffi::cpu;
use crate::ikc::{doorbell, shared};
use crate::instance::running::{self, Running, SharedRegions};
use crate::instance::stop::{stop, Cause};
use crate::instance::{Instance, Steering};
use crate::proto::uapi::status;
use core::sync::atomic::Ordering;
use kernel::prelude::*;
use kernel::sync::Arc;
use plan::Plan;

/// Boots; the instance runs when this returns.
///
/// # Errors
///
/// EBUSY: runs already; ENOENT: no image loaded; ENXIO: no CPU assigned; ENOMEM: no memory
/// assigned (or none left for tables); E2BIG: no run of memory is long enough, or there are too
/// many runs or CPUs; ENODEV: no free page below 1 MiB; EPROTO: the co-kernel refused the
/// parameters; EIO: it panicked; ETIMEDOUT: it did not come up; or what the service said.
pub(crate) fn boot(instance: &Arc<Instance>, steering: &mut Steering) -> Result {
    if steering.running.is_some() {
        return Err(EBUSY);
    }
    let begin_us = cpu::now_us();
    let plan = Plan::make(steering)?;
    let running = prepare(instance, steering, &plan)?;
    steering.log.restart();
    steering.running = Some(running.clone());
    instance.set_status(status::BOOTING);
    running::publish(running.clone());
    doorbell::publish_all(&running.control);
    if let Err(error) = start::start(&running, &plan).and_then(|()| running.service.attach()) {
        stop(instance, steering, Cause::Failed(status_after(error)));
        return Err(error);
    }
    instance.set_status(status::RUNNING);
    instance.start_watchdog();
    let boot_us = cpu::now_us().saturating_sub(begin_us);
    pr_info!("mcos{}: running after {} us\n", instance.number, boot_us);
    Ok(())
}

/// Returns the status that a failed boot leaves.
fn status_after(error: Error) -> u32 {
    if error == EIO {
        status::PANIC
    } else if error == ETIMEDOUT {
        status::HUNGUP
    } else {
        status::INACTIVE
    }
}

/// Fills the boot area.
fn prepare(instance: &Arc<Instance>, steering: &Steering, plan: &Plan) -> Result<Arc<Running>> {
    let image = steering.image.as_ref().ok_or(ENOENT)?;
    let mut apic_ids = KVec::new();
    for &number in plan.cpus.iter() {
        apic_ids.push(cpu::apic_id(number).ok_or(ENXIO)?, GFP_KERNEL)?;
    }
    // SAFETY: the area lies in memory of this instance, whose CPUs stand still.
    unsafe {
        shared::fill(plan.area.image, image.bytes())?;
        shared::clear(plan.area.behind_image());
        params::write(instance.number, plan, &apic_ids, &steering.kargs);
    }
    let ranges = params::memory_ranges(&plan.runs)?;
    let regions = SharedRegions {
        control: plan.area.control,
        kmsg: plan.area.kmsg,
        channels: plan.area.channels,
        exposed: plan.area.exposed,
    };
    // SAFETY: memory cannot be taken from an instance while `steering.running` is set, and the
    // view is withdrawn before that is cleared.
    let running = unsafe { Running::new(instance.clone(), &regions, ranges, &apic_ids)? };
    running
        .control
        .default_linux_cpu
        .store(steering.default_linux_cpu(), Ordering::Relaxed);
    let servers = &steering.ikc_map.linux_cpu;
    for (word, &server) in running.control.servers.iter().zip(servers) {
        word.store(server.into(), Ordering::Relaxed);
    }
    running.request_doorbells();
    Ok(running)
}
