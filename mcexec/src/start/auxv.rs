// SPDX-License-Identifier: GPL-2.0
//! The program's auxiliary vector: Linux's own for mcexec, with the program's addresses in it.

use std::ffi::CStr;

use nix::libc;

use crate::image::elf::Executable;
use crate::image::layout::Layout;
use crate::image::stack::{entry_path, entry_platform, entry_random, Value};

/// Linux's `PR_GET_AUXV`.
const PR_GET_AUXV: libc::c_int = 0x4155_5856;

/// `AT_PLATFORM` of this machine.
pub(crate) const PLATFORM: &CStr = c"x86_64";

/// Returns the vector in Linux's order, without its end.
#[must_use]
pub(crate) fn build(program: &Executable, layout: &Layout) -> Vec<(u64, Value)> {
    let bias = layout.program.bias;
    let loaded_headers = if program.headers_address == 0 {
        0
    } else {
        program.headers_address + bias
    };
    let interpreter_base = layout.interpreter.as_ref().map_or(0, |placed| placed.bias);
    let own = Own::read();
    let mut vector = Vec::new();
    let mut plain = |key, value| vector.push((key, Value::Plain(value)));
    if layout.vdso.target != 0 {
        plain(
            libc::AT_SYSINFO_EHDR,
            layout.vdso.target + layout.vdso.vvar_bytes,
        );
    }
    plain(libc::AT_MINSIGSTKSZ, own.value(libc::AT_MINSIGSTKSZ));
    plain(libc::AT_HWCAP, own.value(libc::AT_HWCAP));
    plain(libc::AT_PAGESZ, own.value(libc::AT_PAGESZ));
    plain(libc::AT_CLKTCK, own.value(libc::AT_CLKTCK));
    plain(libc::AT_PHDR, loaded_headers);
    plain(libc::AT_PHENT, 56);
    plain(libc::AT_PHNUM, program.header_count.into());
    plain(libc::AT_BASE, interpreter_base);
    plain(libc::AT_FLAGS, 0);
    plain(libc::AT_ENTRY, program.entry.wrapping_add(bias));
    plain(libc::AT_UID, own.value(libc::AT_UID));
    plain(libc::AT_EUID, own.value(libc::AT_EUID));
    plain(libc::AT_GID, own.value(libc::AT_GID));
    plain(libc::AT_EGID, own.value(libc::AT_EGID));
    plain(libc::AT_SECURE, own.value(libc::AT_SECURE));
    vector.push(entry_random());
    vector.push((libc::AT_HWCAP2, Value::Plain(own.value(libc::AT_HWCAP2))));
    vector.push(entry_path());
    vector.push(entry_platform());
    vector
}

/// The auxiliary vector that Linux gave to mcexec. It is not read by `getauxval`, because the C
/// library of a static program answers with its own idea of `AT_HWCAP`.
struct Own(Vec<u8>);

impl Own {
    fn read() -> Self {
        let mut bytes = vec![0; 1024];
        // SAFETY: Linux writes at most as many bytes as there is room.
        let needed = unsafe { libc::prctl(PR_GET_AUXV, bytes.as_mut_ptr(), bytes.len(), 0, 0) };
        bytes.truncate(usize::try_from(needed).unwrap_or(0));
        Self(bytes)
    }

    fn value(&self, key: u64) -> u64 {
        let words = self.0.chunks_exact(16);
        let mut pairs =
            words.filter_map(|pair| Some((word(pair.get(..8)?)?, word(pair.get(8..)?)?)));
        pairs
            .find(|(found, _)| *found == key)
            .map_or(0, |(_, value)| value)
    }
}

fn word(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::Own;
    use nix::libc;

    #[test]
    fn the_vector_is_this_process_own() {
        let own = Own::read();
        assert_eq!(own.value(libc::AT_PAGESZ), 4096);
        assert_ne!(own.value(libc::AT_HWCAP), 0);
        assert_eq!(own.value(999), 0);
    }
}
