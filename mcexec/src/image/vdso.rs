// SPDX-License-Identifier: GPL-2.0
//! Finds Linux's own vdso. The program gets the same pages, so its time is Linux's.

use std::ffi::c_uchar;
use std::ptr;
use std::sync::OnceLock;

use ihk_ikc::layout::PAGE_BYTES;
use ihk_ikc::process::{VdsoArgs, MAX_VDSO_PAGES};
use nix::libc;

use super::to_usize;

/// Returns where mcexec's vdso and the data pages before it lie, or all zeroes if there is none. The
/// place in the program is not chosen yet.
///
/// To be called first while nothing is mapped besides them but the program, its heap and its stack.
pub(crate) fn find() -> VdsoArgs {
    static FOUND: OnceLock<VdsoArgs> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: a question about the auxiliary vector.
        let start = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
        around(start, is_mapped).unwrap_or_default()
    })
}

/// Returns the pages around the vdso's first, `start`, that are mapped without a gap: those before it are
/// its data, the others the vdso. They are no more than [`MAX_VDSO_PAGES`].
fn around(start: u64, is_mapped: impl Fn(u64) -> bool) -> Option<VdsoArgs> {
    let most = MAX_VDSO_PAGES as u64;
    let mapped = |page: &u64| is_mapped(*page);
    let upwards = (0..=most).map(|page| start + page * PAGE_BYTES);
    let downwards = (1..=most).map(|page| start.saturating_sub(page * PAGE_BYTES));
    let vdso_pages = upwards.take_while(mapped).count() as u64;
    let vvar_pages = downwards.take_while(mapped).count() as u64;
    let found = start != 0 && vdso_pages != 0 && vdso_pages + vvar_pages <= most;
    found.then(|| VdsoArgs {
        source: start - vvar_pages * PAGE_BYTES,
        vvar_bytes: vvar_pages * PAGE_BYTES,
        vdso_bytes: vdso_pages * PAGE_BYTES,
        target: 0,
    })
}

/// Returns whether something is mapped at the page `address`.
fn is_mapped(address: u64) -> bool {
    let mut state: c_uchar = 0;
    let page = ptr::without_provenance_mut(to_usize(address));
    // SAFETY: one byte of `state` is written for one page.
    unsafe { libc::mincore(page, to_usize(PAGE_BYTES), &raw mut state) == 0 }
}

#[cfg(test)]
mod tests {
    use super::{around, is_mapped};

    #[test]
    fn data_and_code_are_the_pages_around_the_first_of_the_code() {
        let start = 0x7ffe_0000_6000;
        let vdso = around(start, |page| {
            (0x7ffe_0000_0000..0x7ffe_0000_8000).contains(&page)
        });
        let vdso = vdso.unwrap();
        assert_eq!(
            (vdso.source, vdso.vvar_bytes, vdso.vdso_bytes),
            (0x7ffe_0000_0000, 0x6000, 0x2000)
        );
        assert!(around(start, |_| false).is_none());
        assert!(around(start, |_| true).is_none(), "more than it can be");
        assert!(around(0, |page| page == 0).is_none());
    }

    #[test]
    fn linux_says_what_is_mapped() {
        let here = std::ptr::from_ref(&0).addr() as u64 & !0xfff;
        assert!(is_mapped(here));
        assert!(!is_mapped(0));
    }
}
