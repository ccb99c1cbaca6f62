// SPDX-License-Identifier: GPL-2.0
//! The ioctls of `/dev/mcosN` that concern programs.

use crate::ffi::errno;
use crate::ffi::user;
use crate::files::{copy, load};
use crate::process::proxy::Proxy;
use crate::process::{adopt, control, create, instances, query, waiting};
use crate::proto::uapi;
use crate::{mirror, window};
use kernel::{prelude::*, sync::Arc};

/// Serves `command` for the calling process. ENOTTY for an unknown one.
pub(crate) fn serve(os: u32, command: u32, argument: usize) -> Result {
    if command == uapi::CREATE_PROCESS {
        return create::create(&instances::get(os).ok_or(ESRCH)?, argument);
    }
    if command == uapi::ADOPT_PROCESS {
        return adopt::adopt(&instances::get(os).ok_or(ESRCH)?, argument);
    }
    let instance = instances::get(os);
    if let (uapi::QUERY, Some(instance)) = (command, &instance) {
        return query::query(instance, argument);
    }
    let Some(proxy) = instance.and_then(|instance| instance.proxy_of_current().ok()) else {
        return serve_orphan(command, argument);
    };
    serve_program(&proxy, command, argument)
}

fn serve_program(proxy: &Arc<Proxy>, command: u32, argument: usize) -> Result {
    match command {
        uapi::START => control::start(proxy, &*user::read(argument)?),
        uapi::START_ADOPTED => control::start_adopted(proxy),
        uapi::WAIT => waiting::wait(proxy, uapi::Wait::of_argument(argument as u64)),
        uapi::RING => waiting::ring(proxy, argument),
        uapi::POPULATE => load::populate(proxy, &*user::read(argument)?),
        uapi::LOAD_PAGES => load::load_pages(proxy, &*user::read(argument)?),
        uapi::COPY => copy::serve(proxy, &*user::read(argument)?),
        uapi::CONTROL_WAIT => control::wait(proxy, argument),
        uapi::CORE_WRITTEN => control::die_with_core(argument),
        uapi::SIGNAL => control::forward(proxy, &*user::read(argument)?),
        uapi::MIRROR => mirror::show(proxy, &*user::read(argument)?),
        uapi::MAP_WINDOW => window::map_part(proxy, &*user::read(argument)?),
        _ => Err(ENOTTY),
    }
}

/// The caller has no program here, most likely because its instance is gone.
fn serve_orphan(command: u32, argument: usize) -> Result {
    match command {
        uapi::CONTROL_WAIT => control::tell_gone(argument),
        uapi::START
        | uapi::START_ADOPTED
        | uapi::WAIT
        | uapi::RING
        | uapi::POPULATE
        | uapi::LOAD_PAGES
        | uapi::COPY
        | uapi::QUERY
        | uapi::MIRROR
        | uapi::MAP_WINDOW
        | uapi::SIGNAL => Err(errno::shutdown()),
        _ => Err(ENOTTY),
    }
}
