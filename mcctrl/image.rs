// SPDX-License-Identifier: GPL-2.0
//! Whether what mcexec says of a program can be true. The co-kernel checks again; this keeps
//! nonsense away from it and gives it a name early.

use crate::proto::layout::{PAGE_BYTES, WINDOW_END, WINDOW_MIN};
use crate::proto::process::{
    prot, range_kind, ImageRange, ProcessImage, VdsoWish, MAX_IMAGE_RANGES, MAX_VDSO_PAGES,
};

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ImageError {
    /// Built against another version of the contract.
    Version,
    /// The window, or where mappings begin.
    Window,
    /// Number, order, place or kind of the ranges.
    Ranges,
    /// The vdso's place or size.
    Vdso,
}

/// Checks all of `image`.
pub(crate) fn check(image: &ProcessImage) -> Result<(), ImageError> {
    if image.abi_version != crate::proto::ABI_VERSION {
        return Err(ImageError::Version);
    }
    let window = (image.window_start, WINDOW_END);
    let starts_well = image.window_start >= WINDOW_MIN && is_page(image.window_start);
    let mmap_top_fits = is_page(image.mmap_top) && within(image.mmap_top, 0, window);
    if !starts_well || !mmap_top_fits {
        return Err(ImageError::Window);
    }
    let ranges = usize::try_from(image.range_count)
        .ok()
        .filter(|count| *count <= MAX_IMAGE_RANGES)
        .and_then(|count| image.ranges.get(..count))
        .ok_or(ImageError::Ranges)?;
    check_ranges(ranges, window)?;
    check_vdso(&image.vdso, window)
}

fn check_ranges(ranges: &[ImageRange], window: (u64, u64)) -> Result<(), ImageError> {
    let mut free_from = window.0;
    for range in ranges {
        let empty_allowed = range.kind == range_kind::HEAP;
        let known = matches!(
            range.kind,
            range_kind::SEGMENT | range_kind::STACK | range_kind::HEAP
        ) && range.prot & !(prot::READ | prot::WRITE | prot::EXEC) == 0;
        let aligned = is_page(range.start) && is_page(range.bytes);
        let sized = (range.bytes == 0) == empty_allowed;
        if !known
            || !aligned
            || !sized
            || range.start < free_from
            || !within(range.start, range.bytes, window)
        {
            return Err(ImageError::Ranges);
        }
        free_from = range.start.saturating_add(range.bytes);
    }
    Ok(())
}

fn check_vdso(wish: &VdsoWish, window: (u64, u64)) -> Result<(), ImageError> {
    let Some(bytes) = wish.vvar_bytes.checked_add(wish.vdso_bytes) else {
        return Err(ImageError::Vdso);
    };
    if bytes == 0 {
        return Ok(());
    }
    let aligned = is_page(wish.source)
        && is_page(wish.target)
        && is_page(wish.vvar_bytes)
        && is_page(wish.vdso_bytes);
    let fits =
        bytes <= MAX_VDSO_PAGES as u64 * PAGE_BYTES && wish.source.checked_add(bytes).is_some();
    if aligned && fits && within(wish.target, bytes, window) {
        Ok(())
    } else {
        Err(ImageError::Vdso)
    }
}

const fn is_page(address: u64) -> bool {
    address % PAGE_BYTES == 0
}

/// Whether [`start`, `+ bytes`) lies in `window`.
pub(crate) fn within(start: u64, bytes: u64, window: (u64, u64)) -> bool {
    start >= window.0 && start.checked_add(bytes).is_some_and(|end| end <= window.1)
}
