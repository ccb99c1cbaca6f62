// SPDX-License-Identifier: GPL-2.0
//! The filter of system calls in a thread that runs functions.
//!
//! The thread makes two kinds at once: those made by mcexec's own code, and those of the program
//! that mean the same in any thread and have no exceptions here. All others become SIGSYS.

use ihk_ikc::syscalls::{Class, CALLS};
use nix::errno::Errno;
use nix::libc::{self, sock_filter};

const LOAD: u16 = code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS);
const EQUAL: u16 = code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
const NOT_LESS: u16 = code(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K);
const RETURN: u16 = code(libc::BPF_RET | libc::BPF_K);

#[expect(clippy::cast_possible_truncation, reason = "codes have 16 bits")]
const fn code(bits: u32) -> u16 {
    bits as u16
}

/// Offsets in Linux's `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const INSTRUCTION: u32 = 8;
/// `AUDIT_ARCH_X86_64`.
const X86_64: u32 = 0xc000_003e;

/// Returns the numbers of the calls that are made at once, ascending.
fn direct() -> impl Iterator<Item = u64> {
    let calls = CALLS.iter().filter(|call| call.class.has(Class::DIRECT));
    calls.map(|call| call.number)
}

const fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    }
}

/// Returns an instruction that goes on `yes` or `no` instructions further.
const fn branch(code: u16, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter {
        code,
        jt: yes,
        jf: no,
        k,
    }
}

/// Returns the filter, for our text at `text`.
fn program(text: (u64, u64)) -> Vec<sock_filter> {
    let mut code = vec![
        statement(LOAD, ARCHITECTURE),
        branch(EQUAL, X86_64, 1, 0),
        statement(RETURN, libc::SECCOMP_RET_KILL_PROCESS),
        statement(LOAD, NUMBER),
    ];
    for number in direct() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        code.push(branch(EQUAL, number, 0, 1));
        code.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    }
    for (high, low, end) in pieces(text) {
        code.push(statement(LOAD, INSTRUCTION + 4));
        code.push(branch(EQUAL, high, 0, 4));
        code.push(statement(LOAD, INSTRUCTION));
        code.push(branch(NOT_LESS, low, 0, 2));
        // The last address of the piece, lest it does not fit.
        code.push(branch(NOT_LESS, end, 1, 0));
        code.push(statement(RETURN, libc::SECCOMP_RET_ALLOW));
    }
    code.push(statement(RETURN, libc::SECCOMP_RET_TRAP));
    code
}

/// Splits [`start`, `end`) by upper halves of addresses. Returns the upper half, and the lower
/// halves of first and last address.
#[expect(clippy::cast_possible_truncation, reason = "halves of words")]
fn pieces((start, end): (u64, u64)) -> Vec<(u32, u32, u32)> {
    let (low, high) = (|word: u64| word as u32, |word: u64| (word >> 32) as u32);
    let last = end - 1;
    if high(start) == high(last) {
        return vec![(high(start), low(start), low(last))];
    }
    vec![
        (high(start), low(start), u32::MAX),
        (high(last), 0, low(last)),
    ]
}

/// Returns where this program's instructions lie.
fn text() -> (u64, u64) {
    extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    (
        (&raw const __executable_start).addr() as u64,
        (&raw const etext).addr() as u64,
    )
}

/// Filters this thread's system calls from now on.
///
/// # Errors
///
/// The error is that of seccomp.
pub(super) fn install() -> Result<(), Errno> {
    let code = program(text());
    let filter = libc::sock_fprog {
        len: u16::try_from(code.len()).map_err(|_| Errno::E2BIG)?,
        filter: code.as_ptr().cast_mut(),
    };
    let install = || {
        // SAFETY: Linux reads the program, which stays where it is meanwhile.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                &raw const filter,
            )
        };
        Errno::result(result).map(drop)
    };
    match install() {
        // Without privileges Linux wants a promise of this thread, which executes nothing anyway.
        Err(Errno::EACCES) => {
            // SAFETY: changes a flag of this thread.
            Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
            install()
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::{direct, pieces, text};
    use ihk_ikc::syscalls::is_delegable;

    #[test]
    fn what_is_made_at_once_may_be_made_by_any_thread() {
        assert!(direct().count() > 40);
        for number in direct() {
            assert!(is_delegable(number), "{number}");
        }
    }

    #[test]
    fn text_is_split_where_upper_halves_differ() {
        assert_eq!(
            pieces((0x7_0000_1000, 0x7_0000_3000)),
            [(7, 0x1000, 0x2fff)]
        );
        assert_eq!(
            pieces((0x7_ffff_f000, 0x8_0000_2000)),
            [(7, 0xffff_f000, u32::MAX), (8, 0, 0x1fff)]
        );
        let here = (text as *const ()).addr() as u64;
        assert!(text().0 < here && here < text().1);
    }
}
