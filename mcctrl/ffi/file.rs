// SPDX-License-Identifier: GPL-2.0
//! Open files that are executed.

use super::extra;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};
use kernel::{
    bindings,
    error::from_err_ptr,
    fs::file::{File as KernelFile, FileDescriptorReservation},
    prelude::*,
    sync::aref::ARef,
};

/// An open file, which nobody uses by `fdget_pos`.
#[derive(Clone)]
pub(crate) struct File(ARef<KernelFile>);

/// A file that is executed: nobody can write it until Linux has closed it.
pub(crate) struct ExecutedFile(ARef<KernelFile>);

/// A descriptor that nobody has yet.
pub(crate) struct Reserved(FileDescriptorReservation, ARef<KernelFile>);

impl File {
    /// The file of descriptor `number` of the caller. EBADF if there is none.
    pub(crate) fn of_descriptor(number: u32) -> Result<Self> {
        // SAFETY: any number may be asked for; the result carries a reference.
        let file = NonNull::new(unsafe { bindings::fget(number) }).ok_or(EBADF)?;
        // SAFETY: the reference is ours.
        Ok(Self(unsafe { ARef::from_raw(file.cast()) }))
    }

    /// A reference of its own to `file`.
    ///
    /// # Safety
    ///
    /// `file` must be open.
    pub(super) unsafe fn from_raw(file: *mut bindings::file) -> Self {
        // SAFETY: the caller's promise; taking a reference leaves whoever has one its own.
        unsafe {
            let file = NonNull::new_unchecked(bindings::get_file(file));
            Self(ARef::from_raw(file.cast()))
        }
    }

    /// As C code names it.
    pub(super) fn as_ptr(&self) -> *mut bindings::file {
        self.0.as_ptr()
    }

    fn inode(&self) -> *mut bindings::inode {
        // SAFETY: an open file has an inode.
        unsafe { (*self.as_ptr()).f_inode }
    }

    /// Whether both are the same file of the same file system.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        self.inode() == other.inode()
    }

    /// EACCES if the caller may not execute it: the checks of `do_open_execat` (`fs/exec.c`).
    pub(crate) fn check_may_execute(&self) -> Result {
        const NO_EXEC_MOUNT: c_int = bindings::mount_flags_MNT_NOEXEC as c_int;
        const NO_EXEC_FILE_SYSTEM: c_ulong = bindings::SB_I_NOEXEC as c_ulong;
        let inode = self.inode();
        // SAFETY: the file is open; its path and its inode live as long.
        let permitted = unsafe {
            let mount = (*self.as_ptr()).__bindgen_anon_1.f_path.mnt;
            let is_regular = u32::from((*inode).i_mode) & bindings::S_IFMT == bindings::S_IFREG;
            if !is_regular
                || (*mount).mnt_flags & NO_EXEC_MOUNT != 0
                || (*(*mount).mnt_sb).s_iflags & NO_EXEC_FILE_SYSTEM != 0
            {
                return Err(EACCES);
            }
            // `mnt_idmap` of `include/linux/mount.h`.
            let id_map = AtomicPtr::from_ptr(core::ptr::addr_of_mut!((*mount).mnt_idmap));
            let id_map = id_map.load(Ordering::Acquire);
            bindings::inode_permission(id_map, inode, bindings::MAY_EXEC as c_int)
        };
        kernel::error::to_result(permitted)
    }

    /// Opens it once more, with the rights of whoever has opened it. ETXTBSY if it is being written.
    pub(crate) fn reopen_for_exec(&self) -> Result<ExecutedFile> {
        let file = self.as_ptr();
        // SAFETY: the file is open; path and credentials live as long.
        let again = from_err_ptr(unsafe {
            let path = core::ptr::addr_of!((*file).__bindgen_anon_1.f_path);
            bindings::dentry_open(path, (*file).f_flags as c_int, (*file).f_cred)
        })?;
        let again = NonNull::new(again).ok_or(ENOMEM)?;
        // SAFETY: a fresh file.
        let again = Self(unsafe { ARef::from_raw(again.cast()) });
        again.executed()
    }

    fn writers(&self) -> &AtomicI32 {
        // SAFETY: the inode lives as long as the file, and its counter is an `atomic_t`.
        unsafe {
            AtomicI32::from_ptr(core::ptr::addr_of_mut!(
                (*self.inode()).i_writecount.counter
            ))
        }
    }

    /// Whether somebody fills the file as it is read (`FMODE_FSNOTIFY_HSM`): Linux lets him write it then.
    fn is_filled_when_read(&self) -> bool {
        const BITS: u32 = extra::FSNOTIFY_MASK;
        // SAFETY: the file is open; these bits are set before that.
        let bits = unsafe { (*self.as_ptr()).f_mode } & BITS;
        BITS != 0 && (bits == 0 || bits == BITS)
    }

    /// `exe_file_deny_write_access` of `include/linux/fs.h`.
    fn deny_writing(&self) -> Result {
        const ETXTBSY: c_int = -26;
        if self.is_filled_when_read() {
            return Ok(());
        }
        let less = |count: i32| (count <= 0).then(|| count.wrapping_sub(1));
        let denied = self
            .writers()
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        denied.map(drop).map_err(|_| Error::from_errno(ETXTBSY))
    }

    /// The same file, which nobody can write from now on. ETXTBSY if it is being written.
    pub(crate) fn executed(&self) -> Result<ExecutedFile> {
        self.deny_writing()?;
        Ok(ExecutedFile(self.0.clone()))
    }

    /// Reserves a descriptor for it, which closes on exec.
    pub(crate) fn reserve_descriptor(self) -> Result<Reserved> {
        let number = FileDescriptorReservation::get_unused_fd_flags(bindings::O_CLOEXEC)?;
        Ok(Reserved(number, self.0))
    }
}

impl Reserved {
    /// Its number.
    pub(crate) fn number(&self) -> Result<i32> {
        i32::try_from(self.0.reserved_fd()).map_err(|_| EMFILE)
    }

    /// The caller has it now.
    pub(crate) fn install(self) {
        self.0.fd_install(self.1);
    }
}

impl ExecutedFile {
    /// A file of `open_exec`.
    ///
    /// # Safety
    ///
    /// `file` must be that, and its reference and its denial of writing the new value's.
    pub(super) unsafe fn from_raw(file: NonNull<bindings::file>) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { ARef::from_raw(file.cast()) })
    }

    /// Hands it to Linux, which closes it as what it has opened for exec itself.
    pub(super) fn into_raw(self) -> *mut bindings::file {
        let file = self.0.as_ptr();
        core::mem::forget(self);
        file
    }

    /// Gives up the denial of writing, and not the reference, of a file that was handed to Linux.
    ///
    /// # Safety
    ///
    /// `file` must be as [`Self::into_raw`] returns it.
    pub(super) unsafe fn allow_writing(file: *mut bindings::file) {
        // SAFETY: the caller's promise; this reference is one more.
        let file = unsafe { File::from_raw(file) };
        if !file.is_filled_when_read() {
            file.writers().fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> File {
        File(self.0.clone())
    }
}

impl Drop for ExecutedFile {
    fn drop(&mut self) {
        // SAFETY: as long as the value lives, the file is that.
        unsafe { Self::allow_writing(self.0.as_ptr()) };
    }
}
