// SPDX-License-Identifier: GPL-2.0
//! The Rust interface, with servers that are threads of this process.
#![cfg(not(loom))]

use std::ffi::c_void;
use std::os::fd::AsRawFd;

use mckernel::{CallQueue, Full};

const PWRITE: u64 = libc::SYS_pwrite64.cast_unsigned();
const POLL: u64 = libc::SYS_poll.cast_unsigned();

#[test]
fn calls_and_functions_are_done_and_collected() {
    extern "C" fn double(number: *mut c_void) -> i64 {
        2 * number.addr().cast_signed() as i64
    }
    let queue = CallQueue::open(8).map_err(drop).expect("a queue");
    let file = tempfile();
    let text = *b"hello";
    let args = [
        u64::from(file.as_raw_fd().unsigned_abs()),
        text.as_ptr().expose_provenance() as u64,
        text.len() as u64,
        3,
        0,
        0,
    ];
    let write = queue.post(PWRITE, args, false, Full::Refuse);
    let argument = std::ptr::without_provenance_mut(21);
    let function = queue.post_function(double, argument, false, Full::Refuse);
    assert_eq!(queue.wait(function.expect("posted")), Ok(42));
    assert_eq!(queue.wait(write.expect("posted")), Ok(5));
    assert_eq!(file.metadata().expect("its size").len(), 8);
    assert!(queue.close().is_ok());
}

#[test]
fn a_full_queue_says_so_and_is_not_closed() {
    let queue = CallQueue::open(1).map_err(drop).expect("a queue");
    let sleep = [0, 0, 100, 0, 0, 0];
    let first = queue.post(POLL, sleep, false, Full::Refuse);
    let first = first.expect("posted");
    assert_eq!(
        queue.post(POLL, sleep, false, Full::Refuse),
        Err(-libc::EAGAIN)
    );
    let Err((queue, error)) = queue.close() else {
        panic!("closed while in use");
    };
    assert_eq!(error, -libc::EBUSY);
    assert_eq!(queue.wait(first), Ok(0));
    assert_eq!(queue.wait(first), Err(-libc::EINVAL));
    assert!(queue.close().is_ok());
}

fn tempfile() -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .open("/tmp")
        .expect("a file without a name")
}
