// SPDX-License-Identifier: GPL-2.0
//! Memory has run out: the process that has most of it mapped is killed, and who needs memory waits
//! for its end. One at a time: while a victim dies, nobody else is chosen.

use ihk_ikc::packet::{ProcessHandle, ToLinux};

use crate::arch::time::Deadline;
use crate::mm::quarantine;
use crate::sync::SpinLock;
use crate::task::process;
use crate::{ikc, klog};

/// How long a victim may take to die before another one is chosen.
const PATIENCE_US: u64 = 10_000_000;

struct Victim {
    process: ProcessHandle,
    deadline: Deadline,
}

/// The last one. Locked before the table of processes.
static VICTIM: SpinLock<Option<Victim>> = SpinLock::new(None);

/// Sees to it that memory comes free, without waiting. `true`: it will, try again; `false`: there is
/// nothing to be had.
pub fn relieve() -> bool {
    if quarantine::recheck() {
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
    let Some((biggest, bytes)) = process::biggest(failed) else {
        return false;
    };
    klog!(
        "out of memory: process {} is killed, it has {} MiB",
        biggest.pid,
        bytes >> 20
    );
    *victim = Some(Victim {
        process: biggest.handle,
        deadline: Deadline::after_us(PATIENCE_US),
    });
    drop(victim);
    // Its proxy dies of SIGKILL, whatever it does, and takes the process along.
    ikc::send(&ToLinux::KillProxy {
        process: biggest.handle,
    });
    true
}
