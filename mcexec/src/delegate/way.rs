// SPDX-License-Identifier: GPL-2.0
//! For measurement (`mcexec --way=WAY`): ways for a delegated call's data to travel other than the usual one, so that
//! they can be compared. A program that executes another goes on in the usual way.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, OnceLock};

use ihk_ikc::layout::PAGE_BYTES;
use nix::errno::Errno;
use nix::libc;
use nix::sys::memfd::{memfd_create, MFdFlags};
use nix::unistd::ftruncate;

use crate::device;
use crate::syscall;
use crate::window::{self, Window};

/// How the data of a delegated call travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// The first use of a little memory through the slot's bounce page, all else as [`Self::Around`].
    #[default]
    Usual,
    /// Linux faults in the window; the pages around come, too, or 2 MiB at once.
    Around,
    /// Linux faults in the window for each page.
    Page,
    /// The buffer of a call is mapped in the window before the call is made.
    Before,
    /// As in the original design: into a buffer of mcexec's, and copied from there. Only `read` and
    /// `pread64`; for programs that do not fork, because what is copied goes to pages that are there.
    Copy,
}

/// Where copied data lies in between.
struct Bounce {
    fd: OwnedFd,
    address: u64,
}

/// Most bytes a copied call reads.
const BOUNCE_BYTES: u64 = 16 << 20;

/// What [`begin`] was told; unset in the usual way.
static CHOSEN: OnceLock<(Way, Window)> = OnceLock::new();
/// One copied call at a time.
static BOUNCE: Mutex<Option<Bounce>> = Mutex::new(None);

impl Way {
    /// The way of that name.
    #[must_use]
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"around" => Some(Self::Around),
            b"page" => Some(Self::Page),
            b"before" => Some(Self::Before),
            b"copy" => Some(Self::Copy),
            _ => None,
        }
    }
}

/// From now on data travel in this way; once.
///
/// # Errors
///
/// Linux lacks memory for it.
pub(crate) fn begin(way: Way, window: Window) -> Result<(), Errno> {
    match way {
        Way::Usual => return Ok(()),
        Way::Around => {}
        Way::Page => window.map_singly()?,
        Way::Before => {}
        Way::Copy => {
            let bounce = Bounce::new()?;
            *BOUNCE.lock().map_err(|_| Errno::EIO)? = Some(bounce);
        }
    }
    CHOSEN.set((way, window)).map_err(|_| Errno::EALREADY)
}

/// Whether calls travel in another than the usual way.
pub(super) fn is_chosen() -> bool {
    CHOSEN.get().is_some()
}

/// The result of `call`, if the chosen way makes it; `None` if it is to be made as always, perhaps
/// with something prepared.
pub(super) fn carry(call: libc::c_long, args: [u64; 6]) -> Option<i64> {
    let (way, window) = CHOSEN.get()?;
    let reads = matches!(call, libc::SYS_read | libc::SYS_pread64);
    match way {
        Way::Before if reads => {
            let first = args[1] & !(PAGE_BYTES - 1);
            let bytes = args[1].saturating_add(args[2]).saturating_sub(first);
            // What cannot be mapped is for the call itself to find.
            let _ = window.map_now(first, bytes);
            None
        }
        Way::Copy if reads => BOUNCE.lock().ok()?.as_ref().map(|it| it.read(call, args)),
        _ => None,
    }
}

impl Bounce {
    fn new() -> Result<Self, Errno> {
        let fd = device::move_up(memfd_create(c"mcexec-bounce", MFdFlags::MFD_CLOEXEC)?)?;
        ftruncate(&fd, BOUNCE_BYTES.cast_signed())?;
        let address = window::map_shared(&fd, 0, BOUNCE_BYTES, 0)? as u64;
        Ok(Self { fd, address })
    }

    /// Makes the call with our memory, and has mcctrl copy what came into the program's frames.
    fn read(&self, call: libc::c_long, mut args: [u64; 6]) -> i64 {
        let target = args[1];
        args[1] = self.address;
        args[2] = args[2].min(BOUNCE_BYTES);
        let result = syscall::perform(call.cast_unsigned(), args);
        let Ok(bytes @ 1..) = u64::try_from(result) else {
            return result;
        };
        let copied = device::copy_in(self.fd.as_raw_fd(), 0, target, bytes);
        super::answer(copied.map(|()| result))
    }
}

#[cfg(test)]
mod tests {
    use super::Way;

    #[test]
    fn ways_have_names() {
        assert_eq!(Way::named(b"page"), Some(Way::Page));
        assert_eq!(Way::named(b"around"), Some(Way::Around));
        assert_eq!(Way::named(b"pages"), None);
    }
}
