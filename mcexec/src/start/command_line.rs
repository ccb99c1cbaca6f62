// SPDX-License-Identifier: GPL-2.0
//! Has Linux tell everybody of the program instead of mcexec: its command line, environment,
//! auxiliary vector and addresses.
//!
//! Linux reads such strings in private memory only, not in the window, so they are copies. If a
//! program changes its own strings, nobody sees it.

use nix::libc;

use crate::image::stack::Stack;
use crate::proc_file;

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

/// Fields of `/proc/PID/stat` that hold these addresses, in that order. 0 stands for the program
/// break, which is not among them.
const FIELDS: [usize; 11] = [26, 27, 45, 46, 47, 0, 28, 48, 49, 50, 51];
/// Indices of addresses in that order. Each but the stack is followed by its end.
mod index {
    pub(super) const CODE: usize = 0;
    pub(super) const STACK: usize = 6;
    pub(super) const ARGUMENTS: usize = 7;
    pub(super) const ENVIRONMENT: usize = 9;
}

/// Publishes the program with first stack `stack` and its code at `code` (start and end): from now
/// on Linux tells of it instead of mcexec. Nothing happens on a Linux that does not offer it. The
/// heap stays mcexec's, because its C library uses it.
pub(crate) fn publish(stack: &Stack, code: (u64, u64)) {
    let text = proc_file::read_text("/proc/self/stat");
    let Some(mut addresses) = parse(&text, program_break()) else {
        return;
    };
    let strings = copy(stack);
    // The distance from the strings to their copies.
    let shift = (strings.as_ptr().expose_provenance() as u64).wrapping_sub(stack.arguments.0);
    let copied = |(start, end): (u64, u64)| (start.wrapping_add(shift), end.wrapping_add(shift));
    let mut set = |index: usize, (start, end): (u64, u64)| {
        addresses[index] = start;
        addresses[index + 1] = end;
    };
    set(index::CODE, code);
    set(index::ARGUMENTS, copied(stack.arguments));
    set(index::ENVIRONMENT, copied(stack.environment));
    addresses[index::STACK] = stack.pointer;
    let auxv = stack.bytes.get(stack.auxv.clone()).unwrap_or_default();
    let map = MemoryMap {
        addresses,
        auxv: auxv.as_ptr().expose_provenance() as u64,
        auxv_bytes: auxv.len().try_into().unwrap_or(0),
        exe_fd: u32::MAX,
    };
    // SAFETY: Linux reads `map` and copies the vector it names; it keeps the other numbers to tell
    // other processes. Nothing of ours is written.
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

/// Returns a copy of arguments and environment, which lie one after the other. It stays for as long
/// as the process lives.
fn copy(stack: &Stack) -> &'static [u8] {
    let offset = |address: u64| usize::try_from(address - stack.pointer).unwrap_or(usize::MAX);
    let range = offset(stack.arguments.0)..offset(stack.environment.1);
    stack.bytes.get(range).unwrap_or_default().to_vec().leak()
}

fn program_break() -> u64 {
    // SAFETY: a query.
    unsafe { libc::syscall(libc::SYS_brk, 0) }.cast_unsigned()
}

/// Returns the addresses in the text of `/proc/PID/stat`.
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
    use super::parse;

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
