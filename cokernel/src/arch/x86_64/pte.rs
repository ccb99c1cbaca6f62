// SPDX-License-Identifier: GPL-2.0
//! Page tables as the CPU knows them: the entries ([`cokernel_logic::pte`]), the kernel's own root, and
//! the root that is loaded. The entries' bits are the contract's, because Linux reads them, and not those
//! of the x86_64 crate.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;
use x86_64::PhysAddr;

pub use cokernel_logic::pte::{Flags, Mapping, PageSize};

static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

/// Top-level table of the kernel itself; its upper half is in every table.
pub fn kernel_root() -> PhysAddr {
    PhysAddr::new(KERNEL_ROOT.load(Ordering::Relaxed))
}

/// Makes `root` the kernel's, for ever.
///
/// # Safety
///
/// It maps what the kernel needs, and stays.
pub unsafe fn set_kernel_root(root: PhysAddr) {
    KERNEL_ROOT.store(root.as_u64(), Ordering::Relaxed);
}

/// Top-level table that is loaded on this CPU.
pub fn loaded_root() -> PhysAddr {
    Cr3::read_raw().0.start_address()
}

/// Loads a top-level table on this CPU.
///
/// # Safety
///
/// It has the kernel's half, and stays for as long as it is loaded.
pub unsafe fn load_root(root: PhysAddr) {
    let frame = PhysFrame::containing_address(root);
    // SAFETY: by contract what the kernel needs stays mapped.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}
