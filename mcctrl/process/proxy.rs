// SPDX-License-Identifier: GPL-2.0
//! A `Proxy`: what mcctrl knows of one mcexec process and of the program it stands for.
//!
//! ```text
//!  admitted ─ CREATE ok ──► born ── START ──► started
//!     │                       │                  │
//!     └─ window released ─────┴──────────────────┘
//!                  ▼
//!              released ── ProxyGone ──► told ── ProcessFreed ──► freed: forgotten
//! ```
//! A proxy is found by the caller's process, never by an open file, which fork would share.

use crate::ffi::irq_lock::IrqLock;
use crate::ffi::page::PageRef;
use crate::ffi::task::{self, ProcessId};
use crate::ffi::task_work::TaskWork;
use crate::ffi::wait::WaitQueue;
use crate::files::mapped::MappedFiles;
use crate::mirror::state::Mirror;
use crate::process::heartbeat::HeartbeatTimeout;
use crate::process::instance::Instance;
use crate::proto::packet::ToCokernel;
use crate::proto::slot::{MAX_SLOTS, SHARED_PAGES};
use crate::revoke::access::Revocable;
use crate::revoke::queue::Revocations;
use crate::window::fault_verdicts::FaultVerdicts;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kernel::{
    prelude::*,
    sync::{Arc, Mutex},
    workqueue::Work,
};

/// A wait queue for each slot.
#[pin_data]
pub(crate) struct Workers {
    #[pin]
    queues: [WaitQueue; MAX_SLOTS],
}

impl Workers {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            queues <- pin_init::pin_init_array_from_fn(|_| {
                WaitQueue::new(c"mcctrl worker", kernel::static_lock_class!())
            }),
        })
    }

    /// The queue in which the worker of slot `slot` sleeps.
    pub(crate) fn get(&self, slot: usize) -> Option<&WaitQueue> {
        self.queues.get(slot)
    }
}

/// One mcexec process and the program it stands for; the module's documentation draws its life.
#[pin_data]
pub(crate) struct Proxy {
    /// The instance that the program runs on.
    pub(crate) instance: Arc<Instance>,
    /// The mcexec process.
    owner: ProcessId,
    /// The user who pays for it: the real one when it came to be, in the initial user namespace.
    pub(crate) user: u32,
    /// Linux sees no page of the program but those that it touches: what its user has pinned keeps too many others.
    shows_single_pages: AtomicBool,
    /// Lowest address of the window.
    pub(crate) window_start: u64,
    cpu: AtomicU32,
    /// The co-kernel's handle, 0 before there is one.
    handle: AtomicU32,
    root: AtomicU64,
    /// Physical addresses of the shared pages, 0 for those not known (yet).
    slots: [AtomicU64; SHARED_PAGES],
    started: AtomicBool,
    released: AtomicBool,
    freed: AtomicBool,
    /// Guards the address space.
    #[pin]
    pub(crate) memory: Revocable,
    /// Workers asleep, by slot.
    pub(crate) workers: Pin<KVBox<Workers>>,
    /// The control thread asleep.
    #[pin]
    pub(crate) control: WaitQueue,
    /// Slots whose worker shall interrupt its call; the control thread passes it on.
    pub(crate) cancelled: [AtomicU64; MAX_SLOTS / 64],
    /// Whether the co-kernel was told that mcexec is stopped.
    pub(crate) frozen: AtomicBool,
    /// Shown by the slots' mapping after the instance is gone: free slots, so that workers come
    /// to sleep here and learn it.
    pub(crate) afterlife: PageRef,
    /// Linux's vdso pages that the program has mapped.
    pub(crate) vdso: Arc<KVec<PageRef>>,
    /// Faults the co-kernel refused.
    pub(crate) fault_verdicts: IrqLock<FaultVerdicts>,
    /// Files that the program has mapped privately; gone with the window.
    files: IrqLock<Option<Arc<MappedFiles>>>,
    /// Held while the co-kernel is told of a signal.
    #[pin]
    pub(crate) signalling: Mutex<()>,
    /// Revocations to be performed.
    pub(crate) revocations: IrqLock<Revocations>,
    /// The time at which the co-kernel was told that the window is gone.
    pub(crate) reaping: IrqLock<Option<HeartbeatTimeout>>,
    /// Whether the window is its parent's, after vfork.
    borrows_window: AtomicBool,
    /// The pages of Linux that the program sees.
    #[pin]
    pub(crate) mirror: Mirror<Self>,
    #[pin]
    pub(crate) revoke_work: Work<Proxy>,
    /// Revocations that a worker carries out which was interrupted.
    pub(crate) revoke_task_work: TaskWork<Proxy>,
}

