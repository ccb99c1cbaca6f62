// SPDX-License-Identifier: GPL-2.0
//! Whether one process may look into another: Linux exports no function that says so, but it asks itself
//! whenever a file of `/proc/PID` is opened. mcctrl has a `/proc` of its own, which no program can replace or
//! hide, and opens there what the question is about, with the asker's credentials.

use super::task::ProcessId;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};
use kernel::{bindings, error::from_err_ptr, prelude::*, str::CString};

/// Our `/proc`; null before [`mount`] and after [`unmount`].
static MOUNT: AtomicPtr<bindings::vfsmount> = AtomicPtr::new(core::ptr::null_mut());

/// Mounts it. Module initialisation, once.
pub(crate) fn mount() -> Result {
    // SAFETY: the name is a C string; `/proc` is built in, so the result is a reference to no module.
    let kind = unsafe { bindings::get_fs_type(c"proc".as_char_ptr()) };
    let kind = NonNull::new(kind).ok_or(ENODEV)?;
    // SAFETY: a file system that is registered.
    let mount = from_err_ptr(unsafe { bindings::kern_mount(kind.as_ptr()) });
    MOUNT.store(mount?, Ordering::Release);
    Ok(())
}

/// Unmounts it. Nobody asks any more.
pub(crate) fn unmount() {
    let mount = MOUNT.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if !mount.is_null() {
        // SAFETY: ours, and its files have been closed.
        unsafe { bindings::kern_unmount(mount) };
    }
}

/// Whether Linux lets the calling thread see how the memory of `process` is laid out (`/proc/PID/maps`).
/// Sleeps.
pub(crate) fn lets_current_look_at(process: &ProcessId) -> Result<bool> {
    let mount = NonNull::new(MOUNT.load(Ordering::Acquire)).ok_or(ENODEV)?;
    let name = CString::try_from_fmt(fmt!("{}/maps", process.global_number()))?;
    // SAFETY: a mount has a root, and stays until the module goes.
    let dentry = unsafe { mount.as_ref() }.mnt_root;
    let root = bindings::path {
        mnt: mount.as_ptr(),
        dentry,
    };
    // SAFETY: path and name live as long as the call.
    let file = from_err_ptr(unsafe {
        bindings::file_open_root(&root, name.as_char_ptr(), bindings::O_RDONLY as c_int, 0)
    });
    // SAFETY: a file that was just opened, and nobody else's.
    Ok(file.map(|file| unsafe { bindings::fput(file) }).is_ok())
}
