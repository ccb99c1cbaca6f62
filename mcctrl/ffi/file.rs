// SPDX-License-Identifier: GPL-2.0
//! Files: the anonymous inode a window is mapped from, and reading a file into kernel memory.

use super::{extra, vma};
use crate::{proxy::Proxy, window};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, Ordering};
use kernel::{
    bindings,
    error::{from_err_ptr, to_result},
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
    owner: super::compat::this_module(),
    mmap: Some(mmap),
    release: Some(release),
    ..pin_init::zeroed()
});

/// Opens the window of `proxy`: a file on an inode of its own.
pub(crate) fn open_window(proxy: Arc<Proxy>) -> Result<(ARef<File>, Mapping)> {
    let private = Arc::into_raw(proxy);
    // SAFETY: name and operations live for ever; the file takes over the reference in `private`.
    let file = from_err_ptr(unsafe {
        extra::anon_inode_create_getfile(
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
    let rights = extra::PROT_READ | extra::PROT_WRITE;
    let flags = extra::MAP_SHARED | extra::MAP_FIXED;
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

/// A file of the calling process, to be read; kept open, whatever becomes of its descriptor.
#[derive(Clone)]
pub(crate) struct Source(ARef<File>);

/// Which file it is, among all there ever were while this kernel runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u32,
    /// Which disk the device is: another one under the same number has another.
    disk: u64,
    inode: u64,
    generation: u32,
}

/// Which content it has. Two contents never share a version, see [`Source::state`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    size: i64,
    changed: (i64, i64),
    modified: (i64, i64),
    /// Linux's count of changes, where the file system has one; else 0.
    changes: u64,
}

/// A file at some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// Its length, bytes.
    pub(crate) size: u64,
    /// If its content can be told from any other it may get.
    pub(crate) stable: Option<(Identity, Version)>,
}

impl Source {
    /// Descriptor `fd`. EBADF if there is none, ENODEV if it is no regular file, EACCES if it is not
    /// open for reading.
    pub(crate) fn open(fd: i32) -> Result<Self> {
        let file = LocalFile::fget(u32::try_from(fd).map_err(|_| EBADF)?)?;
        // SAFETY: this thread is in an ioctl of another file, and uses no file by `fdget_pos`.
        let source = Self(unsafe { LocalFile::assume_no_fdget_pos(file) });
        // SAFETY: an open file has an inode.
        let mode = unsafe { (*source.inode()).i_mode };
        if u32::from(mode) & bindings::S_IFMT != bindings::S_IFREG {
            return Err(ENODEV);
        }
        if source.0.flags() & kernel::fs::file::flags::O_ACCMODE
            == kernel::fs::file::flags::O_WRONLY
        {
            return Err(EACCES);
        }
        Ok(source)
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::file {
        self.0.as_ptr()
    }

    pub(super) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: the file is open.
        unsafe { (*self.0.as_ptr()).f_mapping }
    }

    pub(super) fn inode(&self) -> *mut bindings::inode {
        // SAFETY: the file is open.
        unsafe { (*self.0.as_ptr()).f_inode }
    }

    /// What the file is now.
    ///
    /// The version is sound for file systems on a disk whose times never repeat once somebody has
    /// looked at them (multigrain timestamps), as long as nobody has the file open for writing: a
    /// write or a shared mapping changes the time first and the content later, so the version is
    /// looked at before the writers are. Whatever else a file may be on, it is not stable.
    pub(crate) fn state(&self) -> Result<State> {
        let mask = bindings::STATX_BASIC_STATS | bindings::STATX_CHANGE_COOKIE;
        let mut stat = bindings::kstat::default();
        // SAFETY: the file is open, and with it its path; `stat` is ours.
        to_result(unsafe {
            let path = &raw const (*self.0.as_ptr()).__bindgen_anon_1.f_path;
            bindings::vfs_getattr(path, &mut stat, mask, 0)
        })?;
        let counts = stat.result_mask & bindings::STATX_CHANGE_COOKIE != 0;
        let version = Version {
            size: stat.size,
            changed: (stat.ctime.tv_sec, stat.ctime.tv_nsec as i64),
            modified: (stat.mtime.tv_sec, stat.mtime.tv_nsec as i64),
            changes: if counts { stat.change_cookie } else { 0 },
        };
        let identity = self.identity().filter(|it| it.inode == stat.ino);
        Ok(State {
            size: u64::try_from(stat.size).unwrap_or(0),
            stable: identity
                .filter(|_| !self.has_writers())
                .map(|it| (it, version)),
        })
    }

    /// As [`Self::state`], for a task that may hold any lock of a file system: only those that answer
    /// from memory are asked.
    pub(crate) fn state_in_fault(&self) -> Result<State> {
        if self.identity().is_some() {
            return self.state();
        }
        Ok(State {
            size: self.bytes(),
            stable: None,
        })
    }

    /// `None` if its pages may change without a trace, or it cannot be told from others.
    fn identity(&self) -> Option<Identity> {
        let inode = self.inode();
        // SAFETY: the open file keeps inode, mapping and file system; a mounted file system keeps its
        // device, whose disk has its number for life.
        unsafe {
            let mount = (*inode).i_sb;
            let flags = (*(*mount).s_type).fs_flags as u32;
            let is_own = (*(*self.0.as_ptr()).f_mapping).host == inode;
            let is_direct = (*inode).i_flags & bindings::S_DAX != 0;
            let device = NonNull::new((*mount).s_bdev)?;
            let traced = flags & bindings::FS_MGTIME != 0 && is_own && !is_direct;
            traced.then(|| Identity {
                device: (*mount).s_dev,
                disk: (*(*device.as_ptr()).bd_disk).diskseq,
                inode: (*inode).i_ino,
                generation: (*inode).i_generation,
            })
        }
    }

    /// Whether somebody has it open for writing, which includes shared mappings that may be written.
    fn has_writers(&self) -> bool {
        // SAFETY: a field of a valid inode, which the kernel changes atomically.
        let writers = unsafe {
            let count = &raw mut (*self.inode()).i_writecount;
            &*count.cast::<AtomicI32>()
        };
        writers.load(Ordering::SeqCst) > 0
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
