// SPDX-License-Identifier: GPL-2.0
//! All that differs between the kernels that we build for, in both modules. Where one form fits them all, it stands
//! here without a test of versions, with what it stands for; docs/kernels.md says how to find the next difference.

use core::ptr::{addr_of_mut, NonNull};
use kernel::bindings;
use kernel::cred::Credential;
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use kernel::task::{Kuid, Task};

/// This module, as C code names it.
///
/// Linux 7.2: `THIS_MODULE` in the crate's root, a reference. Linux 7.3: a constant of `kernel::ModuleMetadata`,
/// a value (`rust/macros/module.rs`). Both stand for this symbol, which every module has.
pub(crate) const fn this_module() -> *mut bindings::module {
    extern "C" {
        static mut __this_module: u8;
    }
    // Only the address is taken, so the type does not matter.
    addr_of_mut!(__this_module).cast()
}

/// What an interrupt handler returns.
///
/// Linux 7.2: a number, of constants `irqreturn_*`. Linux 7.3: a type of its own around the number, as bindgen was
/// told `--newtype-enum irqreturn` (`rust/bindgen_parameters`). In C it is `enum irqreturn` in both.
pub(crate) type HandlerResult = bindings::irqreturn_t;

/// `IRQ_HANDLED` of `include/linux/irqreturn.h`.
// SAFETY: a C enumeration, as large as this, of which 1 is one of the values.
#[allow(dead_code, reason = "mcctrl has no interrupts")]
pub(crate) const HANDLED: HandlerResult = unsafe { core::mem::transmute::<u32, HandlerResult>(1) };

/// 2^`order` pages of `node` as one folio, or null. May sleep, if `flags` say so.
///
/// `__alloc_pages` is exported by Linux 7.2 only, `alloc_pages_node` by 7.3 only; this one by both. It adds
/// `__GFP_COMP`, and marks the folio as one that may be mapped as a whole, which ours are.
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

/// The user as whom `task` acts.
///
/// `Task::euid` of the kernel crate is gone from Linux 7.3 with its helper `task_euid`; the credentials themselves are
/// counted and can be asked in both.
#[allow(dead_code, reason = "ihk.ko knows no processes")]
pub(crate) fn effective_user(task: &Task) -> Kuid {
    // SAFETY: the task is valid; the result is never null and carries a reference, which the new value takes over.
    let credential = unsafe {
        let credential = bindings::get_task_cred(task.as_ptr());
        let credential = credential.cast_mut().cast::<Credential>();
        ARef::<Credential>::from_raw(NonNull::new_unchecked(credential))
    };
    credential.euid()
}
