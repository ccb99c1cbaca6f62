// SPDX-License-Identifier: GPL-2.0
//! move_pages and migrate_pages: where pages are, and moves between nodes. Of the caller's own
//! process only.

use ihk_ikc::process::capability;

use crate::addr::page_down;
use crate::arch::UserFrame;
use crate::errno::{Errno, SyscallResult};
use crate::mm::migrate;
use crate::partition;
use crate::process::rights;
use crate::syscall::mempolicy::{read_nodes, MOVE, MOVE_ALL};
use crate::task::current;
use crate::task::process::Process;
use crate::user_memory::{int, read_bytes, read_words, uint, write_bytes};

/// move_pages(2).
pub fn move_pages(frame: &mut UserFrame) -> SyscallResult {
    let [pid, count, pages, nodes, status, flags] = frame.args();
    let flags = uint(flags);
    if flags & !(MOVE | MOVE_ALL) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & MOVE_ALL != 0 && !rights::has(capability::SYS_NICE) {
        return Err(Errno::EPERM);
    }
    let process = own(pid)?;
    let _layout = process.space.lock_layout();
    for index in 0..count {
        let at = |base: u64, size: u64| {
            index
                .checked_mul(size)
                .and_then(|offset| base.checked_add(offset))
                .ok_or(Errno::EFAULT)
        };
        let [page] = read_words::<1>(at(pages, 8)?)?;
        let verdict = if nodes == 0 {
            node_at(process, page)
        } else {
            let mut node = [0; 4];
            read_bytes(at(nodes, 4)?, &mut node)?;
            move_one(process, page, u32::from_le_bytes(node))?
        };
        let word = match verdict {
            Ok(node) => node.to_le_bytes(),
            Err(errno) => errno.negated().to_le_bytes(),
        };
        write_bytes(at(status, 4)?, &word)?;
    }
    Ok(0)
}

/// migrate_pages(2): how many pages could not be moved.
pub fn migrate_pages(frame: &mut UserFrame) -> SyscallResult {
    let [pid, bits, old, new, ..] = frame.args();
    let (from, to) = (read_nodes(old, bits)?, read_nodes(new, bits)?);
    let process = own(pid)?;
    let to = to & partition::map().nodes();
    if to == 0 {
        return Err(Errno::EINVAL);
    }
    let space = &process.space;
    let _layout = space.lock_layout();
    let wanted = |node: u32| (from & 1 << node != 0).then_some(to);
    Ok(migrate::between(process, space.window, wanted))
}

fn own(pid: u64) -> Result<&'static Process, Errno> {
    let process = current::process();
    if int(pid) == 0 || int(pid) == process.pid {
        Ok(process)
    } else {
        Err(Errno::EPERM)
    }
}

fn node_at(process: &Process, address: u64) -> Result<u32, Errno> {
    process.space.with(|inner| {
        inner.areas.find(address).ok_or(Errno::EFAULT)?;
        let page = inner.table.lookup(address).ok_or(Errno::ENOENT)?;
        partition::node_of(page.pa).ok_or(Errno::EFAULT)
    })
}

/// The node of the page at `address` after an attempt to move it to `node`. The outer error ends the
/// call.
fn move_one(process: &Process, address: u64, node: u32) -> Result<Result<u32, Errno>, Errno> {
    let bit = 1_u64.checked_shl(node).unwrap_or(0);
    if bit & partition::map().nodes() == 0 {
        return Err(Errno::ENODEV);
    }
    let before = node_at(process, address);
    if before.is_err() || before == Ok(node) {
        return Ok(before);
    }
    migrate::migrate_page(process, page_down(address), bit);
    let after = node_at(process, address);
    Ok(if after == Ok(node) {
        after
    } else {
        Err(Errno::EBUSY)
    })
}
