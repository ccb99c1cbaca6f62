// SPDX-License-Identifier: GPL-2.0
//! Hop 6 of a delegated call: performs one request, which is an operation of ours or a system call.
//!
//! A system call is made as it is (hop 6.2, [`super::raw`]), unless it is one of the exceptions
//! here.

use ihk_ikc::process::op;
use ihk_ikc::slot::Request;
use ihk_ikc::syscalls::{self, Class};
use nix::errno::Errno;
use nix::libc;

use super::path_argument::PathArgument;
use super::raw::raw;
use super::{directory, operation, queue_server, transport, user_namespace, Program};
use crate::procfs::{self, snapshot, sysfs};
use crate::signals::own_slot::own_slot;
use crate::syscall::Answer;
use crate::window;

/// Performs `request`.
pub(crate) fn perform(program: &'static Program, request: &Request) -> Answer {
    let Request { number, args } = *request;
    match i64::try_from(number) {
        Ok(_) if number == op::BOUNCE => bounce(program, args),
        Ok(_) if number >= op::BASE => operation::perform(program, number, args),
        Ok(call) => system_call(program, call, args),
        Err(_) => Err(Errno::ENOSYS.into()),
    }
}

/// Performs a system call whose data lie in the bounce page of this worker's slot.
#[inline(never)]
fn bounce(program: &Program, [descriptor, at, bytes, offset, number, _]: [u64; 6]) -> Answer {
    let buffer = own_slot()
        .and_then(|index| window::bounce_address(program.slots, index as usize, at, bytes));
    let call = i64::try_from(number).ok().filter(|_| {
        let moves_buffer = Class::FILLS_BUFFER.and(Class::TAKES_BUFFER);
        syscalls::class(number).has(moves_buffer) && !transport::is_chosen()
    });
    match (buffer, call) {
        (Some(buffer), Some(call)) => {
            system_call(program, call, [descriptor, buffer, bytes, offset, 0, 0])
        }
        _ => Ok(op::NOT_BOUNCED),
    }
}

fn system_call(program: &Program, call: libc::c_long, args: [u64; 6]) -> Answer {
    let class = syscalls::class(call.cast_unsigned());
    if let Some(argument) = PathArgument::of(class, &args) {
        return path_call(call, args, &argument);
    }
    match call {
        libc::SYS_lseek | libc::SYS_pread64 => read_again(call, args),
        libc::SYS_getdents64 => directory::entries(args),
        libc::SYS_sysinfo => procfs::system_information(args),
        libc::SYS_fchdir => change_directory(call, args),
        libc::SYS_unshare | libc::SYS_setns => user_namespace::perform(program, call, args),
        _ if class.has(Class::IDENTITY) => {
            let result = raw(call, args);
            queue_server::note_identity();
            result
        }
        _ if class.has(Class::HARMS_PROXY) => Err(Errno::ENOSYS.into()),
        _ => raw(call, args),
    }
}

/// Performs a call that looks up the path `argument`.
fn path_call(call: libc::c_long, mut args: [u64; 6], argument: &PathArgument) -> Answer {
    if let Some(place) = sysfs::redirect(argument.directory(), argument.path()) {
        args[argument.index] = place.as_ptr().expose_provenance() as u64;
        return raw(call, args);
    }
    if procfs::is_of_no_thread(argument.path()) {
        return Err(Errno::ENOENT.into());
    }
    match call {
        libc::SYS_open => procfs::opened(raw(call, args), args[1]),
        libc::SYS_openat => procfs::opened(raw(call, args), args[2]),
        libc::SYS_openat2 => procfs::opened(raw(call, args), flags_of_openat2(args[2])),
        libc::SYS_chdir => change_directory(call, args),
        _ => raw(call, args),
    }
}

/// Returns the flags in the structure at `address`, which are its first word.
fn flags_of_openat2(address: u64) -> u64 {
    let mut flags = [0; 8];
    match window::read(address, &mut flags) {
        Ok(8) => u64::from_le_bytes(flags),
        _ => 0,
    }
}

fn change_directory(call: libc::c_long, args: [u64; 6]) -> Answer {
    let result = raw(call, args);
    sysfs::note_directory();
    result
}

/// Performs a call that may lead back to the beginning of a file of ours in `/proc`.
fn read_again(call: libc::c_long, args: [u64; 6]) -> Answer {
    let [fd, _, third, fourth, ..] = args;
    let reads_first = call == libc::SYS_pread64 && fourth == 0;
    if reads_first {
        snapshot::renew(fd);
    }
    let result = raw(call, args);
    if call == libc::SYS_lseek && result == Ok(0) && third != libc::SEEK_CUR as u64 {
        snapshot::renew(fd);
    }
    result
}
