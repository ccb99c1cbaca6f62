// SPDX-License-Identifier: GPL-2.0
//! /dev/mcd0: what is taken from Linux, and which instances there are. For root only.

use crate::ffi::device::{DeviceFile, OpenFile, Operations};
use crate::ffi::{rights, user};
use crate::instance::node::{self, NODE};
use crate::proto::uapi;
use crate::proto::ABI_VERSION;
use kernel::prelude::*;
use kernel::sync::Arc;

/// An open /dev/mcd0; it has no state.
pub(crate) struct Mcd;

static OPERATIONS: Operations<Mcd> = Operations::new();

impl DeviceFile for Mcd {
    fn operations() -> &'static Operations<Self> {
        &OPERATIONS
    }

    fn ioctl(_this: &Arc<Self>, _file: &OpenFile, command: u32, argument: usize) -> Result<isize> {
        if command == uapi::GET_ABI_VERSION {
            return Ok(ABI_VERSION as isize);
        }
        rights::require_admin()?;
        match command {
            uapi::RESERVE_CPU => {
                let set = user::read(argument)?;
                node::change(|node| node.cpus.reserve(&set))?;
            }
            uapi::RELEASE_CPU => {
                let set = user::read(argument)?;
                node::change(|node| node.cpus.release(&set))?;
            }
            uapi::QUERY_CPU => {
                let set = NODE.lock().cpus.set();
                user::write(argument, &set)?;
            }
            uapi::RESERVE_MEMORY => {
                let spec = user::read(argument)?;
                node::change(|node| node.memory.reserve(&spec))?;
            }
            uapi::RELEASE_MEMORY => {
                let spec = user::read(argument)?;
                node::change(|node| node.memory.release(&spec))?;
            }
            uapi::QUERY_MEMORY => {
                let spec = NODE.lock().memory.spec();
                user::write(argument, &spec)?;
            }
            uapi::CREATE_OS => return Ok(node::create()? as isize),
            uapi::DESTROY_OS => node::destroy(&*user::read(argument)?)?,
            uapi::GET_OS_INSTANCES => {
                let instances = NODE.lock().instances();
                user::write(argument, &instances)?;
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}
