// SPDX-License-Identifier: GPL-2.0
//! The co-kernel's log.

use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;

use crate::device::{Call, Mcos};
use crate::failure::{say_bytes, Failure, Result};
use crate::reasons::{reason, Action};

/// The interval at which a follower looks for more; the co-kernel does not interrupt anybody for its log.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);

/// The whole log.
///
/// # Errors
///
/// The errno of the call.
pub fn read_all(os: &Mcos) -> Call<Vec<u8>> {
    let mut log = Vec::new();
    let mut from = 0;
    while let Some(next) = read_more(os, from, &mut log)? {
        from = next;
    }
    Ok(log)
}

/// The last line of the log, if there is one.
#[must_use]
pub fn last_line(os: &Mcos) -> Option<String> {
    let log = read_all(os).ok()?;
    let text = String::from_utf8_lossy(&log).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().to_owned())
}

/// Appends to `log` what is there from number `from` on, as far as one call gives; the number to
/// go on with, `None` at the end.
fn read_more(os: &Mcos, from: u64, log: &mut Vec<u8>) -> Call<Option<u64>> {
    let mut buffer = vec![0; 64 << 10];
    let (first, bytes) = os.read_kmsg(from, &mut buffer)?;
    log.extend_from_slice(buffer.get(..bytes).unwrap_or_default());
    let next = first.saturating_add(bytes as u64);
    Ok((bytes != 0 && next > from).then_some(next))
}

/// Prints the log; with `follow` goes on until the instance is destroyed.
///
/// # Errors
///
/// The log cannot be read, or stdout takes no more.
pub fn print(os: &Mcos, follow: bool) -> Result {
    let mut from = 0;
    loop {
        let mut part = Vec::new();
        match read_more(os, from, &mut part) {
            Ok(Some(next)) => from = next,
            Ok(None) if follow => sleep(FOLLOW_EVERY),
            Ok(None) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(Errno::ENODEV) if follow => return Ok(()),
            Err(errno) => return Err(Failure::refused("kmsg", reason(Action::Other, errno))),
        }
        say_bytes(&part)?;
    }
}
