// SPDX-License-Identifier: GPL-2.0
//! Hop 6.3 of a delegated call: was another transport than the usual one chosen for its data?
//!
//! The others exist for measurement only, so that they can be compared (`mcexec --way=WAY`). A
//! program that executes another goes on with the usual one.

use std::sync::OnceLock;

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::syscalls::{self, Class};
use nix::errno::Errno;
use nix::libc;

use super::transport_copy;
use crate::start::cli::Transport;
use crate::syscall::Answer;
use crate::window::Window;

/// The transport that [`begin`] was told, and its window. Unset with the usual one.
static CHOSEN: OnceLock<(Transport, Window)> = OnceLock::new();

/// Lets data travel by `transport` from now on. May be called once.
///
/// # Errors
///
/// Linux lacks memory for it.
pub(crate) fn begin(transport: Transport, window: Window) -> Result<(), Errno> {
    match transport {
        Transport::Usual => return Ok(()),
        Transport::Page => window.map_singly()?,
        Transport::Around | Transport::Before | Transport::Copy => {}
    }
    CHOSEN.set((transport, window)).map_err(|_| Errno::EALREADY)
}

/// Returns whether another transport than the usual one was chosen.
pub(super) fn is_chosen() -> bool {
    CHOSEN.get().is_some()
}

/// Makes `call` by the chosen transport. Returns its result, or `None` if the call is still to be
/// made as it is, perhaps with something prepared.
#[cold]
pub(super) fn carry(call: libc::c_long, args: [u64; 6]) -> Option<Answer> {
    let (transport, window) = CHOSEN.get()?;
    let reads = syscalls::class(call.cast_unsigned()).has(Class::FILLS_BUFFER);
    match transport {
        Transport::Before if reads => {
            let first = args[1] & !(PAGE_BYTES - 1);
            let bytes = args[1].saturating_add(args[2]).saturating_sub(first);
            // If a page cannot be mapped, the call itself finds that out.
            let _ = window.map_now(first, bytes);
            None
        }
        Transport::Copy => transport_copy::carry(call, args),
        _ => None,
    }
}
