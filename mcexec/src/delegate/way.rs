// SPDX-License-Identifier: GPL-2.0
//! For measurement (`mcexec --way=WAY`): ways for a delegated call's data to travel other than the usual one, so that
//! they can be compared. A program that executes another goes on in the usual way.

use std::sync::OnceLock;

use ihk_ikc::layout::PAGE_BYTES;
use nix::errno::Errno;
use nix::libc;

use super::copied;
use crate::window::Window;

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
    /// As in the original design: through a buffer of mcexec's, see [`copied`].
    Copy,
}

/// What [`begin`] was told; unset in the usual way.
static CHOSEN: OnceLock<(Way, Window)> = OnceLock::new();

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
        Way::Page => window.map_singly()?,
        Way::Around | Way::Before | Way::Copy => {}
    }
    CHOSEN.set((way, window)).map_err(|_| Errno::EALREADY)
}

/// Whether calls travel in another than the usual way.
pub(super) fn is_chosen() -> bool {
    CHOSEN.get().is_some()
}

/// The result of `call`, if the chosen way makes it; `None` if it is to be made as always, perhaps
/// with something prepared.
#[cold]
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
        Way::Copy => copied::carry(call, args),
        _ => None,
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
