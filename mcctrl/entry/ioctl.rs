// SPDX-License-Identifier: GPL-2.0
//! What mcexec asks for: by ioctls of `/dev/mcosN`, or by calls through its gate.

use super::gate;
use crate::ffi::{errno, user};
use crate::files::{copy, load};
use crate::process::instance::Instance;
use crate::process::{control, create, execution, permit, query, waiting};
use crate::proto::uapi;
use crate::{mirror, window};
use kernel::{prelude::*, sync::Arc};

/// Serves `command` for the calling process. ENOTTY for an unknown one. `instance` is the one asked, if it
/// is attached.
///
/// A caller without a program here is an orphan, most likely because its instance is gone. What it is
/// told stands in the same line as what a program gets: nearly always the ESHUTDOWN of `program()?`.
pub(crate) fn serve(instance: Option<&Arc<Instance>>, command: u32, argument: usize) -> Result {
    let running = || instance.ok_or_else(errno::shutdown);
    let program = || running()?.proxy_of_current().map_err(|_| errno::shutdown());
    match command {
        uapi::MAP_GATE => gate::map(instance.ok_or(ESRCH)?),
        uapi::CREATE_PROCESS => create::create(instance.ok_or(ESRCH)?, argument),
        uapi::QUERY => query::query(running()?, argument),
        uapi::SERVERS => query::servers(running()?, argument),

        uapi::SET_MCEXEC => execution::set_mcexec(argument),
        uapi::EXECUTABLE => execution::set_executable(argument),
        uapi::EXECUTE => execution::announce(running()?, argument, gate::attach),
        uapi::WITHDRAW => execution::withdraw(),
        uapi::START => control::start(&*program()?, &*user::read(argument)?),
        uapi::START_ADOPTED => control::start_adopted(&*program()?),
        uapi::WAIT => waiting::wait(&*program()?, uapi::Wait::of_argument(argument as u64)),
        uapi::RING => waiting::ring(&*program()?, argument),
        uapi::BIND_FILE => load::bind_file(&*program()?, &*user::read(argument)?),
        uapi::LOAD_PAGES => load::load_pages(&*program()?, &*user::read(argument)?),
        uapi::COPY => copy::serve(&*program()?, &*user::read(argument)?),
        uapi::SIGNAL => control::forward(&*program()?, &*user::read(argument)?),
        uapi::SCHEDULING => control::tell_scheduling(running()?, argument),
        uapi::PERMIT => permit::permit(&*program()?, &*user::read(argument)?),
        uapi::MIRROR => mirror::show(&program()?, &*user::read(argument)?),
        uapi::MAP_WINDOW => window::map_part(&*program()?, &*user::read(argument)?),
        uapi::CORE_WRITTEN => program().and_then(|_| control::die_with_core(argument)),
        uapi::CONTROL_WAIT => match program() {
            Ok(program) => control::wait(&program, argument),
            Err(_) => control::tell_gone(argument),
        },
        _ => Err(ENOTTY),
    }
}
