// SPDX-License-Identifier: GPL-2.0
//! All that differs between the kernels that we build for, in both modules. Where one form fits
//! them all, it stands here without a test of versions, with what it stands for; docs/kernels.md
//! says how to find the next difference.

use core::ptr::{addr_of_mut, NonNull};
use kernel::bindings;
use kernel::prelude::*;

/// This module, as C code names it.
///
/// Linux 7.2: `THIS_MODULE` in the crate's root, a reference. Linux 7.3: a constant of
/// `kernel::ModuleMetadata`, a value (`rust/macros/module.rs`). Both stand for this symbol, which
/// every module has.
pub(crate) const fn this_module() -> *mut bindings::module {
    extern "C" {
        static mut __this_module: u8;
    }
    // Only the address is taken, so the type does not matter.
    addr_of_mut!(__this_module).cast()
}

/// The lock word of an [`super::irq_lock::IrqLock`].
///
/// # Safety
///
/// All zeroes must be an unlocked one, and who has locked it alone until it is unlocked.
pub(crate) unsafe trait LockWord {
    /// Takes the lock; what it returns is for [`Self::unlock`].
    ///
    /// # Safety
    ///
    /// `word` must be initialised and stay where it is.
    unsafe fn lock(word: *mut Self) -> usize;

    /// Gives it back.
    ///
    /// # Safety
    ///
    /// The caller must have locked it, on this CPU, and `flags` come from that.
    unsafe fn unlock(word: *mut Self, flags: usize);
}

/// With interrupts off, whatever Linux it is.
// SAFETY: Linux's own lock; zeroes are `__RAW_SPIN_LOCK_UNLOCKED` without lock debugging, as the
// kernels are built.
unsafe impl LockWord for bindings::raw_spinlock_t {
    unsafe fn lock(word: *mut Self) -> usize {
        // SAFETY: the caller's promise.
        unsafe { bindings::_raw_spin_lock_irqsave(word) }
    }

    unsafe fn unlock(word: *mut Self, flags: usize) {
        // SAFETY: the caller's promise.
        unsafe { bindings::_raw_spin_unlock_irqrestore(word, flags) };
    }
}

/// With PREEMPT_RT interrupt handlers run in threads, and the locks of Linux's wait queues and page
/// tables sleep. So what holds one of ours may have to sleep as well: there it is a lock that does,
/// and interrupts stay on.
#[cfg(CONFIG_PREEMPT_RT)]
pub(crate) type UsualWord = bindings::spinlock_t;
/// Without PREEMPT_RT interrupt handlers run with interrupts off, and so does whatever holds one of
/// our locks.
#[cfg(not(CONFIG_PREEMPT_RT))]
pub(crate) type UsualWord = bindings::raw_spinlock_t;

#[cfg(CONFIG_PREEMPT_RT)]
// SAFETY: Linux's own lock; zeroes are an unlocked `rt_mutex_base` without lock debugging.
unsafe impl LockWord for bindings::spinlock_t {
    unsafe fn lock(word: *mut Self) -> usize {
        // SAFETY: the caller's promise.
        unsafe { bindings::spin_lock(word) };
        0
    }

    unsafe fn unlock(word: *mut Self, _flags: usize) {
        // SAFETY: the caller's promise.
        unsafe { bindings::spin_unlock(word) };
    }
}

/// The type that an interrupt handler returns.
///
/// Linux 7.2: a number, of constants `irqreturn_*`. Linux 7.3: a type of its own around the number,
/// as bindgen was told `--newtype-enum irqreturn` (`rust/bindgen_parameters`). In C it is `enum
/// irqreturn` in both.
pub(crate) type HandlerResult = bindings::irqreturn_t;

/// `IRQ_HANDLED` of `include/linux/irqreturn.h`.
// SAFETY: a C enumeration, as large as this, of which 1 is one of the values.
#[allow(dead_code, reason = "mcctrl has no interrupts")]
#[allow(clippy::useless_transmute, reason = "not the same type in all kernels")]
pub(crate) const HANDLED: HandlerResult = unsafe { core::mem::transmute::<u32, HandlerResult>(1) };

/// 2^`order` pages of `node` as one folio, or null. May sleep, if `flags` say so.
///
/// `__alloc_pages` is exported by Linux 7.2 only, `alloc_pages_node` by 7.3 only; this one by both.
/// It adds `__GFP_COMP`, and marks the folio as one that may be mapped as a whole, which ours are.
///
/// # Safety
///
/// `node` must have memory.
#[allow(dead_code, reason = "mcctrl takes no memory")]
pub(crate) unsafe fn folio_of_node(
    flags: bindings::gfp_t,
    order: u32,
    node: c_int,
) -> Option<NonNull<bindings::page>> {
    // SAFETY: the caller's promise; without a mask all nodes may be used that the flags allow.
    let folio =
        unsafe { bindings::__folio_alloc_noprof(flags, order, node, core::ptr::null_mut()) };
    // The folio's first page, by its layout.
    NonNull::new(folio.cast())
}

/// Maps a folio of 2 MiB, read-only, where `fault` is; `None` if this Linux maps no large pages at all.
///
/// PREEMPT_RT is configured without transparent huge pages (`arch/Kconfig`: they depend on
/// `!PREEMPT_RT`), and then has no `vmf_insert_folio_pmd`; nor does it call `huge_fault`.
///
/// # Safety
///
/// `fault` must be one that Linux is handling, with its lock held, and `folio` one of order 9.
#[allow(dead_code, reason = "ihk.ko maps nothing")]
pub(crate) unsafe fn insert_large_folio(
    fault: *mut bindings::vm_fault,
    folio: *mut bindings::folio,
) -> Option<bindings::vm_fault_t> {
    #[cfg(CONFIG_TRANSPARENT_HUGEPAGE)]
    // SAFETY: the caller's promise.
    return Some(unsafe { bindings::vmf_insert_folio_pmd(fault, folio, false) });
    #[cfg(not(CONFIG_TRANSPARENT_HUGEPAGE))]
    {
        let _ = (fault, folio);
        None
    }
}
