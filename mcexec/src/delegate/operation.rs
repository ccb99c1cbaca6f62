// SPDX-License-Identifier: GPL-2.0
//! Hop 6 of a request that is no system call but an operation: what only a thread of this process
//! can do.

use std::os::fd::RawFd;

use ihk_ikc::process::{op, prot};
use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::libc;
use nix::sched::CloneFlags;
use nix::sys::stat::{fstat, FileStat, SFlag};
use nix::sys::statvfs::{fstatvfs, FsFlags};

use super::{execute, fork, mapping, pool, queue_server, Program};
use crate::core_dump::{self, Cause};
use crate::device;
use crate::image::page_up;
use crate::procfs::descriptor::borrow;
use crate::procfs::files;
use crate::signals::{dispositions, interrupt, raw, worker_mask};
use crate::start::inherited;
use crate::syscall::Answer;

/// Device number of `/dev/zero`. A private mapping of it holds only zeroes.
const ZERO_DEVICE: (u64, u64) = (1, 5);

/// Performs operation `number`.
#[inline(never)]
pub(crate) fn perform(program: &'static Program, number: u64, args: [u64; 6]) -> Answer {
    let [first, second, third, ..] = args;
    let window = program.window;
    if let Some(answer) = mapping::perform(program, number, args) {
        return answer;
    }
    let done = match number {
        op::NEW_WORKER => return Ok(pool::start(program, first)?),
        op::TAKE_SIGNAL => return raw::take(first, second),
        op::EXIT => raw::exit(status(first)),
        op::DIE => die(args),
        op::PROTECT => prot_bits(third).and_then(|prot| window.protect(first, second, prot)),
        op::BIND_FILE => return Ok(bind_file(program, args)?),
        op::LOAD_PAGES => load_pages(args),
        op::DISPOSITION => {
            signal_number(first).and_then(|signal| dispositions::set(signal, second, third))
        }
        op::FORK => {
            let clone = fork::CloneArgs {
                prepared_child: first,
                tid_address: second,
                // Linux's bits that are namespaces; the co-kernel sends no others.
                namespaces: CloneFlags::from_bits_truncate(
                    libc::c_int::try_from(third).unwrap_or(0),
                ),
            };
            return Ok(fork::fork(program, clone)?);
        }
        op::QUEUE_SERVE => return Ok(queue_server::serve(program, args)?),
        op::QUEUE_FUTEX => return queue_server::futex(args),
        op::EXEC => return execute::execute(args),
        op::BEQUEATH => {
            execute::bequeath(first);
            Ok(())
        }
        op::MASK => {
            worker_mask::tell(second);
            interrupt::set_control_mask(first);
            Ok(())
        }
        op::PERMIT => device::permit(args),
        op::LIMIT => inherited::keep_limit(first, [second, third]),
        op::SCHEDULING => device::tell_scheduling(first),
        op::DROP_TABLES => window.drop_tables(first, second),
        _ => Err(Errno::ENOSYS),
    };
    done?;
    Ok(0)
}

fn signal_number(word: u64) -> Result<i32, Errno> {
    i32::try_from(word).map_err(|_| Errno::EINVAL)
}

/// Ends this process by the signal that the program dies of, perhaps with a core.
fn die([signal, with_core, code, first, second, _]: [u64; 6]) -> ! {
    /// Only what an `int` can be was sent.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the int")]
    const fn int(word: u64) -> i32 {
        (word as u32).cast_signed()
    }
    let cause = Cause {
        signal: int(signal),
        code: int(code),
        words: [first, second],
    };
    if with_core == 1 && core_dump::write(&cause) {
        device::core_written(cause.signal);
    }
    raw::die(signal)
}

fn status(word: u64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "an exit status has 8 bits")]
    let status = word as u8;
    status.into()
}

fn prot_bits(word: u64) -> Result<u32, Errno> {
    u32::try_from(word).map_err(|_| Errno::EINVAL)
}

