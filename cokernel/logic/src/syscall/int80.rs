// SPDX-License-Identifier: GPL-2.0
//! The gate of 32-bit system calls, `int 0x80`, which 64-bit programs may use, too: other numbers, and registers
//! of 32 bits.

use ihk_ikc::syscalls::number;

use crate::argument::uint;

/// The call that number `i386` of arch/x86/entry/syscalls/syscall_32.tbl is here. Only calls whose arguments
/// mean the same in 32 bits as in 64; `None` for others, which are `ENOSYS`.
#[must_use]
pub const fn number_of(i386: u32) -> Option<u64> {
    Some(match i386 {
        1 => number::exit,
        3 => number::read,
        4 => number::write,
        5 => number::open,
        6 => number::close,
        8 => number::creat,
        9 => number::link,
        10 => number::unlink,
        12 => number::chdir,
        15 => number::chmod,
        20 => number::getpid,
        27 => number::alarm,
        29 => number::pause,
        33 => number::access,
        36 => number::sync,
        37 => number::kill,
        38 => number::rename,
        39 => number::mkdir,
        40 => number::rmdir,
        41 => number::dup,
        42 => number::pipe,
        57 => number::setpgid,
        60 => number::umask,
        63 => number::dup2,
        64 => number::getppid,
        65 => number::getpgrp,
        66 => number::setsid,
        83 => number::symlink,
        85 => number::readlink,
        91 => number::munmap,
        118 => number::fsync,
        125 => number::mprotect,
        132 => number::getpgid,
        133 => number::fchdir,
        147 => number::getsid,
        148 => number::fdatasync,
        158 => number::sched_yield,
        199 => number::getuid,
        200 => number::getgid,
        201 => number::geteuid,
        202 => number::getegid,
        219 => number::madvise,
        224 => number::gettid,
        238 => number::tkill,
        252 => number::exit_group,
        270 => number::tgkill,
        295 => number::openat,
        318 => number::getcpu,
        330 => number::dup3,
        331 => number::pipe2,
        355 => number::getrandom,
        356 => number::memfd_create,
        _ => return None,
    })
}

/// The arguments that the registers `rbx`, `rcx`, `rdx`, `rsi`, `rdi` and `rbp` hold: their lower halves.
#[must_use]
pub fn arguments(registers: [u64; 6]) -> [u64; 6] {
    registers.map(|register| u64::from(uint(register)))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_32_bits() {
        assert_eq!(number_of(20), Some(39), "getpid");
        assert_eq!(number_of(252), Some(231), "exit_group");
        for unknown in [0, 2, 11, 9999, u32::MAX] {
            assert_eq!(number_of(unknown), None);
        }
    }

    #[test]
    fn upper_halves_of_registers_are_not_seen() {
        let registers = [u64::MAX, 1 << 32 | 7, 0, 0, 0, 0];
        assert_eq!(arguments(registers), [0xffff_ffff, 7, 0, 0, 0, 0]);
    }
}
