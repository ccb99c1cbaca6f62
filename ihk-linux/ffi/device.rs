// SPDX-License-Identifier: GPL-2.0
//! Character devices. The kernel crate's misc device leaves the owner of its file operations
//! empty, so that a module could be unloaded under an open file; hence our own.

use super::compat;
use core::marker::PhantomData;
use core::ptr::addr_of_mut;
use kernel::bindings;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::str::CString;
use kernel::sync::Arc;

/// The operations of a device's open files.
pub(crate) trait DeviceFile: Sized + Send + Sync + 'static {
    /// The device's file operations.
    fn operations() -> &'static Operations<Self>;

    /// An ioctl. Process context of the caller.
    fn ioctl(this: &Arc<Self>, file: &OpenFile, command: u32, argument: usize) -> Result<isize>;
}

/// File operations of devices whose files are `Arc<T>`; they live in a static.
pub(crate) struct Operations<T>(bindings::file_operations, PhantomData<fn(T)>);

// SAFETY: never written; Linux only reads it.
unsafe impl<T> Sync for Operations<T> {}

impl<T: DeviceFile> Operations<T> {
    /// The operations call `T`'s. The module stays loaded while a file is open.
    pub(crate) const fn new() -> Self {
        let operations = bindings::file_operations {
            owner: compat::this_module(),
            open: Some(open::<T>),
            release: Some(release::<T>),
            unlocked_ioctl: Some(ioctl::<T>),
            ..pin_init::zeroed()
        };
        Self(operations, PhantomData)
    }
}

/// A device under /dev, mode 0600 root. Dropping it removes it; open files stay.
pub(crate) struct Device<T: DeviceFile> {
    node: KBox<Node<T>>,
}

/// The memory that Linux points to; `misc` comes first, so that its address is the node's.
#[repr(C)]
struct Node<T> {
    misc: bindings::miscdevice,
    name: CString,
    file: Arc<T>,
}

// SAFETY: `misc` is used by Linux under its own lock, the rest is read only.
unsafe impl<T: DeviceFile> Send for Device<T> {}
// SAFETY: as above.
unsafe impl<T: DeviceFile> Sync for Device<T> {}

impl<T: DeviceFile> Device<T> {
    /// Makes /dev/`name`, whose open files are `file`.
    pub(crate) fn register(name: CString, file: Arc<T>) -> Result<Self> {
        const MODE: bindings::umode_t = 0o600;
        let misc = bindings::miscdevice {
            minor: bindings::MISC_DYNAMIC_MINOR as c_int,
            fops: &T::operations().0,
            mode: MODE,
            ..Default::default()
        };
        let mut node = KBox::new(Node { misc, name, file }, GFP_KERNEL)?;
        node.misc.name = node.name.as_char_ptr();
        // SAFETY: the node stays where it is until `drop` has deregistered it.
        to_result(unsafe { bindings::misc_register(addr_of_mut!(node.misc)) })?;
        Ok(Self { node })
    }
}

impl<T: DeviceFile> Drop for Device<T> {
    fn drop(&mut self) {
        // SAFETY: registered by `register`; no open is under way afterwards.
        unsafe { bindings::misc_deregister(addr_of_mut!(self.node.misc)) };
    }
}

/// # Safety
///
/// Called by Linux for a device of [`Device<T>`]: `private_data` is its `misc`.
unsafe extern "C" fn open<T: DeviceFile>(
    inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: Linux keeps the device registered during the open, so the node exists; `misc` is its
    // first field.
    unsafe {
        let node = (*file).private_data.cast::<Node<T>>();
        (*file).private_data = Arc::into_raw((*node).file.clone()).cast_mut().cast();
        bindings::nonseekable_open(inode, file)
    }
}

/// # Safety
///
/// Called by Linux once, for a file that [`open`] opened.
unsafe extern "C" fn release<T: DeviceFile>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: `open` put the pointer there, and this is the file's end.
    drop(unsafe { Arc::<T>::from_raw((*file).private_data.cast()) });
    0
}

/// # Safety
///
/// Called by Linux for a file that [`open`] opened.
unsafe extern "C" fn ioctl<T: DeviceFile>(
    file: *mut bindings::file,
    command: c_uint,
    argument: c_ulong,
) -> c_long {
    // SAFETY: `open` put the pointer there; the file keeps its reference during the call.
    let this = unsafe { Arc::<T>::from_raw((*file).private_data.cast()) };
    let result = T::ioctl(&this, &OpenFile(file), command, argument);
    // The reference stays the file's.
    let _ = Arc::into_raw(this);
    match result {
        Ok(value) => value,
        Err(error) => error.to_errno() as c_long,
    }
}

/// The file an ioctl came through.
pub(crate) struct OpenFile(*mut bindings::file);

impl OpenFile {
    /// Gives the file's device node to group `gid` of the initial user namespace, mode 0660.
    pub(crate) fn set_group(&self, gid: u32) -> Result {
        const MODE: bindings::umode_t = 0o660;
        if gid == u32::MAX {
            return Err(EINVAL);
        }
        let mut change = bindings::iattr {
            ia_valid: bindings::ATTR_GID | bindings::ATTR_MODE,
            ia_mode: bindings::S_IFCHR as bindings::umode_t | MODE,
            ..Default::default()
        };
        change.__bindgen_anon_2.ia_vfsgid = bindings::vfsgid_t { val: gid };
        // SAFETY: the file is open, so its inode and dentry exist; the inode is locked as
        // notify_change asks.
        unsafe {
            let inode = (*self.0).f_inode;
            let lock = addr_of_mut!((*inode).i_rwsem);
            bindings::down_write(lock);
            let dentry = (*self.0).__bindgen_anon_1.f_path.dentry;
            let id_map = addr_of_mut!(bindings::nop_mnt_idmap);
            let result =
                bindings::notify_change(id_map, dentry, &mut change, core::ptr::null_mut());
            bindings::up_write(lock);
            to_result(result)
        }
    }
}
