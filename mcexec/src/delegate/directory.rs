// SPDX-License-Identifier: GPL-2.0
//! `getdents64`: `/proc/self/task` does not show mcexec's own threads.

use nix::libc;

use super::raw::raw;
use crate::syscall::Answer;
use crate::{procfs, window};

/// Offset of an entry's length in the entry.
const LENGTH_AT: usize = 16;
/// Offset of an entry's name in the entry.
const NAME_AT: usize = 19;

/// Performs `getdents64` and leaves our own entries out.
pub(crate) fn entries(args: [u64; 6]) -> Answer {
    loop {
        let result = raw(libc::SYS_getdents64, args)?;
        let Some(bytes) = usize::try_from(result).ok().filter(|bytes| *bytes > 0) else {
            return Ok(result);
        };
        let Some(threads) = shown_threads(args[0]) else {
            return Ok(result);
        };
        let mut list = vec![0; bytes];
        if window::read(args[1], &mut list) != Ok(bytes) {
            return Ok(result);
        }
        let shown = without(&list, |name| is_other_thread(name, &threads));
        if shown.len() == bytes {
            return Ok(result);
        }
        if shown.is_empty() {
            // Nothing left of this part, and 0 would be the end of the directory.
            continue;
        }
        window::write(args[1], &shown)?;
        return Ok(shown.len() as u64);
    }
}

/// Returns the threads that descriptor `directory` shows, if it is a directory of threads of a program.
fn shown_threads(directory: u64) -> Option<Vec<i32>> {
    let fd = i32::try_from(directory).ok()?;
    let path = procfs::descriptor::path_of(fd).filter(|path| path.starts_with("/proc"))?;
    procfs::threads_listed_in(&path)
}

/// Returns whether `name` is a thread that is not one of `threads`.
fn is_other_thread(name: &[u8], threads: &[i32]) -> bool {
    let number = std::str::from_utf8(name)
        .ok()
        .and_then(|name| name.parse::<i32>().ok());
    number.is_some_and(|number| !threads.contains(&number))
}

/// Returns `list` without the entries whose name is `hidden`.
fn without(list: &[u8], hidden: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut shown = Vec::with_capacity(list.len());
    let mut rest = list;
    while let Some(&[low, high]) = rest.get(LENGTH_AT..LENGTH_AT + 2) {
        let length = usize::from(u16::from_le_bytes([low, high]));
        let Some((entry, others)) = rest.split_at_checked(length).filter(|_| length > NAME_AT)
        else {
            break;
        };
        if !entry[NAME_AT..]
            .split(|byte| *byte == 0)
            .next()
            .is_some_and(&hidden)
        {
            shown.extend_from_slice(entry);
        }
        rest = others;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::without;

    fn entry(name: &str) -> Vec<u8> {
        let mut bytes = vec![0; 16];
        let length = (19 + name.len() + 1).next_multiple_of(8);
        bytes.extend(u16::try_from(length).unwrap().to_le_bytes());
        bytes.push(10);
        bytes.extend(name.as_bytes());
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn only_the_named_entry_goes() {
        let list = [entry("0"), entry("4095"), entry("40951")].concat();
        assert_eq!(
            without(&list, |name| name == b"4095"),
            [entry("0"), entry("40951")].concat()
        );
        assert_eq!(without(&list, |name| name == b"1"), list);
        assert!(without(&entry("7"), |name| name == b"7").is_empty());
    }

    #[test]
    fn damaged_lists_end_where_they_are_damaged() {
        let mut list = [entry("0"), entry("1")].concat();
        list[24 + 16] = 3;
        assert_eq!(without(&list, |name| name == b"9"), entry("0"));
        assert!(without(&[1; 18], |name| name == b"9").is_empty());
    }
}
