// SPDX-License-Identifier: GPL-2.0
//! What `ps` shows of this process: the program's command line, not mcexec's.

use std::ffi::CString;
use std::fs;

use nix::libc;

/// Linux's `struct prctl_mm_map`.
#[repr(C)]
struct MemoryMap {
    /// Beginning and end of code, data and heap, beginning of the stack, beginning and end of
    /// arguments and environment.
    addresses: [u64; 11],
    auxv: u64,
    auxv_bytes: u32,
    exe_fd: u32,
}

/// Fields of `/proc/PID/stat` that hold these addresses, in that order; 0 = the program break,
/// which is not among them.
const FIELDS: [usize; 11] = [26, 27, 45, 46, 47, 0, 28, 48, 49, 50, 51];
/// Where the arguments are among the addresses.
const ARGUMENTS: usize = 7;

/// Makes `argv` the command line that other processes read of this one. Without effect on a Linux
/// that does not offer it.
pub(crate) fn show(argv: &[CString]) {
    let strings: Vec<u8> = argv
        .iter()
        .flat_map(|text| text.to_bytes_with_nul().to_vec())
        .collect();
    // Linux reads it as long as the process lives.
    let strings = strings.leak();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some(mut addresses) = parse(&stat, program_break()) else {
        return;
    };
    let start = strings.as_ptr().expose_provenance() as u64;
    addresses[ARGUMENTS] = start;
    addresses[ARGUMENTS + 1] = start + strings.len() as u64;
    let map = MemoryMap {
        addresses,
        auxv: 0,
        auxv_bytes: 0,
        exe_fd: u32::MAX,
    };
    // SAFETY: Linux reads `map` and keeps its numbers to tell other processes; nothing is written,
    // and what they point to stays where it is.
    unsafe {
        libc::prctl(
            libc::PR_SET_MM,
            libc::PR_SET_MM_MAP,
            &raw const map,
            size_of::<MemoryMap>(),
            0,
        );
    }
}

fn program_break() -> u64 {
    // SAFETY: a query.
    unsafe { libc::syscall(libc::SYS_brk, 0) }.cast_unsigned()
}

/// The addresses in the text of `/proc/PID/stat`.
fn parse(stat: &str, program_break: u64) -> Option<[u64; 11]> {
    // The name in parentheses may hold anything; the field after it is number 3.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let mut addresses = [0; 11];
    for (address, field) in addresses.iter_mut().zip(FIELDS) {
        *address = match field {
            0 => program_break,
            _ => fields.get(field - 3)?.parse().ok()?,
        };
    }
    Some(addresses)
}

#[cfg(test)]
mod tests {
    use super::{parse, show};
    use std::fs;

    #[test]
    fn others_see_the_shown_command_line() {
        let before = fs::read("/proc/self/cmdline").unwrap();
        show(&[c"program".to_owned(), c"an argument".to_owned()]);
        let after = fs::read("/proc/self/cmdline").unwrap();
        // A Linux without checkpoint/restore leaves it as it was.
        assert!(after == b"program\0an argument\0" || after == before);
    }

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let numbers: Vec<String> = (4..=52).map(|number| number.to_string()).collect();
        let stat = format!("7 (a) b) R {}", numbers.join(" "));
        assert_eq!(
            parse(&stat, 99),
            Some([26, 27, 45, 46, 47, 99, 28, 48, 49, 50, 51])
        );
        assert_eq!(parse("7 (a) R 1", 99), None);
    }
}
