// SPDX-License-Identifier: GPL-2.0
//! COPY: moves bytes between mcexec's memory and the program's, without mapping the latter. For
//! measuring, see `mcexec/src/delegate/transport_copy.rs`.

use crate::ffi::errno;
use crate::ffi::ihk::Partition;
use crate::ffi::page::PageRef;
use crate::ffi::{task, user};
use crate::process::image::within;
use crate::process::proxy::Proxy;
use crate::proto::exposed::FrameRun;
use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES, WINDOW_END};
use crate::proto::page_table::{walk_run, Access, Translation};
use crate::proto::uapi::{copy, CopyData};
use core::ptr::NonNull;
use kernel::prelude::*;

/// Memory of the program, within one folio, that stays where it is until the value is dropped.
struct Piece {
    memory: NonNull<u8>,
    bytes: u64,
    run: FrameRun,
    _pin: PageRef,
}

/// Carries out `order`; the errors are those of [`crate::proto::uapi::COPY`], and EINTR before death.
pub(crate) fn serve(proxy: &Proxy, order: &CopyData) -> Result {
    let access = match order.what {
        copy::FROM_PROGRAM => Access::Read,
        copy::TO_PROGRAM | copy::LOOK => Access::Write,
        _ => return Err(EINVAL),
    };
    let window = (proxy.window_start, WINDOW_END);
    if order.bytes > copy::MOST_BYTES {
        return Err(EINVAL);
    }
    if order.reserved != 0 || !within(order.address, order.bytes, window) {
        return Err(EINVAL);
    }
    let mut done = 0;
    while done < order.bytes {
        if task::fatal_signal_pending() {
            return Err(EINTR);
        }
        let address = order.address.saturating_add(done);
        let left = order.bytes.saturating_sub(done);
        let bytes = if order.what == copy::LOOK {
            let guard = proxy.memory.access().ok_or_else(errno::shutdown)?;
            find(proxy, &guard.partition(), (address, left), access)?.1
        } else {
            let piece = pin(proxy, address, left, access)?;
            let moved = transfer(&piece, order.buffer.saturating_add(done), access);
            let bytes = piece.bytes;
            let_go(proxy, piece);
            moved?;
            bytes
        };
        done = done.saturating_add(bytes);
    }
    Ok(())
}

/// Copies all of `piece` from or to `buffer` in the calling process.
fn transfer(piece: &Piece, buffer: u64, access: Access) -> Result {
    let bytes = usize::try_from(piece.bytes).map_err(|_| EINVAL)?;
    let buffer = usize::try_from(buffer).map_err(|_| EFAULT)?;
    // SAFETY: the pin keeps the memory; the program may look on, and may write there, too.
    unsafe {
        match access {
            Access::Write => user::copy_from(buffer, piece.memory, bytes),
            _ => user::copy_to(buffer, piece.memory, bytes),
        }
    }
}

/// The program's memory at an address, and how many bytes of so many lie there in one block of
/// [`LARGE_PAGE_BYTES`], which is never more than a folio. EFAULT if there is none.
fn find(
    proxy: &Proxy,
    partition: &Partition<'_>,
    (address, most): (u64, u64),
    access: Access,
) -> Result<(Translation, u64)> {
    let root = proxy.root().ok_or(ESRCH)?;
    let words = |at, count| partition.words(at, count);
    let offset = address % PAGE_BYTES;
    let wanted = most.saturating_add(offset);
    let at = walk_run(root, address, wanted, access, words).ok_or(EFAULT)?;
    let in_block = LARGE_PAGE_BYTES - at.page % LARGE_PAGE_BYTES;
    Ok((at, most.min(at.contiguous.min(in_block) - offset)))
}

/// Finds the program's memory and pins it. It is marked as exposed like any frame that Linux uses: the
/// copy may have to wait for the caller's memory, and the program may unmap its own meanwhile.
fn pin(proxy: &Proxy, address: u64, most: u64, access: Access) -> Result<Piece> {
    let guard = proxy.memory.access().ok_or_else(errno::shutdown)?;
    let partition = guard.partition();
    // Until the pin is there nobody who lets go of a frame may take its mark off.
    let _inserting = proxy.instance.begin_insertion();
    let found = find(proxy, &partition, (address, most), access)?;
    let (at, bytes) = found;
    let offset = address % PAGE_BYTES;
    let start = at.page.saturating_add(offset);
    let memory = partition.memory(start, bytes).ok_or(EFAULT)?;
    let frame = partition.frame(at.page).ok_or(EFAULT)?;
    let frames = offset.saturating_add(bytes).div_ceil(PAGE_BYTES);
    let frames = u32::try_from(frames).map_err(|_| EINVAL)?;
    if !partition.expose_run(frame, frames) {
        return Err(EFAULT);
    }
    // A program that changes its mappings meanwhile loses.
    if find(proxy, &partition, (address, most), access)? != found {
        return Err(EFAULT);
    }
    let pin = partition.pin(frame).ok_or(EFAULT)?;
    Ok(Piece {
        memory,
        bytes,
        run: FrameRun {
            first: frame.number,
            count: frames,
        },
        _pin: pin,
    })
}

/// The bytes are there: takes the marks off again, else everything that was ever copied would have to
/// be revoked.
fn let_go(proxy: &Proxy, piece: Piece) {
    let run = piece.run;
    drop(piece);
    if let Some(guard) = proxy.memory.access() {
        proxy.instance.conceal_free(&guard.partition(), run);
    }
}
