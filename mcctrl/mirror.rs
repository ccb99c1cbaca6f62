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

use crate::ffi::errno;
use crate::ffi::ihk;
use crate::ffi::irq_lock::IrqLock;
use crate::ffi::notifier::{Found, Notifier, Sequence, BLOCK_PAGES};
use crate::ffi::rwsem::RwSem;
use crate::ffi::task;
use crate::ffi::wait::{Until, WaitQueue, Woken};
use crate::image::within;
use crate::patience::{Patience, LOOK_MS};
use crate::proto::layout::{LARGE_PAGE_BYTES, PAGE_BYTES, WINDOW_END};
use crate::proto::packet::ToCokernel;
use crate::proto::process::mirror as page_bits;
use crate::proto::uapi::{MirrorPage, WindowPart};
use crate::proxy::Proxy;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::{
    prelude::*,
    rbtree::{RBTree, RBTreeNode},
    sync::{Arc, Mutex},
    time::{delay::fsleep, msecs_to_jiffies, Delta},
};

const BLOCK_BYTES: u64 = BLOCK_PAGES as u64 * PAGE_BYTES;
/// Looks that may be in vain because something changes.
const MOST_LOOKS: u32 = 100;
/// Looks for an answer, or for the reset of an instance that gives none: two minutes.
const MOST_WAITS: u32 = 2400;

/// Which pages of 2 MiB are shown: a bit each.
type Shown = [u64; 8];

/// What one proxy mirrors.
#[pin_data]
pub(crate) struct Mirror {
    /// There once the first page is shown, until the window is released.
    #[pin]
    notifier: RwSem<Option<Pin<KBox<Notifier>>>>,
    /// By number of the 2 MiB.
    shown: IrqLock<RBTree<u64, Shown>>,
    /// Held from I2 to I4, so that numbers go up in the ring as they do here. Guards the last one.
    #[pin]
    dropping: Mutex<u64>,
    /// Number of the last answer.
    dropped: AtomicU64,
    #[pin]
    waiting: WaitQueue,
}

impl Mirror {
    /// Nothing.
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            notifier <- RwSem::new(None, c"mcctrl mirror", kernel::static_lock_class!()),
            shown: IrqLock::new(RBTree::new()),
            dropping <- kernel::new_mutex!(0, "mcctrl dropping"),
            dropped: AtomicU64::new(0),
            waiting <- WaitQueue::new(c"mcctrl mirror", kernel::static_lock_class!()),
        })
    }

    /// The co-kernel has answered. Any context.
    pub(crate) fn answered(&self, number: u64) {
        self.dropped.fetch_max(number, Ordering::AcqRel);
        self.wake();
    }

    /// Wakes who waits for an answer: the instance is gone.
    pub(crate) fn wake(&self) {
        self.waiting.wake_all();
    }

    /// The window is gone, and with it everything that could be mirrored. Sleeps.
    pub(crate) fn end(&self) {
        let notifier = self.notifier.write().take();
        drop(notifier);
    }
}

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
    fn packets(&self, process: u32) -> impl Iterator<Item = (Shown, ToCokernel)> + '_ {
        let starts = (self.start..).step_by(page_bits::PAGES.wrapping_mul(PAGE_BYTES as usize));
        let groups = starts.zip(self.pages.chunks(page_bits::PAGES));
        groups.filter_map(move |(address, group)| {
            let page = |index: usize| group.get(index).copied().unwrap_or(0);
            let mut shown = [0; 8];
            for (at, _) in group.iter().enumerate().filter(|(_, page)| **page != 0) {
                mark(&mut shown, page_number(address).saturating_add(at as u64));
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
            (shown != [0; 8]).then_some((shown, message))
        })
    }
}

/// M4. `false`: something has changed, or there is no room in the ring now.
fn publish(proxy: &Proxy, notifier: &Notifier, since: Sequence, block: &Block) -> Result<bool> {
    let key = block.start / LARGE_PAGE_BYTES;
    let node = RBTreeNode::new(key, [0; 8], GFP_KERNEL)?;
    let mut room = true;
    {
        let mut shown = proxy.mirror.shown.lock();
        if notifier.has_changed(since) {
            return Ok(false);
        }
        if shown.get(&key).is_none() {
            shown.insert(node);
        }
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
            if let Some(all) = shown.get_mut(&key) {
                all.iter_mut().zip(pages).for_each(|(all, new)| *all |= new);
            }
        }
    }
    if !room {
        fsleep(Delta::from_micros(100));
    }
    Ok(room)
}

