// SPDX-License-Identifier: GPL-2.0
//! Mirroring: the program sees pages that Linux has mapped in its window (shared mappings of files and
//! devices, shared memory), for exactly as long as Linux has them mapped there.
//!
//! ```text
//!  show (a worker, for a fault of the program)       invalidate (whoever changes Linux's mapping)
//!  M1 touch the page, as the program would           I1 lock: note the change; is anything shown?
//!  M2 begin: wait for changes under way              I2 DropMirror into the ring, if so
//!  M3 look at Linux's page table                     I3 wait for MirrorDropped
//!  M4 lock: nothing has changed since M2?            I4 lock: nothing is shown there any more
//!     note what is shown, MirrorPages into the ring     Linux goes on and changes its mapping
//! ```
//! A change noted at I1 keeps every look that began before it from M4, and M2 waits for the end of
//! changes; so between I1 and the change itself nothing new is shown. What was shown before I1 went
//! into the same ring before I2, and a ring keeps its order. Hence no page is shown longer than
//! Linux has it mapped. The co-kernel answers I3 in its interrupt handler, or is reset.

mod shown;
pub(crate) mod state;

use crate::ffi::notifier::{
    Found, IntervalOperations, IntervalOps, Notifier, Sequence, BLOCK_PAGES,
};
use crate::ffi::wait::{Until, Woken};
use crate::ffi::{errno, ihk, task};
use crate::process::heartbeat::{HeartbeatTimeout, POLL_MS};
use crate::process::image::within;
use crate::process::proxy::Proxy;
use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES, WINDOW_END};
use crate::proto::packet::ToCokernel;
use crate::proto::process::mirror as page_bits;
use crate::proto::uapi::MirrorPage;
use kernel::{
    prelude::*,
    rbtree::RBTreeNode,
    sync::Arc,
    time::{delay::fsleep, msecs_to_jiffies, Delta},
};
use shown::{mark, page_number, Pages};

const BLOCK_BYTES: u64 = BLOCK_PAGES as u64 * PAGE_BYTES;
/// Looks that may be in vain because something changes.
const MOST_LOOKS: u32 = 100;
/// Looks for an answer, or for the reset of an instance that gives none: two minutes.
const MOST_WAITS: u32 = 2400;

/// MIRROR: shows the program of the calling worker a page and its neighbours. EINVAL for an address
/// outside the window, EFAULT if Linux has no page there, EAGAIN if it changes all the time.
pub(crate) fn show(proxy: &Arc<Proxy>, order: &MirrorPage) -> Result {
    let window = (proxy.window_start, WINDOW_END);
    let page = order.address & !(PAGE_BYTES - 1);
    if order.reserved != 0 || order.write > 1 || !within(page, PAGE_BYTES, window) {
        return Err(EINVAL);
    }
    subscribe(proxy)?;
    let notifier = proxy.mirror.notifier.read();
    let notifier = notifier.as_ref().ok_or(ESRCH)?;
    if !notifier.is_of_current() {
        return Err(EINVAL);
    }
    let write = order.write != 0;
    for _ in 0..MOST_LOOKS {
        if task::fatal_signal_pending() {
            return Err(EINTR);
        }
        notifier.touch(page, write)?;
        let since = notifier.begin();
        let found = match notifier.look(page & !(BLOCK_BYTES - 1), page, since) {
            Err(EBUSY) => continue,
            found => found?,
        };
        let Some(block) = Block::of(page, write, found) else {
            continue;
        };
        if publish(proxy, notifier, since, &block)? {
            return Ok(());
        }
    }
    Err(EAGAIN)
}

/// Begins to hear of changes, once.
fn subscribe(proxy: &Arc<Proxy>) -> Result {
    if proxy.mirror.notifier.read().is_some() {
        return Ok(());
    }
    let mut place = proxy.mirror.notifier.write();
    if place.is_none() {
        if proxy.is_released() || proxy.handle() == 0 {
            return Err(ESRCH);
        }
        let start = proxy.window_start;
        *place = Some(Notifier::new(
            proxy.clone(),
            start,
            WINDOW_END.saturating_sub(start),
        )?);
    }
    Ok(())
}

/// Pages of Linux's that are to be shown. Neighbours of a page of memory that was touched are shown
/// for reading only: a write must reach Linux, which keeps count of what is dirty.
struct Block {
    start: u64,
    pages: [u64; BLOCK_PAGES],
}

