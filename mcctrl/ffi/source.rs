// SPDX-License-Identifier: GPL-2.0
//! Files of the calling process: reading them into kernel memory, and telling their contents apart.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, Ordering};
use kernel::{
    bindings,
    error::to_result,
    fs::file::{File, LocalFile},
    prelude::*,
    sync::aref::ARef,
};

/// A file of the calling process, to be read; kept open, whatever becomes of its descriptor.
#[derive(Clone)]
pub(crate) struct Source(ARef<File>);

/// The identity of a file, among all there ever were while this kernel runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u32,
    /// The number of the disk: another one under the same device number has another.
    disk: u64,
    inode: u64,
    generation: u32,
}

/// The fingerprint of its content. Two contents never share one, see [`Source::state`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
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
    pub(crate) stable: Option<(Identity, Fingerprint)>,
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

    /// Returns length and content of the file as they are now.
    ///
    /// The fingerprint is sound for file systems on a disk whose times never repeat once somebody has
    /// looked at them (multigrain timestamps), as long as nobody has the file open for writing: a
    /// write or a shared mapping changes the time first and the content later, so the fingerprint is
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
        let fingerprint = Fingerprint {
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
                .map(|it| (it, fingerprint)),
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
