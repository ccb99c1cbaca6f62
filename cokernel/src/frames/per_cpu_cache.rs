// SPDX-License-Identifier: GPL-2.0
//! The per-CPU cache: small frames that each CPU keeps ready, so that taking one and giving one
//! back touch no cache line of another CPU. Half of them go back when there are too many, all of
//! them when the CPU has nothing to do or somebody finds no large page.
//!
//! Each CPU's own lock is taken by others only to drain it. It is taken before the lock of the
//! frames and under that of the heap.

use cokernel_logic::frame_cache::FrameCache;
pub use cokernel_logic::frame_cache::BATCH;
use spin::Once;

use crate::sync::{PerCpuArray, SpinLock};

static CACHES: Once<PerCpuArray<SpinLock<FrameCache>>> = Once::new();

/// From now on the CPUs keep frames. Once, when the heap works.
pub(super) fn init(cpus: u32) {
    CACHES.call_once(|| PerCpuArray::new(cpus, |_| SpinLock::default()));
}

/// A frame that this CPU keeps; if it has none, `refill` calls its argument with up to [`BATCH`]
/// new ones. `None`: CPUs do not keep frames yet, or there is none.
pub(super) fn take(refill: impl FnOnce(&mut dyn FnMut(u32))) -> Option<u32> {
    CACHES.get()?.this().lock().take(refill)
}

/// Has this CPU keep `frame`; `give_back` gets what becomes too much. `false`: CPUs do not keep
/// frames yet.
pub(super) fn put(frame: u32, give_back: impl FnOnce(&[u32])) -> bool {
    let Some(caches) = CACHES.get() else {
        return false;
    };
    caches.this().lock().put(frame, give_back);
    true
}

/// Hands all frames that this CPU keeps to `give_back`.
pub(super) fn drain_this_cpu(give_back: impl FnOnce(&[u32])) {
    if let Some(caches) = CACHES.get() {
        caches.this().lock().drain(give_back);
    }
}

/// Hands all frames that CPUs keep to `give_back`, a CPU at a time. The caller holds no lock of the
/// heap or the frames.
pub(super) fn drain_all(mut give_back: impl FnMut(&[u32])) {
    let Some(caches) = CACHES.get() else {
        return;
    };
    for cpu in 0..crate::arch::cpu_count() {
        // A CPU that is busy with its frames right now keeps them.
        if let Some(mut cache) = caches.get(cpu).and_then(SpinLock::try_lock) {
            cache.drain(&mut give_back);
        }
    }
}
