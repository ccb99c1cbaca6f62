// SPDX-License-Identifier: GPL-2.0
//! /dev/mcosN: steering one instance (root), asking for its status (everybody who may open it) and
//! running programs, which the service does.

use crate::boot::{self, image::Image};
use crate::ffi::device::{DeviceFile, OpenFile, Operations};
use crate::ffi::draft::Draft;
use crate::ffi::{cpu, rights, user};
use crate::instance::running::Running;
use crate::instance::stop::{stop, Cause};
use crate::instance::{node, Instance, Steering};
use crate::proto::control::NodeCounters;
use crate::proto::uapi::{self, IkcMap, NodeUsage, ReadKmsg, ReadMemory, StopOptions, Text, Usage};
use crate::proto::ABI_VERSION;
use crate::service;
use core::sync::atomic::Ordering;
use kernel::prelude::*;
use kernel::sync::Arc;

static OPERATIONS: Operations<Instance> = Operations::new();

impl DeviceFile for Instance {
    fn operations() -> &'static Operations<Self> {
        &OPERATIONS
    }

    fn ioctl(this: &Arc<Self>, file: &OpenFile, command: u32, argument: usize) -> Result<isize> {
        match command {
            uapi::GET_ABI_VERSION => Ok(ABI_VERSION as isize),
            uapi::GET_STATUS => Ok(this.status_asked() as isize),
            _ if is_for_service(command) => service::ioctl(this.number, command, argument),
            // Everybody who may run programs may know which CPUs serve them.
            uapi::GET_IKC_MAP => {
                steer(this, file, command, argument)?;
                Ok(0)
            }
            _ => {
                rights::require_admin()?;
                steer(this, file, command, argument)?;
                Ok(0)
            }
        }
    }
}

/// Our type byte, and a number of the service's range.
fn is_for_service(command: u32) -> bool {
    let same_type = command & 0xff00 == uapi::GET_ABI_VERSION & 0xff00;
    same_type && command & 0xff >= uapi::SERVICE_FIRST
}

fn steer(this: &Arc<Instance>, file: &OpenFile, command: u32, argument: usize) -> Result {
    match command {
        uapi::ASSIGN_CPU => node::assign_cpus(this, &*user::read(argument)?),
        uapi::UNASSIGN_CPU => node::unassign_cpus(this, &*user::read(argument)?),
        uapi::ASSIGN_MEMORY => node::assign_memory(this, &*user::read(argument)?),
        uapi::UNASSIGN_MEMORY => node::unassign_memory(this, &*user::read(argument)?),
        uapi::SET_GROUP => file.set_group(*user::read(argument)?),
        uapi::BOOT => {
            let mut steering = this.steering.lock();
            steering.require_idle()?;
            boot::boot(this, &mut steering)
        }
        uapi::SHUTDOWN => shut_down(this, &*user::read(argument)?),
        uapi::LOAD | uapi::SET_KARGS | uapi::SET_IKC_MAP => prepare(this, command, argument),
        _ => query(this, command, argument),
    }
}

/// Does `work` with the steering lock. User memory is no part of it: touching that may take as long
/// as it likes, and who shuts the instance down would wait.
fn with_steering<R>(
    this: &Arc<Instance>,
    work: impl FnOnce(&mut Steering) -> Result<R>,
) -> Result<R> {
    let mut steering = this.steering.lock();
    if steering.is_destroyed {
        return Err(ENODEV);
    }
    work(&mut steering)
}

/// Serves the ioctls that say what the next boot uses.
fn prepare(this: &Arc<Instance>, command: u32, argument: usize) -> Result {
    // The image that is replaced is freed without the lock.
    match command {
        uapi::LOAD => {
            let request = user::read(argument)?;
            with_steering(this, |steering| steering.require_idle())?;
            let image = Image::load(&request)?;
            with_steering(this, |steering| {
                steering.require_idle()?;
                Ok(steering.image.replace(image))
            })
            .map(drop)
        }
        uapi::SET_KARGS => {
            let text = user::read(argument)?;
            with_steering(this, |steering| {
                steering.require_idle()?;
                let kargs = kargs(&text)?;
                Ok(core::mem::replace(&mut steering.kargs, kargs))
            })
            .map(drop)
        }
        uapi::SET_IKC_MAP => {
            let map: KBox<IkcMap> = user::read(argument)?;
            with_steering(this, |steering| {
                steering.require_idle()?;
                check_map(&map, steering.cpus.iter().count())?;
                Ok(core::mem::replace(&mut steering.ikc_map, map))
            })
            .map(drop)
        }
        _ => Err(ENOTTY),
    }
}

