// SPDX-License-Identifier: GPL-2.0
//! COPY_IN: reads a file into memory that the program has and may write. What it may write, no other
//! process has as a page of a file. For measuring, see `mcexec/src/delegate/way.rs`.

use crate::errno;
use crate::ffi::file::Source;
use crate::ffi::page::PageRef;
use crate::ffi::task;
use crate::image::within;
use crate::proto::exposed::FrameRun;
use crate::proto::layout::{PAGE_BYTES, WINDOW_END};
use crate::proto::uapi::Populate;
use crate::proxy::Proxy;
use crate::walk::{walk_run, Access};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Memory of the program, within one folio, that stays where it is until the value is dropped.
struct Target {
    memory: NonNull<u8>,
    bytes: u64,
    run: FrameRun,
    _pin: PageRef,
}

/// Carries out `order`. EINVAL if it leaves the window, EFAULT where the program has no page that it
/// may write, ENODEV if the file is not a regular one, or the error of reading it.
pub(crate) fn copy_in(proxy: &Proxy, order: &Populate) -> Result {
    let ends = order.file_offset.checked_add(order.bytes).is_some();
    if !ends || !within(order.address, order.bytes, (proxy.window_start, WINDOW_END)) {
        return Err(EINVAL);
    }
    let source = Source::open(order.fd)?;
    let mut done = 0;
    while done < order.bytes {
        if task::fatal_signal_pending() {
            return Err(EINTR);
        }
        let target = pin_target(
            proxy,
            order.address.saturating_add(done),
            order.bytes.saturating_sub(done),
        )?;
        let wanted = usize::try_from(target.bytes).map_err(|_| EINVAL)?;
        // SAFETY: the pin keeps the memory; the program may look on, and may write there, too.
        let read = unsafe {
            source.read(
                order.file_offset.saturating_add(done),
                target.memory,
                wanted,
            )
        };
        let_go(proxy, target);
        let read = read?;
        if read == 0 {
            break;
        }
        done = done.saturating_add(read as u64);
    }
    Ok(())
}

/// Finds the program's memory at `address`, up to `most` bytes of it, and pins it. It is marked as
/// exposed like any frame that Linux uses: the file may be slow, and the program may unmap it
/// meanwhile.
fn pin_target(proxy: &Proxy, address: u64, most: u64) -> Result<Target> {
    let inside = proxy.gate.enter().ok_or_else(errno::shutdown)?;
    let root = proxy.root().ok_or(ESRCH)?;
    let partition = inside.partition();
    let find = || {
        let words = |at, count| partition.words(at, count);
        walk_run(
            root,
            address,
            most.saturating_add(address % PAGE_BYTES),
            Access::Write,
            words,
        )
    };
    let first = find().ok_or(EFAULT)?;
    let offset = address % PAGE_BYTES;
    let bytes = most.min(first.contiguous.saturating_sub(offset));
    let memory = partition
        .memory(first.page.saturating_add(offset), bytes)
        .ok_or(EFAULT)?;
    let frame = partition.frame(first.page).ok_or(EFAULT)?;
    let frames = offset.saturating_add(bytes).div_ceil(PAGE_BYTES);
    let frames = u32::try_from(frames).map_err(|_| EINVAL)?;
    if !partition.expose_run(frame, frames) {
        return Err(EFAULT);
    }
    // A program that changes its mappings meanwhile loses.
    if find() != Some(first) {
        return Err(EFAULT);
    }
    let pin = partition.pin(frame).ok_or(EFAULT)?;
    Ok(Target {
        memory,
        bytes,
        run: FrameRun {
            first: frame.number,
            count: frames,
        },
        _pin: pin,
    })
}

/// The bytes are there: takes the marks off again, else everything that was ever read would have to be
/// revoked.
fn let_go(proxy: &Proxy, target: Target) {
    let run = target.run;
    drop(target);
    if let Some(inside) = proxy.gate.enter() {
        proxy.instance.conceal_free(&inside.partition(), run);
    }
}