kernel::impl_has_work! {
    impl HasWork<Self> for Proxy { self.revoke_work }
}

impl Proxy {
    /// A proxy of the calling process, not yet known to anybody.
    pub(crate) fn new(
        instance: Arc<Instance>,
        window_start: u64,
        vdso: Arc<KVec<PageRef>>,
    ) -> Result<Arc<Self>> {
        let owner = ProcessId::current()?;
        let os = instance.os;
        let afterlife = PageRef::zeroed()?;
        let revocations = Revocations::new()?;
        let files = MappedFiles::new()?;
        let workers = KVBox::pin_init(Workers::new(), GFP_KERNEL)?;
        Arc::pin_init(
            pin_init!(Self {
                instance,
                owner,
                user: task::current_user(),
                shows_single_pages: AtomicBool::new(false),
                window_start,
                cpu: AtomicU32::new(0),
                handle: AtomicU32::new(0),
                root: AtomicU64::new(0),
                slots: [const { AtomicU64::new(0) }; SHARED_PAGES],
                started: AtomicBool::new(false),
                released: AtomicBool::new(false),
                freed: AtomicBool::new(false),
                memory <- Revocable::new(os),
                workers,
                control <- WaitQueue::new(c"mcctrl control", kernel::static_lock_class!()),
                cancelled: [const { AtomicU64::new(0) }; MAX_SLOTS / 64],
                frozen: AtomicBool::new(false),
                afterlife,
                vdso,
                fault_verdicts: IrqLock::new(FaultVerdicts::new()),
                files: IrqLock::new(Some(files)),
                signalling <- kernel::new_mutex!((), "mcctrl signalling"),
                revocations: IrqLock::new(revocations),
                reaping: IrqLock::new(None),
                borrows_window: AtomicBool::new(false),
                mirror <- Mirror::new(),
                revoke_work <- kernel::new_work!("mcctrl revoke"),
                revoke_task_work: TaskWork::new(),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether `process` is this proxy's mcexec and still has its window.
    pub(crate) fn serves(&self, process: &ProcessId) -> bool {
        self.owner == *process && !self.is_released()
    }

    /// Whether the current task is one of mcexec's.
    pub(crate) fn is_current(&self) -> bool {
        ProcessId::current().is_ok_and(|process| process == self.owner)
    }

    /// The co-kernel CPU that messages about this process go to.
    pub(crate) fn cpu(&self) -> u32 {
        self.cpu.load(Ordering::Relaxed)
    }

    /// Chooses the CPU; before the proxy is known to anybody.
    pub(crate) fn set_cpu(&self, cpu: u32) {
        self.cpu.store(cpu, Ordering::Relaxed);
    }

    /// The co-kernel created the process.
    pub(crate) fn born(&self, handle: u32, root: u64, slots: u64) {
        self.root.store(root, Ordering::Relaxed);
        self.set_slots(0, slots);
        self.handle.store(handle, Ordering::Release);
    }

    /// The co-kernel's handle; 0 if it does not know the process.
    pub(crate) fn handle(&self) -> u32 {
        self.handle.load(Ordering::Acquire)
    }

    /// Physical address of the program's top-level page table; `None` before it is born.
    pub(crate) fn root(&self) -> Option<u64> {
        (self.handle() != 0).then(|| self.root.load(Ordering::Relaxed))
    }

    /// Physical address of page `page` of the shared pages, slots first; `None` if that is not known.
    pub(crate) fn slots(&self, page: usize) -> Option<u64> {
        let word = self.slots.get(page)?.load(Ordering::Acquire);
        (self.handle() != 0 && word != 0).then_some(word)
    }

    /// Page `page` of the shared pages lies at physical address `slots`.
    pub(crate) fn set_slots(&self, page: usize, slots: u64) {
        if let Some(word) = self.slots.get(page) {
            word.store(slots, Ordering::Release);
        }
    }

    /// Notes that the worker of slot `slot` shall interrupt its call. Any context.
    pub(crate) fn cancel(&self, slot: usize) {
        if let Some(word) = self.cancelled.get(slot / 64) {
            word.fetch_or(1 << (slot % 64), Ordering::AcqRel);
            self.control.wake_all();
        }
    }

    /// Whether some worker shall interrupt its call.
    pub(crate) fn has_cancelled(&self) -> bool {
        self.cancelled
            .iter()
            .any(|word| word.load(Ordering::Acquire) != 0)
    }

    /// Takes one slot whose worker shall interrupt its call.
    pub(crate) fn take_cancelled(&self) -> Option<u32> {
        (0..).zip(&self.cancelled).find_map(|(index, word)| {
            let bit = word.load(Ordering::Acquire).trailing_zeros();
            let mask = 1_u64.checked_shl(bit)?;
            let taken = word.fetch_and(!mask, Ordering::AcqRel) & mask != 0;
            taken.then_some(index * 64 + bit)
        })
    }

    /// `true` once, if the program was born.
    pub(crate) fn start_once(&self) -> bool {
        self.handle() != 0 && !self.started.swap(true, Ordering::AcqRel)
    }

    /// Whether no mapping and no descriptor of the window exists any more.
    pub(crate) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// The window is gone, and with it what is mirrored and mapped there. Sleeps.
    pub(super) fn set_released(&self) {
        self.released.store(true, Ordering::Release);
        self.mirror.end();
        let files = self.files.lock().take();
        drop(files);
    }

    /// Whether the co-kernel has forgotten the process, or never knew it.
    pub(crate) fn is_unknown_to_cokernel(&self) -> bool {
        self.handle() == 0 || self.freed.load(Ordering::Acquire)
    }

    /// The files that the program has mapped privately. ESRCH if the window is gone.
    pub(crate) fn files(&self) -> Result<Arc<MappedFiles>> {
        self.files.lock().clone().ok_or(ESRCH)
    }

    /// Whether Linux sees no page but those that it touches.
    pub(crate) fn shows_single_pages(&self) -> bool {
        self.shows_single_pages.load(Ordering::Relaxed)
    }

    /// From now on.
    pub(crate) fn show_single_pages(&self, single: bool) {
        self.shows_single_pages.store(single, Ordering::Relaxed);
    }

    /// The program's files are `files`; before it runs.
    pub(crate) fn set_files(&self, files: Arc<MappedFiles>) {
        let before = self.files.lock().replace(files);
        drop(before);
    }

    /// The window is its parent's.
    pub(crate) fn borrow_window(&self) {
        self.borrows_window.store(true, Ordering::Relaxed);
    }

    /// Whether the window is its parent's.
    pub(crate) fn borrows_window(&self) -> bool {
        self.borrows_window.load(Ordering::Relaxed)
    }

    /// The co-kernel has forgotten the process. Any context.
    pub(crate) fn set_freed(&self) {
        self.freed.store(true, Ordering::Release);
    }

    /// Has mcexec die of SIGKILL. Any context.
    pub(crate) fn kill(&self) {
        self.owner.kill();
    }

    /// Wakes everybody who sleeps on behalf of this process.
    pub(crate) fn wake_everybody(&self) {
        for worker in &self.workers.queues {
            worker.wake_all();
        }
        self.control.wake_all();
        self.mirror.wake();
    }

    /// Sends `message`, made from the handle, to the process's CPU. ESRCH before it is born.
    pub(crate) fn tell(&self, message: impl FnOnce(u32) -> ToCokernel) -> Result {
        match self.handle() {
            0 => Err(ESRCH),
            handle => self.instance.send(self.cpu(), &message(handle)),
        }
    }
}
