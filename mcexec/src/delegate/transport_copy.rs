// SPDX-License-Identifier: GPL-2.0
//! Hop 6.3 of a delegated call under `mcexec --way=copy`: its data are copied.
//!
//! They travel through memory of mcexec's, and mcctrl copies them from or to the program's frames,
//! which are not mapped.
//!
//! This is done with the data of `read`, `write`, `pread64`, `pwrite64` and of those ioctls whose
//! argument is known to be plain data of a known length. All other calls are made as they are. So
//! is a call whose buffer mcctrl cannot copy as a whole, because it is not there yet, shared with a
//! forked process, mirrored, or wrong: Linux's own copy then finds the pages, or the error.

use std::cell::RefCell;

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::syscalls::{self, Class};
use ihk_ikc::uapi::copy;
use nix::libc;

use crate::device;
use crate::syscall::{self, Answer, Failure};

thread_local! {
    /// The memory that this worker's data travel through. It grows with the calls.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Whether data go to the program or come from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    ToProgram,
    FromProgram,
}

/// The data of a call.
#[derive(Debug, PartialEq, Eq)]
struct Data {
    /// The argument that is their address.
    index: usize,
    bytes: u64,
    direction: Direction,
    /// Whether the result is how many bytes were moved. Otherwise any result that is no error means
    /// all.
    is_counted: bool,
}

/// Makes `call` with its data copied. Returns its result, or `None` if the call is to be made as it
/// is: then nothing has happened yet.
pub(super) fn carry(call: libc::c_long, mut args: [u64; 6]) -> Option<Answer> {
    let data = Data::of(call, &args)?;
    let address = args[data.index];
    BUFFER.with(|buffer| {
        let mut buffer = buffer.try_borrow_mut().ok()?;
        let whole = room(&mut buffer, address, data.bytes)?;
        let what = match data.direction {
            Direction::FromProgram => copy::FROM_PROGRAM,
            Direction::ToProgram => copy::LOOK,
        };
        device::copy(what, address, whole).ok()?;
        args[data.index] = whole.as_mut_ptr().expose_provenance() as u64;
        let answer = syscall::perform(call.cast_unsigned(), args);
        match whole.get_mut(..data.moved(answer)) {
            Some(moved) if data.direction == Direction::ToProgram && !moved.is_empty() => {
                let copied = device::copy(copy::TO_PROGRAM, address, moved);
                Some(copied.map_err(Failure::from).and(answer))
            }
            _ => Some(answer),
        }
    })
}

/// Returns `bytes` of `buffer` that lie in their page where `address` lies in its page, as direct
/// transfers want it.
fn room(buffer: &mut Vec<u8>, address: u64, bytes: u64) -> Option<&mut [u8]> {
    let page = usize::try_from(PAGE_BYTES).ok()?;
    let place = usize::try_from(address % PAGE_BYTES).ok()?;
    let bytes = usize::try_from(bytes).ok()?;
    if buffer.len() < bytes + 2 * page {
        buffer.resize(bytes + 2 * page, 0);
    }
    let start = buffer.as_ptr().align_offset(page) + place;
    buffer.get_mut(start..start + bytes)
}

impl Data {
    /// Returns the data of `call`, if they are copied.
    fn of(call: libc::c_long, args: &[u64; 6]) -> Option<Self> {
        use Direction::{FromProgram, ToProgram};
        let class = syscalls::class(call.cast_unsigned());
        let (index, bytes, direction) = if class.has(Class::FILLS_BUFFER) {
            (1, args[2], ToProgram)
        } else if class.has(Class::TAKES_BUFFER) {
            (1, args[2], FromProgram)
        } else if call == libc::SYS_ioctl {
            let (bytes, direction) = argument_of(args[1])?;
            (2, bytes, direction)
        } else {
            return None;
        };
        // Longer ones travel by the usual transport.
        (1..=copy::MOST_BYTES).contains(&bytes).then_some(Self {
            index,
            bytes,
            direction,
            is_counted: index == 1,
        })
    }