fn query(this: &Arc<Instance>, command: u32, argument: usize) -> Result {
    match command {
        uapi::QUERY_OS_CPU => {
            let cpus = with_steering(this, |steering| Ok(steering.cpus.set()))?;
            user::write(argument, &cpus)
        }
        uapi::QUERY_OS_MEMORY => {
            let memory = with_steering(this, |steering| Ok(steering.memory.spec()))?;
            user::write(argument, &memory)
        }
        uapi::QUERY_USAGE => {
            let usage = with_steering(this, |steering| {
                usage(steering.running.as_deref().ok_or(ENODEV)?)
            })?;
            user::write(argument, &*usage)
        }
        uapi::READ_KMSG => read_kmsg(this, argument),
        uapi::CLEAR_KMSG => with_steering(this, |steering| {
            let live = steering.running.as_deref();
            steering.log.clear(live.map(|running| &running.log));
            Ok(())
        }),
        uapi::GET_IKC_MAP => {
            let map = with_steering(this, |steering| Ok(*steering.ikc_map))?;
            user::write(argument, &map)
        }
        uapi::GET_BUILD_ID => {
            let text = with_steering(this, |steering| {
                text(steering.image.as_ref().ok_or(ENOENT)?.build_id())
            })?;
            user::write(argument, &*text)
        }
        uapi::READ_MEMORY => read_memory(this, argument),
        _ => Err(ENOTTY),
    }
}

fn read_kmsg(this: &Arc<Instance>, argument: usize) -> Result {
    let mut request: KBox<ReadKmsg> = user::read(argument)?;
    let mut answer = Draft::new(request.bytes)?;
    with_steering(this, |steering| {
        let live = steering.running.as_deref().map(|running| &running.log);
        steering.log.read(live, &mut request, &mut answer)
    })?;
    answer.copy_out(request.buffer)?;
    user::write(argument, &*request)
}

fn read_memory(this: &Arc<Instance>, argument: usize) -> Result {
    let mut request: KBox<ReadMemory> = user::read(argument)?;
    let mut answer = Draft::new(request.bytes)?;
    with_steering(this, |steering| {
        steering.memory.copy_out(request.offset, &mut answer)
    })?;
    request.bytes = answer.bytes();
    answer.copy_out(request.buffer)?;
    user::write(argument, &*request)
}

fn shut_down(this: &Arc<Instance>, options: &StopOptions) -> Result {
    let mut steering = this.steering.lock();
    if steering.is_destroyed {
        return Err(ENODEV);
    }
    if options.force == 0 {
        steering.require_no_programs()?;
    }
    stop(this, &mut steering, Cause::Asked);
    Ok(())
}

fn kargs(text: &Text) -> Result<KVec<u8>> {
    let bytes = text.text.get(..text.bytes as usize).ok_or(E2BIG)?;
    core::str::from_utf8(bytes).map_err(|_| EINVAL)?;
    let mut kargs = KVec::new();
    kargs.extend_from_slice(bytes, GFP_KERNEL)?;
    Ok(kargs)
}

/// EINVAL unless every pair names a CPU of the instance and one of Linux.
fn check_map(map: &IkcMap, cpu_count: usize) -> Result {
    for (index, &plus_one) in map.linux_cpu.iter().enumerate() {
        let Some(linux_cpu) = u32::from(plus_one).checked_sub(1) else {
            continue;
        };
        if index >= cpu_count || !cpu::is_online(linux_cpu) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<KBox<Text>> {
    let mut text = KBox::new(
        Text {
            bytes: 0,
            reserved: 0,
            text: [0; 1024],
        },
        GFP_KERNEL,
    )?;
    for (target, byte) in text.text.iter_mut().zip(bytes) {
        *target = *byte;
    }
    text.bytes = u32::try_from(bytes.len()).map_err(|_| EINVAL)?;
    Ok(text)
}

fn usage(running: &Running) -> Result<KBox<Usage>> {
    let control = &running.control;
    let counters = &control.usage;
    let mut usage = KBox::new(
        Usage {
            frames_total: counters.frames_total.load(Ordering::Relaxed),
            frames_free: counters.frames_free.load(Ordering::Relaxed),
            frames_pinned: counters.frames_pinned.load(Ordering::Relaxed),
            processes: counters.processes.load(Ordering::Relaxed),
            threads: counters.threads.load(Ordering::Relaxed),
            slots: counters.slots.load(Ordering::Relaxed),
            cpu_count: running.cpus.len() as u64,
            interrupts: [0; crate::proto::layout::MAX_CPUS],
            nodes: control.nodes.each_ref().map(node_usage),
            frames_set_aside: control.frames_set_aside.load(Ordering::Relaxed),
        },
        GFP_KERNEL,
    )?;
    for (target, counter) in usage.interrupts.iter_mut().zip(&control.interrupts) {
        *target = counter.load(Ordering::Relaxed);
    }
    Ok(usage)
}

fn node_usage(counters: &NodeCounters) -> NodeUsage {
    NodeUsage {
        frames_total: counters.frames_total.load(Ordering::Relaxed),
        frames_free: counters.frames_free.load(Ordering::Relaxed),
        blocks_free: counters.blocks_free.load(Ordering::Relaxed),
    }
}
