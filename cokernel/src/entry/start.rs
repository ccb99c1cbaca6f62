// SPDX-License-Identifier: GPL-2.0
//! The first Rust function of every CPU, called by the entry stub that ihk.ko jumps to.

use ihk_ikc::boot::{BootParams, BOOT_MAGIC};
use ihk_ikc::layout::MAX_CPUS;

use crate::arch::{self, setup};
use crate::entry::init;
use crate::params::Params;

/// # Safety
///
/// Called only by `ihk_entry`, under the entry protocol of `ihk_ikc::boot`.
#[no_mangle]
unsafe extern "C" fn boot_entry(params: *const BootParams, index: u64) -> ! {
    // SAFETY: by the entry protocol; Linux writes it before the first CPU starts, never again.
    let params: &'static BootParams = unsafe { &*params };
    // Nothing can be reported before the parameters are known to be parameters.
    let sound =
        params.magic == BOOT_MAGIC && (1..=MAX_CPUS as u64).contains(&u64::from(params.cpu_count));
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    if !sound || index >= params.cpu_count {
        arch::halt_forever();
    }
    // SAFETY: by the entry protocol.
    let params = unsafe { Params::new(params) };
    // SAFETY: by the entry protocol each CPU has a number of its own.
    unsafe { setup::init_cpu(params, index) };
    if index == 0 {
        // SAFETY: only the first CPU has this number.
        unsafe { init::boot_cpu(params) }
    } else {
        init::other_cpu(params)
    }
}