/// Linux is about to change its mapping of [`start`, `end`). `note` makes looks that began before
/// start again. `false`: the program may see something there, and the caller must not sleep.
pub(crate) fn invalidate(
    proxy: &Proxy,
    start: u64,
    end: u64,
    may_sleep: bool,
    note: impl FnOnce(),
) -> bool {
    let (start, end) = (start.max(proxy.window_start), end.min(WINDOW_END));
    {
        let mut shown = proxy.mirror.shown.lock();
        note();
        if !is_any_shown(&mut shown, start, end) || proxy.instance.is_gone() {
            return true;
        }
    }
    if !may_sleep {
        return false;
    }
    let mut number = proxy.mirror.dropping.lock();
    *number = number.wrapping_add(1);
    drop_pages(proxy, *number, start, end);
    hide(&mut proxy.mirror.shown.lock(), start, end);
    true
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
    let mut patience = Patience::new(instance.os, proxy.cpu());
    // An error says that the instance is gone or now declared hung; then its reset is waited for.
    let _ = instance.send(proxy.cpu(), &message);
    let is_over = || mirror.dropped.load(Ordering::Acquire) >= number || instance.is_gone();
    for _ in 0..MOST_WAITS {
        let limit = Some(msecs_to_jiffies(LOOK_MS));
        if mirror.waiting.wait(Until::Condition, limit, is_over) == Woken::Condition {
            return;
        }
        if patience.is_exhausted() {
            instance.declare_hung("pages of Linux were not given back for a second");
        }
    }
    pr_err!(
        "os {}: its cores are not reset; pages of Linux may be in use there\n",
        instance.os
    );
}

// ---- the record of what is shown ----

fn page_number(address: u64) -> u64 {
    (address & (LARGE_PAGE_BYTES - 1)) / PAGE_BYTES
}

fn mark(shown: &mut Shown, page: u64) {
    if let Some(word) = shown.get_mut((page / 64) as usize) {
        *word |= 1 << (page % 64);
    }
}

/// The bits of [`start`, `end`) in the 2 MiB of number `key`.
fn bits_of(key: u64, start: u64, end: u64) -> Shown {
    let first = key.saturating_mul(LARGE_PAGE_BYTES);
    if start <= first && end >= first.saturating_add(LARGE_PAGE_BYTES) {
        return [u64::MAX; 8];
    }
    let mut bits = [0; 8];
    for page in 0..LARGE_PAGE_BYTES / PAGE_BYTES {
        let address = first.saturating_add(page * PAGE_BYTES);
        if address >= start && address < end {
            mark(&mut bits, page);
        }
    }
    bits
}

fn is_any_shown(shown: &mut RBTree<u64, Shown>, start: u64, end: u64) -> bool {
    let mut cursor = shown.cursor_lower_bound_mut(&(start / LARGE_PAGE_BYTES));
    while let Some(at) = cursor {
        let (key, pages) = at.current();
        if key.saturating_mul(LARGE_PAGE_BYTES) >= end {
            return false;
        }
        let bits = bits_of(*key, start, end);
        if pages.iter().zip(bits).any(|(page, bit)| page & bit != 0) {
            return true;
        }
        cursor = at.move_next();
    }
    false
}

/// I4. Nothing can have been shown since I1.
fn hide(shown: &mut RBTree<u64, Shown>, start: u64, end: u64) {
    let mut cursor = shown.cursor_lower_bound_mut(&(start / LARGE_PAGE_BYTES));
    while let Some(mut at) = cursor {
        let (key, pages) = at.current_mut();
        if key.saturating_mul(LARGE_PAGE_BYTES) >= end {
            return;
        }
        let bits = bits_of(*key, start, end);
        pages
            .iter_mut()
            .zip(bits)
            .for_each(|(page, bit)| *page &= !bit);
        let is_empty = *pages == [0; 8];
        cursor = if is_empty {
            let (next, node) = at.remove_current();
            drop(node);
            next
        } else {
            at.move_next()
        };
    }
}

/// MAP_WINDOW: what the caller had mapped in a part of its window makes place for the window. EINVAL
/// outside of it, and for a child of vfork, which has its parent's.
pub(crate) fn map_window(proxy: &Proxy, part: &WindowPart) -> Result {
    let window = (proxy.window_start, WINDOW_END);
    let aligned = part.start % PAGE_BYTES == 0 && part.bytes % PAGE_BYTES == 0;
    if !aligned
        || part.bytes == 0
        || proxy.borrows_window()
        || !within(part.start, part.bytes, window)
    {
        return Err(EINVAL);
    }
    let file = proxy.gate.window_file().ok_or(ESRCH)?;
    crate::ffi::file::map_window(&file, part.start, part.bytes)
}
