// SPDX-License-Identifier: GPL-2.0
//! The out-of-memory killer: the process that has most memory mapped is killed, and threads that
//! need memory wait for its end. One victim at a time: while a victim dies, nobody else is chosen.

use alloc::sync::Arc;

use cokernel_logic::policy::Mode;
use ihk_ikc::layout::LARGE_PAGE_BYTES;
use ihk_ikc::packet::{ProcessHandle, ToLinux};

use crate::arch::time::Deadline;
use crate::frames::{pinned, watermark};
use crate::sync::SpinLock;
use crate::task::current;
use crate::task::process::{self, Process};
use crate::{ikc, klog};

/// The longest time that a victim may take to die before another one is chosen.
const VICTIM_TIMEOUT_US: u64 = 10_000_000;

struct Victim {
    process: ProcessHandle,
    deadline: Deadline,
}

/// The process that was killed last. Locked before the table of processes.
static VICTIM: SpinLock<Option<Victim>> = SpinLock::new(None);

/// Sees to it that memory comes free for `address` of `asker`, without waiting. Returns whether it
/// will come free, so that the caller shall try again.
pub fn relieve(asker: &Arc<Process>, address: u64) -> bool {
    let has_room = watermark::has_room_for(LARGE_PAGE_BYTES);
    let default = current::policy_in(&asker.space);
    let mode = asker
        .space
        .with(|inner| inner.policy_at(address, default).mode);
    if pinned::recheck() || has_room && mode != Mode::Bind {
        return true;
    }
    let mut victim = VICTIM.lock();
    let is_dying = victim
        .as_ref()
        .is_some_and(|victim| !victim.deadline.passed() && process::find(victim.process).is_some());
    if is_dying {
        return true;
    }
    let failed = victim.take().map(|victim| victim.process);
    // There is memory, but this process's memory policy forbids it that memory: so the process
    // itself goes.
    let chosen = if has_room {
        Some(asker.clone())
    } else {
        process::biggest(failed)
    };
    let Some(chosen) = chosen else {
        return false;
    };
    let bytes = chosen.space.with(|inner| inner.table.resident_bytes());
    klog!(
        "out of memory: process {} is killed, it has {} MiB",
        chosen.pid,
        bytes >> 20
    );
    *victim = Some(Victim {
        process: chosen.handle,
        deadline: Deadline::after_us(VICTIM_TIMEOUT_US),
    });
    drop(victim);
    // Its proxy dies of SIGKILL, whatever it does, and takes the process along.
    ikc::send(&ToLinux::KillProxy {
        process: chosen.handle,
    });
    true
}
