// SPDX-License-Identifier: GPL-2.0
//! The anonymous inode that a window is mapped from.

use super::vma::{self, AreaOps, NewArea};
use super::{compat, extra, mm};
use crate::proto::errno::decode;
use core::marker::PhantomData;
use core::ptr::NonNull;
use kernel::{
    bindings,
    error::from_err_ptr,
    fs::file::File,
    prelude::*,
    sync::{aref::ARef, Arc},
};

/// The owner of a window: what its file does.
pub(crate) trait WindowOps: AreaOps {
    /// The operations of its file.
    fn file_operations() -> &'static FileOperations<Self>;

    /// Whether its file may be mapped as `area`; an error refuses.
    fn mmap(&self, area: &NewArea<'_>) -> Result;

    /// The last reference to its file and the last area are gone.
    fn released(&self);
}

/// The address space of a window's file, as long as that is open.
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

/// Operations of files whose windows are `T`'s; they live in a static.
pub(crate) struct FileOperations<T>(bindings::file_operations, PhantomData<fn(T)>);

// SAFETY: never written; Linux only reads it.
unsafe impl<T> Sync for FileOperations<T> {}

impl<T: WindowOps> FileOperations<T> {
    /// The operations call `T`'s. The module stays loaded while a window is open or mapped.
    pub(crate) const fn new() -> Self {
        let operations = bindings::file_operations {
            owner: compat::this_module(),
            mmap: Some(mmap::<T>),
            release: Some(release::<T>),
            ..pin_init::zeroed()
        };
        Self(operations, PhantomData)
    }
}

/// Opens the window of `owner`: a file on an inode of its own.
pub(crate) fn open_window<T: WindowOps>(owner: Arc<T>) -> Result<(ARef<File>, Mapping)> {
    let private = Arc::into_raw(owner);
    // SAFETY: name and operations live for ever; the file takes over the reference in `private`.
    let file = from_err_ptr(unsafe {
        extra::anon_inode_create_getfile(
            c"[mckernel-window]".as_char_ptr(),
            &T::file_operations().0,
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
    map(file, start, bytes, start, extra::MAP_FIXED).map(drop)
}

/// Maps [`start`, `end`) of window file `file` in the calling process, at its own address, around the
/// areas that are there and of which `may_stay` says, by first address and one past the last, that they
/// may be. EEXIST if it does not.
pub(crate) fn map_window_around(
    file: &File,
    (start, end): (u64, u64),
    may_stay: impl Fn(u64, u64) -> bool,
) -> Result {
    let mut at = start;
    while at < end {
        let (first, last) = mm::area_from(at).map_or((end, end), |(first, last)| {
            (first.clamp(at, end), last.min(end))
        });
        if first < last && !may_stay(first, last) {
            return Err(EEXIST);
        }
        if at < first {
            map(
                file,
                at,
                first.saturating_sub(at),
                at,
                extra::MAP_FIXED_NOREPLACE,
            )?;
        }
        at = last;
    }
    Ok(())
}

/// Maps `bytes` of window file `file` from `offset` on, where Linux finds room. Returns the address.
pub(crate) fn map_anywhere(file: &File, bytes: u64, offset: u64) -> Result<u64> {
    map(file, 0, bytes, offset, 0)
}

/// Maps a part of `file` for reading and writing. Returns the address.
fn map(file: &File, address: u64, bytes: u64, offset: u64, flags: u32) -> Result<u64> {
    let rights = extra::PROT_READ | extra::PROT_WRITE;
    let flags = extra::MAP_SHARED | flags;
    // SAFETY: the file is open; any arguments are checked by Linux and by [`WindowOps::mmap`].
    let mapped = unsafe {
        bindings::vm_mmap(
            file.as_ptr(),
            address as c_ulong,
            bytes as c_ulong,
            rights as c_ulong,
            flags as c_ulong,
            offset as c_ulong,
        )
    };
    match decode(mapped as u64) {
        Ok(address) => Ok(address),
        Err(errno) => Err(Error::from_errno(errno.negated())),
    }
}

/// # Safety
///
/// Called by Linux for a window file of `T`'s, with the new area and the mmap lock held for writing.
unsafe extern "C" fn mmap<T: WindowOps>(
    file: *mut bindings::file,
    area: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: a window file of `T`'s, which is open.
    let owner = unsafe { vma::owner_of::<T>(file) };
    // SAFETY: Linux passes a new area that is ours to set up.
    let area = unsafe { NewArea::from_raw(area) };
    match owner.mmap(&area) {
        Ok(()) => {
            // SAFETY: as above.
            unsafe { area.become_window::<T>() };
            0
        }
        Err(error) => error.to_errno(),
    }
}

/// # Safety
///
/// Called by Linux when the last reference to a window file of `T`'s is gone.
unsafe extern "C" fn release<T: WindowOps>(
    _inode: *mut bindings::inode,
    file: *mut bindings::file,
) -> c_int {
    // SAFETY: the file gives its reference back; nobody uses the field afterwards.
    let owner = unsafe { Arc::from_raw((*file).private_data.cast::<T>().cast_const()) };
    owner.released();
    0
}
