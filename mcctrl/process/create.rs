// SPDX-License-Identifier: GPL-2.0
//! CREATE_PROCESS: from what mcexec says of a program to a process of the co-kernel and a window.

use super::{limits, vdso};
use crate::ffi::errno;
use crate::ffi::ihk::Partition;
use crate::ffi::wait::Until;
use crate::ffi::window_file::{self, open_window};
use crate::ffi::{task, user};
use crate::process::answer::Answer;
use crate::process::image::{self, ImageError};
use crate::process::instance::Instance;
use crate::process::proxy::Proxy;
use crate::proto::layout::{PAGE_BYTES, WINDOW_END};
use crate::proto::packet::ToCokernel;
use crate::proto::process::{CreateMailbox, VdsoArgs};
use crate::proto::uapi::CreateProcess;
use crate::revoke::pins;
use crate::window;
use kernel::{prelude::*, sync::Arc};

/// Creates the calling process's program in `instance`.
pub(crate) fn create(instance: &Arc<Instance>, argument: usize) -> Result {
    let mut create = user::read::<CreateProcess>(argument)?;
    image::check(&create.image).map_err(errno_of)?;
    create.image.pid = task::current_tgid();
    create.image.scheduling = task::current_scheduling().word();
    create.image.rlimits = limits::of_current(&create.image.rlimits)?;

    let mut mail = user::zeroed::<CreateMailbox>()?;
    mail.image = create.image;
    let vdso = vdso::gather(&create.image.vdso, &mut mail)?;
    let vdso = Arc::new(vdso, GFP_KERNEL)?;
    let proxy = Proxy::new(instance.clone(), create.image.window_start, vdso)?;
    pins::charge(&proxy)?;
    instance.admit(&proxy, create.image.cpu)?;
    let (file, mapping) = open_window(proxy.clone()).inspect_err(|_| instance.disown(&proxy))?;
    // From here on the file's release cleans up, whatever happens.
    proxy.memory.set_mapping(mapping);
    give_birth(&proxy, &mail)?;

    limits::make_room()?;
    let window = (proxy.window_start, WINDOW_END);
    let VdsoArgs {
        source,
        vvar_bytes,
        vdso_bytes,
        ..
    } = create.image.vdso;
    let vdso_end = source.saturating_add(vvar_bytes).saturating_add(vdso_bytes);
    window_file::map_window_around(&file, window, |start, end| {
        start >= source && end <= vdso_end
    })?;
    create.slots = window::map_slots(&file)?;
    user::write(argument, &*create)
}

fn errno_of(error: ImageError) -> Error {
    match error {
        ImageError::Version => errno::protocol(),
        ImageError::Window | ImageError::Ranges | ImageError::Vdso => EINVAL,
    }
}

/// Has the co-kernel create the process. The mailbox is ours from filling it until the answer.
fn give_birth(proxy: &Proxy, mail: &CreateMailbox) -> Result {
    let instance = &proxy.instance;
    let guard = instance.memory.access().ok_or(ESRCH)?;
    let _turn = instance.creating.lock();
    guard.partition().fill_mailbox(proxy.cpu(), mail)?;
    let question = |token| ToCokernel::CreateProcess { token };
    let answer = instance.ask(proxy.cpu(), Until::Condition, question)?;
    answer.into_result()?;
    if !is_possible(&guard.partition(), &answer) {
        instance.declare_hung("impossible answer to a request to create a process");
        return Err(errno::protocol());
    }
    proxy.born(answer.process, answer.root, answer.slots);
    Ok(())
}

pub(crate) fn is_possible(partition: &Partition<'_>, answer: &Answer) -> bool {
    let is_table =
        answer.root % PAGE_BYTES == 0 && partition.memory(answer.root, PAGE_BYTES).is_some();
    answer.process != 0 && is_table && partition.slots(answer.slots).is_some()
}
