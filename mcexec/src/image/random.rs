// SPDX-License-Identifier: GPL-2.0
//! Address space randomisation, or none, as the machine and the process want it.

use nix::libc;
use nix::sys::personality::{self, Persona};

use crate::proc_file;

/// The parts of an address space that are to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Randomness {
    /// Whether stack, libraries and program move.
    pub addresses: bool,
    /// Whether the heap moves, too.
    pub heap: bool,
}

impl Randomness {
    /// Nothing moves.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self {
        addresses: false,
        heap: false,
    };

    /// Returns what `kernel.randomize_va_space` and the personality (`setarch -R`) say.
    #[must_use]
    pub(crate) fn of_this_process() -> Self {
        let level = proc_file::read_text("/proc/sys/kernel/randomize_va_space");
        let level: u32 = level.trim().parse().unwrap_or(2);
        let off =
            personality::get().is_ok_and(|persona| persona.contains(Persona::ADDR_NO_RANDOMIZE));
        Self {
            addresses: level >= 1 && !off,
            heap: level >= 2 && !off,
        }
    }

    /// Returns a random number below 2^`bits`, or 0 if addresses do not move.
    #[must_use]
    pub(crate) fn bits(self, bits: u32) -> u64 {
        if self.addresses {
            word() & ((1 << bits) - 1)
        } else {
            0
        }
    }
}

/// Returns 64 random bits.
#[must_use]
pub(crate) fn word() -> u64 {
    u64::from_ne_bytes(bytes())
}

/// Returns random bytes. They come by the system call, because the fall-back of a library would
/// leave `/dev/urandom` open in the program.
#[must_use]
#[expect(unsafe_code, reason = "getrandom")]
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // SAFETY: writes at most as many bytes as `rest` has.
        let more = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        // Negative only when a signal came first.
        filled += usize::try_from(more).unwrap_or(0);
    }
    bytes
}