/// Performs a private file mapping: the program gets the file's pages. Returns 1 if the mapping
/// holds only zeroes.
fn bind_file(program: &Program, args: [u64; 6]) -> Result<u64, Errno> {
    let [fd, address, bytes, offset, prot, at_once] = args;
    let prot = prot_bits(prot)?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    let Content { zeroes, no_exec } = content_of(fd, prot)?;
    if !zeroes {
        device::bind_file(fd, offset, address, bytes, at_once == 1)?;
    }
    files::note(fd, offset, address, bytes);
    if prot & prot::WRITE == 0 && prot != 0 {
        program
            .window
            .protect(address, page_up(bytes), prot & !prot::EXEC)?;
    }
    let bits = [
        (zeroes, op::BOUND_ZEROES),
        (no_exec, op::BOUND_NEVER_EXECUTABLE),
    ];
    let bits = bits.into_iter().filter(|(is_set, _)| *is_set);
    Ok(bits.fold(0, |answer, (_, bit)| answer | bit))
}

/// Loads pages of a file, because the program has touched one that is not there.
fn load_pages([address, pages, file, page, touched, _]: [u64; 6]) -> Result<(), Errno> {
    let file = i32::try_from(file).map_err(|_| Errno::EINVAL)?;
    let touched = u32::try_from(touched).map_err(|_| Errno::EINVAL)?;
    device::load_pages(file, page, address, pages, touched)
}

/// What a private mapping of a file has.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    /// Nothing but zeroes.
    zeroes: bool,
    /// The file lies where nothing may be executed.
    no_exec: bool,
}

/// Returns what `fd` has to read, by the rules of `mmap(MAP_PRIVATE)`.
fn content_of(fd: RawFd, prot: u32) -> Result<Content, Errno> {
    let fd = borrow(fd).ok_or(Errno::EBADF)?;
    let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    if flags.contains(OFlag::O_PATH) {
        return Err(Errno::EBADF);
    }
    if flags & OFlag::O_ACCMODE == OFlag::O_WRONLY {
        return Err(Errno::EACCES);
    }
    let no_exec = fstatvfs(fd)?.flags().contains(FsFlags::ST_NOEXEC);
    if prot & prot::EXEC != 0 && no_exec {
        return Err(Errno::EPERM);
    }
    let stat = fstat(fd)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let zeroes = match kind {
        SFlag::S_IFREG | SFlag::S_IFBLK => false,
        SFlag::S_IFCHR if is_zero_device(&stat) => true,
        _ => return Err(Errno::ENODEV),
    };
    Ok(Content { zeroes, no_exec })
}

/// Returns whether `stat` describes `/dev/zero`.
fn is_zero_device(stat: &FileStat) -> bool {
    let device = (
        nix::sys::stat::major(stat.st_rdev),
        nix::sys::stat::minor(stat.st_rdev),
    );
    device == ZERO_DEVICE
}

#[cfg(test)]
mod tests {
    use super::content_of;
    use ihk_ikc::process::prot;
    use nix::errno::Errno;
    use std::fs::{File, OpenOptions};
    use std::os::fd::AsRawFd;

    fn check(file: &File) -> Result<bool, Errno> {
        content_of(file.as_raw_fd(), prot::READ).map(|content| !content.zeroes)
    }

    #[test]
    fn what_mmap_refuses_is_refused_alike() {
        assert_eq!(check(&File::open("/bin/sh").unwrap()), Ok(true));
        assert_eq!(check(&File::open("/dev/zero").unwrap()), Ok(false));
        assert_eq!(check(&File::open("/dev/null").unwrap()), Err(Errno::ENODEV));
        assert_eq!(check(&File::open("/tmp").unwrap()), Err(Errno::ENODEV));
        let written = OpenOptions::new().write(true).open("/dev/zero").unwrap();
        assert_eq!(check(&written), Err(Errno::EACCES));
        assert_eq!(content_of(1 << 20, prot::READ), Err(Errno::EBADF));
    }
}