impl Block {
    /// `None` if the page at `touched` is not there as wanted.
    fn of(touched: u64, write: bool, found: Found) -> Option<Self> {
        let Found {
            mut pages,
            is_device,
        } = found;
        let start = touched & !(BLOCK_BYTES - 1);
        let index = ((touched & (BLOCK_BYTES - 1)) / PAGE_BYTES) as usize;
        let wanted = page_bits::PRESENT | if write { page_bits::WRITE } else { 0 };
        for (at, page) in pages.iter_mut().enumerate() {
            if (at != index || !write) && !is_device {
                *page &= !page_bits::WRITE;
            }
        }
        let is_there = pages.get(index)? & wanted == wanted;
        is_there.then_some(Self { start, pages })
    }

    /// The packets that carry it, the ones without any page left out: which pages, what to send.
    fn packets(&self, process: u32) -> impl Iterator<Item = (Pages, ToCokernel)> + '_ {
        let starts = (self.start..).step_by(page_bits::PAGES.wrapping_mul(PAGE_BYTES as usize));
        let groups = starts.zip(self.pages.chunks(page_bits::PAGES));
        groups.filter_map(move |(address, group)| {
            let page = |index: usize| group.get(index).copied().unwrap_or(0);
            let mut pages = [0; 8];
            for (at, _) in group.iter().enumerate().filter(|(_, page)| **page != 0) {
                mark(&mut pages, page_number(address).saturating_add(at as u64));
            }
            let message = ToCokernel::MirrorPages {
                process,
                address,
                page0: page(0),
                page1: page(1),
                page2: page(2),
                page3: page(3),
                page4: page(4),
            };
            (pages != [0; 8]).then_some((pages, message))
        })
    }
}

/// M4. `false`: something has changed, or there is no room in the ring now.
fn publish(
    proxy: &Proxy,
    notifier: &Notifier<Proxy>,
    since: Sequence,
    block: &Block,
) -> Result<bool> {
    let key = block.start / LARGE_PAGE_BYTES;
    let node = RBTreeNode::new(key, [0; 8], GFP_KERNEL)?;
    let mut room = true;
    {
        let mut shown = proxy.mirror.shown.lock();
        if notifier.has_changed(since) {
            return Ok(false);
        }
        shown.make_room(key, node);
        for (pages, message) in block.packets(proxy.handle()) {
            match ihk::try_send(proxy.instance.os, proxy.cpu(), &message) {
                Ok(()) => {}
                Err(EAGAIN) => {
                    room = false;
                    break;
                }
                Err(ENODEV) => return Err(errno::shutdown()),
                Err(error) => return Err(error),
            }
            shown.add(key, pages);
        }
    }
    if !room {
        fsleep(Delta::from_micros(100));
    }
    Ok(room)
}

static OPERATIONS: IntervalOperations<Proxy> = IntervalOperations::new();

impl IntervalOps for Proxy {
    fn operations() -> &'static IntervalOperations<Self> {
        &OPERATIONS
    }

    fn invalidate(&self, start: u64, end: u64, may_sleep: bool, note: impl FnOnce()) -> bool {
        let (start, end) = (start.max(self.window_start), end.min(WINDOW_END));
        {
            let mut shown = self.mirror.shown.lock();
            note();
            if !shown.has_any(start, end) || self.instance.is_gone() {
                return true;
            }
        }
        if !may_sleep {
            return false;
        }
        let mut number = self.mirror.dropping.lock();
        *number = number.wrapping_add(1);
        drop_pages(self, *number, start, end);
        self.mirror.shown.lock().hide(start, end);
        true
    }
}

/// I2 and I3. When it returns, the co-kernel has no page there, or is reset.
fn drop_pages(proxy: &Proxy, number: u64, start: u64, end: u64) {
    let instance = &proxy.instance;
    let mirror = &proxy.mirror;
    let message = ToCokernel::DropMirror {
        process: proxy.handle(),
        number,
        start,
        end,
    };
    let mut timeout = HeartbeatTimeout::new(instance.os, proxy.cpu());
    // An error says that the instance is gone or now declared hung; then its reset is waited for.
    let _ = instance.send(proxy.cpu(), &message);
    let is_over = || mirror.has_dropped(number) || instance.is_gone();
    for _ in 0..MOST_WAITS {
        let limit = Some(msecs_to_jiffies(POLL_MS));
        if mirror.waiting.wait(Until::Condition, limit, is_over) == Woken::Condition {
            return;
        }
        if timeout.has_expired() {
            instance.declare_hung("pages of Linux were not given back, though it beats");
        }
    }
    pr_err!(
        "os {}: its cores are not reset; pages of Linux may be in use there\n",
        instance.os
    );
}