    /// Returns how many bytes a call with that answer has moved.
    fn moved(&self, answer: Answer) -> usize {
        let moved = match answer {
            Ok(count) if self.is_counted => count.min(self.bytes),
            Ok(_) => self.bytes,
            Err(_) => 0,
        };
        usize::try_from(moved).unwrap_or(0)
    }
}

/// Returns length and direction of the argument of ioctl `command`, if it is known by name. Neither
/// the length that many commands carry in their number nor its direction can be trusted, and a
/// structure may have more behind it.
fn argument_of(command: u64) -> Option<(u64, Direction)> {
    /// `struct termios` as the kernel has it, without the speeds.
    const TERMIOS_BYTES: u64 = 36;
    const WINSIZE_BYTES: u64 = size_of::<libc::winsize>() as u64;
    const INT_BYTES: u64 = size_of::<libc::c_int>() as u64;
    use Direction::{FromProgram, ToProgram};
    // Linux takes the lower half only.
    let known = match command & u64::from(u32::MAX) {
        libc::TCGETS => (TERMIOS_BYTES, ToProgram),
        libc::TCSETS | libc::TCSETSW | libc::TCSETSF => (TERMIOS_BYTES, FromProgram),
        libc::TIOCGWINSZ => (WINSIZE_BYTES, ToProgram),
        libc::TIOCSWINSZ => (WINSIZE_BYTES, FromProgram),
        libc::FIONREAD | libc::TIOCOUTQ | libc::TIOCGPGRP | libc::TIOCGSID => {
            (INT_BYTES, ToProgram)
        }
        libc::FIONBIO | libc::FIOASYNC | libc::TIOCSPGRP => (INT_BYTES, FromProgram),
        _ => return None,
    };
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::{copy, room, Data, Direction, PAGE_BYTES};
    use nix::errno::Errno;
    use nix::libc;

    fn of(call: libc::c_long, second: u64, third: u64) -> Option<Data> {
        Data::of(call, &[0, second, third, 0, 0, 0])
    }

    #[test]
    fn calls_have_data() {
        let read = of(libc::SYS_read, 4096, 10).expect("copied");
        assert_eq!((read.index, read.bytes), (1, 10));
        assert_eq!(read.direction, Direction::ToProgram);
        let write = of(libc::SYS_pwrite64, 4096, copy::MOST_BYTES).expect("copied");
        assert_eq!(write.direction, Direction::FromProgram);
        let ioctl = of(libc::SYS_ioctl, libc::FIONREAD | 1 << 40, 4096).expect("copied");
        assert_eq!((ioctl.index, ioctl.bytes), (2, 4));
    }

    #[test]
    fn other_calls_go_the_usual_way() {
        assert_eq!(of(libc::SYS_read, 4096, 0), None);
        assert_eq!(of(libc::SYS_read, 4096, copy::MOST_BYTES + 1), None);
        assert_eq!(of(libc::SYS_readv, 4096, 1), None);
        assert_eq!(of(libc::SYS_ioctl, libc::SIOCGIFCONF, 4096), None);
    }

    #[test]
    fn room_lies_as_the_programs_memory_does() {
        let mut buffer = Vec::new();
        for (address, bytes) in [(0x5000, 512), (0x4fff, 9000), (7, 1)] {
            let room = room(&mut buffer, address, bytes).expect("room");
            assert_eq!(room.len() as u64, bytes);
            let place = room.as_ptr().addr() as u64 % PAGE_BYTES;
            assert_eq!(place, address % PAGE_BYTES);
        }
    }

    #[test]
    fn results_tell_what_was_moved() {
        let read = of(libc::SYS_read, 4096, 10).expect("copied");
        let moved = |answer| read.moved(answer);
        let failed = || Err(Errno::EINTR.into());
        assert_eq!((moved(Ok(3)), moved(Ok(99)), moved(failed())), (3, 10, 0));
        let ioctl = of(libc::SYS_ioctl, libc::TIOCGWINSZ, 4096).expect("copied");
        assert_eq!((ioctl.moved(Ok(0)), ioctl.moved(failed())), (8, 0));
    }
}
