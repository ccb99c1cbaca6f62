// SPDX-License-Identifier: GPL-2.0
//! Whether what mcexec says of a program can be true. The co-kernel checks again; this keeps
//! nonsense away from it and gives it a name early.

use crate::proto::layout::{PAGE_BYTES, WINDOW_END, WINDOW_MIN};
use crate::proto::process::{
    prot, range_kind, ImageRange, ProcessImage, VdsoArgs, MAX_IMAGE_RANGES, MAX_VDSO_PAGES,
};

/// Reasons to refuse an image.
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

fn check_vdso(vdso: &VdsoArgs, window: (u64, u64)) -> Result<(), ImageError> {
    let Some(bytes) = vdso.vvar_bytes.checked_add(vdso.vdso_bytes) else {
        return Err(ImageError::Vdso);
    };
    if bytes == 0 {
        return Ok(());
    }
    let aligned = is_page(vdso.source)
        && is_page(vdso.target)
        && is_page(vdso.vvar_bytes)
        && is_page(vdso.vdso_bytes);
    let fits =
        bytes <= MAX_VDSO_PAGES as u64 * PAGE_BYTES && vdso.source.checked_add(bytes).is_some();
    if aligned && fits && within(vdso.target, bytes, window) {
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

#[cfg(test)]
mod tests {
    use super::{check, ImageError, PAGE_BYTES, WINDOW_END};
    use crate::proto::process::{
        prot, range_kind, ImageRange, ProcessImage, VdsoArgs, MAX_VDSO_PAGES,
    };

    fn range(start: u64, bytes: u64, kind: u32) -> ImageRange {
        ImageRange {
            start,
            bytes,
            prot: prot::READ,
            kind,
        }
    }

    fn good() -> ProcessImage {
        let mut ranges = [ImageRange::default(); 32];
        ranges[0] = range(0x40_0000, 0x3000, range_kind::SEGMENT);
        ranges[1] = range(0x40_3000, 0, range_kind::HEAP);
        ranges[2] = range(WINDOW_END - 0x80_0000, 0x80_0000, range_kind::STACK);
        let vdso = VdsoArgs {
            source: 0x7fff_0000_0000,
            vvar_bytes: 0x4000,
            vdso_bytes: 0x2000,
            target: 0x10_0000,
        };
        ProcessImage {
            abi_version: crate::proto::ABI_VERSION,
            range_count: 3,
            cpu: -1,
            pid: 0,
            window_start: 0x1_0000,
            mmap_top: 0x5000_0000_0000,
            vdso,
            rlimits: [[0; 2]; 16],
            scheduling: 0,
            reserved: 0,
            ignored_signals: 0,
            blocked_signals: 0,
            name: [0; 16],
            ranges,
        }
    }

    fn verdict(change: impl FnOnce(&mut ProcessImage)) -> Result<(), ImageError> {
        let mut image = good();
        change(&mut image);
        check(&image)
    }

    #[test]
    fn plausible_image_passes() {
        assert_eq!(check(&good()), Ok(()));
        assert_eq!(verdict(|it| it.vdso = VdsoArgs::default()), Ok(()));
    }

    #[test]
    fn other_version_is_told_apart() {
        assert_eq!(verdict(|it| it.abi_version += 1), Err(ImageError::Version));
    }

    #[test]
    fn window_must_lie_where_windows_lie() {
        for start in [0, 0xf000, 0x1_0001, WINDOW_END + PAGE_BYTES, u64::MAX] {
            assert!(verdict(|it| it.window_start = start).is_err(), "{start:#x}");
        }
        for top in [0, 0x1_0010, WINDOW_END + PAGE_BYTES, u64::MAX] {
            assert_eq!(
                verdict(|it| it.mmap_top = top),
                Err(ImageError::Window),
                "{top:#x}"
            );
        }
    }

    #[test]
    fn malformed_ranges_are_refused() {
        let changes: [fn(&mut ProcessImage); 10] = [
            |it| it.range_count = 33,
            |it| it.range_count = u32::MAX,
            |it| it.ranges[0].start = 0,
            |it| it.ranges[0].start += 1,
            |it| it.ranges[0].bytes = 0,
            |it| it.ranges[0].bytes = u64::MAX - 4095,
            |it| it.ranges[0].bytes = 0x4000,
            |it| it.ranges[1].bytes = 0x1000,
            |it| it.ranges[2].bytes += PAGE_BYTES,
            |it| it.ranges[2].kind = 3,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_eq!(verdict(change), Err(ImageError::Ranges), "change {index}");
        }
        assert_eq!(verdict(|it| it.ranges[0].prot = 8), Err(ImageError::Ranges));
        assert_eq!(verdict(|it| it.ranges.swap(0, 2)), Err(ImageError::Ranges));
    }

    #[test]
    fn malformed_vdso_is_refused() {
        let changes: [fn(&mut VdsoArgs); 7] = [
            |it| it.source += 8,
            |it| it.source = u64::MAX - 4095,
            |it| it.target = WINDOW_END - PAGE_BYTES,
            |it| it.target = 0x2010,
            |it| it.vvar_bytes = u64::MAX,
            |it| it.vvar_bytes = 1,
            |it| it.vdso_bytes = (MAX_VDSO_PAGES as u64 + 1) * PAGE_BYTES,
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_eq!(
                verdict(|it| change(&mut it.vdso)),
                Err(ImageError::Vdso),
                "change {index}"
            );
        }
    }
}
