// SPDX-License-Identifier: GPL-2.0
//! Files: the anonymous inode a window is mapped from, and reading a file into kernel memory.

use super::{extra_bindings, vma};
use crate::{proxy::Proxy, window};
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::from_err_ptr,
    fs::file::{File, LocalFile},
    prelude::*,
    sync::aref::ARef,
    sync::{Arc, ArcBorrow},
};

/// What a window is mapped from, as long as its file is open.
pub(crate) struct Mapping {
    space: NonNull<bindings::address_space>,
    /// Not counted: this value goes when the file is released.
    file: NonNull<bindings::file>,
}

// SAFETY: an address space is usable from any thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Removes [`start`, `+ bytes`) from every page table that maps it; 0 bytes = to the end.
    /// Sleeps. When it returns, no CPU has a translation left.
    pub(crate) fn zap(&self, start: u64, bytes: u64) {
        let (Ok(start), Ok(bytes)) = (i64::try_from(start), i64::try_from(bytes)) else {
            return;
        };
        // SAFETY: the file is open: `Mapping` values are dropped when it is released.
        unsafe { bindings::unmap_mapping_range(self.space.as_ptr(), start, bytes, 1) };
    }

    /// The window's file, unless it is just being released.
    pub(crate) fn file(&self) -> Option<ARef<File>> {
        let mut file = self.file.as_ptr();
        // SAFETY: the file structure exists: its release drops this value first. The function takes
        // a reference only if there is one left.
        let file = NonNull::new(unsafe { bindings::get_file_active(&mut file) })?;
        // SAFETY: the reference just taken is ours; nobody uses a window file by `fdget_pos`.
        Some(unsafe { ARef::from_raw(file.cast::<File>()) })
    }
}

/// File operations must be shared with C code.
struct Operations(bindings::file_operations);
// SAFETY: constant.
unsafe impl Sync for Operations {}

/// The owner keeps the module loaded while a window is open or mapped.
static WINDOW_FILE: Operations = Operations(bindings::file_operations {
    owner: crate::THIS_MODULE.as_ptr(),
    mmap: Some(mmap),
    release: Some(release),
    ..pin_init::zeroed()
});

/// Opens the window of `proxy`: a file on an inode of its own.
pub(crate) fn open_window(proxy: Arc<Proxy>) -> Result<(ARef<File>, Mapping)> {
    let private = Arc::into_raw(proxy);
    // SAFETY: name and operations live for ever; the file takes over the reference in `private`.
    let file = from_err_ptr(unsafe {
        extra_bindings::anon_inode_create_getfile(
            c"[mckernel-window]".as_ptr().cast(),
            &WINDOW_FILE.0,
            private.cast_mut().cast(),
            (bindings::O_RDWR | bindings::O_CLOEXEC) as c_int,
            core::ptr::null(),
        )
    });
    let Some(file) = file.map(NonNull::new).inspect_err(|_| {
        // SAFETY: no file was made, so the reference is still ours.
        drop(unsafe { Arc::from_raw(private) });
    })?
    else {
        return Err(ENOMEM);
    };
    // SAFETY: a fresh file has a mapping.
    let mapping = NonNull::new(unsafe { (*file.as_ptr()).f_mapping }).ok_or(EINVAL)?;
    let mapping = Mapping {
        space: mapping,
        file,
    };
    // SAFETY: we own the one reference to this fresh file, which nobody uses by `fdget_pos`.
    Ok((unsafe { ARef::from_raw(file.cast::<File>()) }, mapping))
}

/// Maps [`start`, `+ bytes`) of window file `file` in the calling process, at its own address, instead
/// of whatever is there.
pub(crate) fn map_window(file: &File, start: u64, bytes: u64) -> Result {
    let rights = extra_bindings::PROT_READ | extra_bindings::PROT_WRITE;
    let flags = extra_bindings::MAP_SHARED | extra_bindings::MAP_FIXED;
    // SAFETY: the file is open; any arguments are checked by Linux and by `window::mmap`.
    let mapped = unsafe {
        bindings::vm_mmap(
            file.as_ptr(),
            start as c_ulong,
            bytes as c_ulong,
            rights as c_ulong,
            flags as c_ulong,
            start as c_ulong,
        )
    };
    match i32::try_from(mapped as isize) {
        Ok(errno @ -4095..=-1) => Err(Error::from_errno(errno)),
        _ => Ok(()),
    }
}

/// The proxy of a window file.
///
/// # Safety
///
/// `file` was opened by [`open_window`] and is open during `'a`.
pub(super) unsafe fn proxy_of<'a>(file: *mut bindings::file) -> ArcBorrow<'a, Proxy> {
    // SAFETY: the field holds what `Arc::into_raw` returned, and the file keeps that reference.
    unsafe { ArcBorrow::from_raw((*file).private_data.cast::<Proxy>()) }
}

/// # Safety
///
/// Called by Linux for a window file, with the new area and the mmap lock held for writing.
unsafe extern "C" fn mmap(file: *mut bindings::file, area: *mut bindings::vm_area_struct) -> c_int {
    // SAFETY: window files only (`WINDOW_FILE`).
    let proxy = unsafe { proxy_of(file) };
    // SAFETY: Linux passes a new area that is ours to set up.
    let area = unsafe { vma::NewArea::from_raw(area) };
    match window::mmap(&proxy, &area) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Called by Linux when the last reference to a window file is gone.
unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: the file gives its reference back; nobody uses the field afterwards.
    let proxy = unsafe { Arc::from_raw((*file).private_data.cast::<Proxy>().cast_const()) };
    proxy.window_released();
    0
}

/// A file of the calling process, to be read.
pub(crate) struct Source(ARef<LocalFile>);

impl Source {
    /// Descriptor `fd`. EBADF if there is none, ENODEV if it is no regular file.
    pub(crate) fn open(fd: i32) -> Result<Self> {
        let file = LocalFile::fget(u32::try_from(fd).map_err(|_| EBADF)?)?;
        // SAFETY: an open file has an inode.
        let mode = unsafe { (*(*file.as_ptr()).f_inode).i_mode };
        if u32::from(mode) & bindings::S_IFMT != bindings::S_IFREG {
            return Err(ENODEV);
        }
        Ok(Self(file))
    }

    /// Reads up to `bytes` bytes from `offset` on to `target`; returns how many. The file's own
    /// position stays as it is.
    ///
    /// # Safety
    ///
    /// `target` is valid for writes of `bytes` bytes, which may change under others' eyes.
    pub(crate) unsafe fn read(
        &self,
        offset: u64,
        target: NonNull<u8>,
        bytes: usize,
    ) -> Result<usize> {
        let mut position = i64::try_from(offset).map_err(|_| EINVAL)?;
        // SAFETY: the file is open; `target` by this function's contract.
        let read = unsafe {
            bindings::kernel_read(
                self.0.as_ptr(),
                target.as_ptr().cast(),
                bytes,
                &mut position,
            )
        };
        usize::try_from(read).map_err(|_| Error::from_errno(read as i32))
    }
}
