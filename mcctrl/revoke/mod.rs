// SPDX-License-Identifier: GPL-2.0
//! Revocation: the co-kernel took pages away or restricted them, and Linux follows.
//!
//! R1 exclusive access, R2 drop the mappings, R3 look at each frame: let go → clear its
//! bit, pinned → keep the bit and watch it ([`pins`]), R4 give access back and answer.
//!
//! The order comes by an interrupt. If that came upon a worker of the same mcexec in user space, as it
//! does when it looks for requests, the worker itself does it before its next instruction: what the
//! program asks next it asks of this worker. Otherwise it is done on a work queue, so that a stopped
//! mcexec does not delay it.

#[expect(
    unsafe_code,
    reason = "gives out the partition until access is revoked"
)]
pub(crate) mod access;
pub(crate) mod pin_list;
pub(crate) mod pins;
pub(crate) mod queue;

use crate::ffi::ihk::Partition;
use crate::ffi::page::Hold;
use crate::ffi::task_work::{self, HasTaskWork, TaskWork};
use crate::ffi::workqueue;
use crate::process::proxy::Proxy;
use crate::proto::exposed::{self, FrameRun};
use crate::proto::layout::{PAGE_BYTES, WINDOW_END};
use crate::proto::packet::ToCokernel;
use access::ExclusiveAccess;
use kernel::{prelude::*, sync::Arc, workqueue::WorkItem};
use queue::Revocation;

/// Most runs of an order: they fit into one page.
const MOST_RUNS: u32 = PAGE_BYTES as u32 / size_of::<FrameRun>() as u32;

/// Accepts an order; in the interrupt line's handler. `false`: there are impossibly many.
pub(crate) fn accept(proxy: &Arc<Proxy>, order: Revocation) -> bool {
    if !proxy.revocations.lock().push(order) {
        return false;
    }
    if proxy.is_current() && task_work::add(proxy) {
        return true;
    }
    if let Some(queue) = workqueue::own() {
        // An error says that the work is queued already; it will find this order, too.
        let _ = queue.enqueue(proxy.clone());
    }
    true
}

impl WorkItem for Proxy {
    type Pointer = Arc<Self>;

    fn run(this: Arc<Self>) {
        perform_all(&this);
    }
}

impl HasTaskWork for Proxy {
    fn task_work(&self) -> &TaskWork<Self> {
        &self.revoke_task_work
    }

    fn run(this: Arc<Self>) {
        perform_all(&this);
    }
}

fn perform_all(proxy: &Arc<Proxy>) {
    loop {
        let Some(order) = proxy.revocations.lock().next() else {
            return;
        };
        perform(proxy, &order);
    }
}

fn perform(proxy: &Arc<Proxy>, order: &Revocation) {
    let Some(access) = proxy.memory.access_exclusively() else {
        return;
    };
    if !is_sane(order) {
        pr_err!("os {}: malformed revocation ignored\n", proxy.instance.os);
    } else {
        access.zap(order.start, order.end.saturating_sub(order.start));
        release_frames(proxy, &access, order);
    }
    drop(access);
    if proxy.instance.pins.lock().is_watching() {
        proxy.instance.call_reaper();
    }
    // An error means that the instance is gone or declared hung: nobody waits for the answer.
    let _ = proxy
        .instance
        .send(proxy.cpu(), &ToCokernel::RevokeDone { token: order.token });
}

fn is_sane(order: &Revocation) -> bool {
    order.start % PAGE_BYTES == 0
        && order.end % PAGE_BYTES == 0
        && order.start < order.end
        && order.end <= WINDOW_END
        && order.runs % PAGE_BYTES == 0
        && order.run_count <= MOST_RUNS
}

/// R3, see above. A run that lies outside the partition ends the work, and so does the end of the
/// instance: the bits of the rest stay set, which costs memory and harms nobody.
fn release_frames(proxy: &Arc<Proxy>, access: &ExclusiveAccess<'_>, order: &Revocation) {
    let partition = access.partition();
    for index in 0..order.run_count {
        if proxy.instance.is_gone() {
            return;
        }
        let Some(run) = read_run(&partition, order.runs, index) else {
            pr_err!(
                "os {}: revocation names frames outside the partition\n",
                proxy.instance.os
            );
            return;
        };
        proxy.instance.conceal_free(&partition, run);
        for (word, mask) in exposed::words_of(run) {
            release_marked(proxy, &partition, word, mask);
        }
    }
}

/// Looks at each frame of `mask` in word `word` that is still marked.
fn release_marked(proxy: &Arc<Proxy>, partition: &Partition<'_>, word: usize, mask: u64) {
    let mut marked = partition.marks(word, mask);
    while marked != 0 {
        let bit = marked.trailing_zeros();
        marked &= marked - 1;
        let number = (word as u32).wrapping_mul(u64::BITS).wrapping_add(bit);
        let Some(frame) = partition.frame_by_number(number) else {
            return;
        };
        match proxy.instance.conceal_if_free(partition, frame) {
            Hold::None => {}
            // By another process that shares it; when that lets go of it, it is looked at again.
            Hold::Mapped => {}
            Hold::Pinned => proxy.instance.pins.lock().add(proxy, number),
        }
    }
}

/// Run `index` of the array at `runs`; `None` if the array or the run leaves the partition.
fn read_run(partition: &Partition<'_>, runs: u64, index: u32) -> Option<FrameRun> {
    let word = partition.word(runs.checked_add(u64::from(index) * 8)?)?;
    let run = FrameRun {
        first: word as u32,
        count: (word >> 32) as u32,
    };
    let last = run.first.checked_add(run.count.checked_sub(1)?)?;
    partition.frame_by_number(last).map(|_| run)
}
