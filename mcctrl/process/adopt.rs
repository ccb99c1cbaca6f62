// SPDX-License-Identifier: GPL-2.0
//! ADOPT_PROCESS: a child of a proxy stands for the process that its parent's program has forked.
//! After vfork both see one address space through one window file, so that one revocation reaches
//! both; the slots, and with them the life of the process, are always the child's own.

use crate::ffi::errno;
use crate::ffi::task;
use crate::ffi::user;
use crate::ffi::wait::Until;
use crate::ffi::window_file::{self, open_window};
use crate::process::births::Birth;
use crate::process::create::is_possible;
use crate::process::instance::Instance;
use crate::process::proxy::Proxy;
use crate::proto::layout::WINDOW_END;
use crate::proto::packet::ToCokernel;
use crate::proto::uapi::AdoptProcess;
use crate::revoke::pins;
use crate::window;
use kernel::{fs::file::File, prelude::*, sync::aref::ARef, sync::Arc};

/// Adopts, in `instance`, what was prepared for the calling process, of which `birth` tells.
pub(crate) fn adopt(instance: &Arc<Instance>, birth: &Birth, argument: usize) -> Result {
    let parent = instance
        .find_proxy(|proxy| proxy.serves(&birth.parent))
        .ok_or(ESRCH)?;
    let proxy = Proxy::new(instance.clone(), parent.window_start, parent.vdso.clone())?;
    pins::charge(&proxy)?;
    instance.admit(&proxy, -1)?;
    let (file, mapping) = open_window(proxy.clone()).inspect_err(|_| instance.disown(&proxy))?;
    // From here on the file's release cleans up, whatever happens.
    proxy.memory.set_mapping(mapping);
    ask(&proxy, &parent, birth.prepared_child)?;
    let window = window_of(&proxy, &parent, &file)?;
    // What its parent has mapped in the window is the child's, too.
    window_file::map_window_around(&window, (proxy.window_start, WINDOW_END), |_, _| true)?;
    let slots = window::map_slots(&file)?;
    user::write(argument, &AdoptProcess { slots })
}

/// Has the co-kernel hand over the process.
fn ask(proxy: &Proxy, parent: &Proxy, prepared_child: u64) -> Result {
    let instance = &proxy.instance;
    let guard = instance.memory.access().ok_or(ESRCH)?;
    let question = |token| ToCokernel::AdoptProcess {
        token,
        parent: parent.handle(),
        pid: task::current_tgid(),
        prepared_child,
    };
    let answer = instance.ask(proxy.cpu(), Until::Condition, question)?;
    answer.into_result()?;
    if !is_possible(&guard.partition(), &answer) {
        instance.declare_hung("impossible answer to a request to adopt a process");
        return Err(errno::protocol());
    }
    proxy.born(answer.process, answer.root, answer.slots);
    Ok(())
}

/// The file to map the window from: the parent's if they share the address space. The files that are
/// mapped are the parent's, too.
fn window_of(proxy: &Proxy, parent: &Proxy, own: &ARef<File>) -> Result<ARef<File>> {
    if proxy.root() == parent.root() {
        proxy.borrow_window();
        proxy.set_files(parent.files()?);
        parent.memory.window_file().ok_or(ESRCH)
    } else {
        // The parent closes none meanwhile: its thread that forks keeps the others from unmapping.
        proxy.set_files(parent.files()?.duplicate()?);
        Ok(own.clone())
    }
}
