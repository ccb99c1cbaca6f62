// SPDX-License-Identifier: GPL-2.0
//! An `Instance`: a running co-kernel as mcctrl sees it, from `attach` to `detach`.

use crate::ffi::errno;
use crate::ffi::ihk::{self, Frame, Partition};
use crate::ffi::irq_lock::IrqLock;
use crate::ffi::page::Hold;
use crate::ffi::task::ProcessId;
use crate::ffi::wait::Until;
use crate::files::versions::FileVersions;
use crate::process::answer::Answer;
use crate::process::heartbeat::HeartbeatTimeout;
use crate::process::proxy::Proxy;
use crate::process::reaper_state::Reaper;
use crate::process::requests::{Requests, Ticket};
use crate::proto::exposed::{self, FrameRun};
use crate::proto::packet::ToCokernel;
use crate::revoke::access::Revocable;
use crate::revoke::pin_list::Pins;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use kernel::{
    prelude::*,
    sync::{Arc, Mutex},
    time::{delay::fsleep, Delta},
    workqueue::DelayedWork,
};

/// A running co-kernel.
#[pin_data]
pub(crate) struct Instance {
    /// Its number: N of /dev/mcosN.
    pub(crate) os: u32,
    /// The number of its CPUs.
    pub(crate) cpu_count: u32,
    gone: AtomicBool,
    /// Guards the partition as a whole.
    #[pin]
    pub(crate) memory: Revocable,
    /// Held from filling a mailbox until the answer came.
    #[pin]
    pub(crate) creating: Mutex<()>,
    proxies: IrqLock<KVec<Arc<Proxy>>>,
    /// Open questions.
    pub(crate) requests: Requests,
    /// Held for one look at a frame, and to begin an insertion.
    looking: IrqLock<()>,
    insertions_begun: AtomicU64,
    insertions_ended: AtomicU64,
    /// Frames that somebody held when they were revoked.
    #[pin]
    pub(crate) pins: Mutex<Pins>,
    /// The files whose pages the co-kernel may have kept.
    #[pin]
    pub(crate) file_versions: Mutex<FileVersions>,
    /// Whether somebody reaps proxies and looks after pins.
    #[pin]
    pub(crate) reaper: Reaper,
    #[pin]
    pub(crate) reaper_work: DelayedWork<Instance>,
}

kernel::impl_has_delayed_work! {
    impl HasDelayedWork<Self> for Instance { self.reaper_work }
}

impl Instance {
    /// Instance `os`, which has just been attached.
    pub(crate) fn new(os: u32) -> Result<Arc<Self>> {
        let requests = Requests::new()?;
        let cpu_count = ihk::cpu_count(os);
        Arc::pin_init(
            pin_init!(Self {
                os,
                cpu_count,
                gone: AtomicBool::new(false),
                memory <- Revocable::new(*os),
                creating <- kernel::new_mutex!((), "mcctrl creating"),
                proxies: IrqLock::new(KVec::new()),
                requests,
                looking: IrqLock::new(()),
                insertions_begun: AtomicU64::new(0),
                insertions_ended: AtomicU64::new(0),
                pins <- kernel::new_mutex!(Pins::new(), "mcctrl pins"),
                file_versions <- kernel::new_mutex!(FileVersions::new(), "mcctrl file versions"),
                reaper <- Reaper::new(),
                reaper_work <- kernel::new_delayed_work!("mcctrl reaper"),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether it is going away or gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// `detach`: when it returns, nothing of the partition is mapped, nobody waits, and nobody
    /// touches the partition again. Sleeps.
    pub(crate) fn detach(&self) {
        self.gone.store(true, Ordering::SeqCst);
        self.requests.fail_all(errno::shutdown());
        // A round forgets proxies, and the walks would miss the one behind.
        self.reaper.dismiss();
        self.for_each_proxy(|proxy| proxy.wake_everybody());
        self.memory.revoke();
        self.for_each_proxy(|proxy| proxy.memory.revoke());
        // Proxies and instance refer to each other; this ends the circle.
        let proxies = core::mem::take(&mut *self.proxies.lock());
        drop(proxies);
        self.pins.lock().forget_all();
    }

    // ---- its proxies ----

    /// Takes `proxy` in and chooses its CPU: `wanted_cpu`, or the one with the fewest programs if
    /// negative. EBUSY if the process has one already, EINVAL if there is no such CPU, ESRCH if
    /// the instance is going away.
    pub(crate) fn admit(&self, proxy: &Arc<Proxy>, wanted_cpu: i32) -> Result {
        let process = ProcessId::current()?;
        let mut proxies = self.proxies.lock();
        if self.is_gone() {
            return Err(ESRCH);
        }
        if proxies.iter().any(|other| other.serves(&process)) {
            return Err(EBUSY);
        }
        let load = |cpu: &u32| proxies.iter().filter(|other| other.cpu() == *cpu).count();
        let cpu = match u32::try_from(wanted_cpu) {
            Ok(cpu) if cpu < self.cpu_count => cpu,
            Ok(_) => return Err(EINVAL),
            Err(_) => (0..self.cpu_count).min_by_key(load).ok_or(ESRCH)?,
        };
        proxy.set_cpu(cpu);
        proxies.push(proxy.clone(), GFP_ATOMIC)?;
        Ok(())
    }

    /// Forgets `proxy`.
    pub(crate) fn disown(&self, proxy: &Arc<Proxy>) {
        let mut proxies = self.proxies.lock();
        let position = proxies.iter().position(|other| Arc::ptr_eq(other, proxy));
        let forgotten = position.and_then(|index| proxies.remove(index).ok());
        drop(proxies);
        drop(forgotten);
    }

    /// The proxy of the calling process.
    pub(crate) fn proxy_of_current(&self) -> Result<Arc<Proxy>> {
        let process = ProcessId::current()?;
        self.find_proxy(|proxy| proxy.serves(&process)).ok_or(ESRCH)
    }

    /// Hands the proxy of `handle` to `visit`, with interrupts off: `visit` must be short.
    pub(crate) fn with_proxy<R>(
        &self,
        handle: u32,
        visit: impl FnOnce(&Arc<Proxy>) -> R,
    ) -> Option<R> {
        let proxies = self.proxies.lock();
        proxies
            .iter()
            .find(|proxy| handle != 0 && proxy.handle() == handle)
            .map(visit)
    }

    /// The first proxy that `wanted` says yes to; interrupts are off meanwhile.
    pub(crate) fn find_proxy(&self, wanted: impl Fn(&Proxy) -> bool) -> Option<Arc<Proxy>> {
        self.proxies
            .lock()
            .iter()
            .find(|proxy| wanted(proxy))
            .cloned()
    }

    /// Hands every proxy to `visit`, which may sleep. Proxies that come or go meanwhile may be
    /// missed or met twice.
    pub(crate) fn for_each_proxy(&self, mut visit: impl FnMut(&Arc<Proxy>)) {
        for index in 0.. {
            let proxy = self.proxies.lock().get(index).cloned();
            let Some(proxy) = proxy else { return };
            visit(&proxy);
        }
    }

    /// The number of programs that have a window.
    pub(crate) fn program_count(&self) -> u32 {
        let proxies = self.proxies.lock();
        u32::try_from(proxies.iter().filter(|proxy| !proxy.is_released()).count())
            .unwrap_or(u32::MAX)
    }

    // ---- messages ----

    /// Sends `message` to `cpu`; waits while the ring is full and the CPU shows that it lives.
    /// ESHUTDOWN if the instance is gone or now declared hung. Process context.
    pub(crate) fn send(&self, cpu: u32, message: &ToCokernel) -> Result {
        let mut timeout = HeartbeatTimeout::new(self.os, cpu);
        loop {
            match ihk::try_send(self.os, cpu, message) {
                Err(EAGAIN) if !timeout.has_expired() => fsleep(Delta::from_micros(100)),
                Err(EAGAIN) => {
                    self.declare_hung("no room in its message ring, though it beats");
                    return Err(errno::shutdown());
                }
                Err(ENODEV) => return Err(errno::shutdown()),
                other => return other,
            }
        }
    }

    /// Opens a question. While there are too many, it waits for others to be answered, which they are, or the
    /// instance is declared hung. EINTR if `until` ends that.
    fn open_question(&self, until: Until) -> Result<Ticket<'_>> {
        loop {
            match self.requests.open() {
                Err(EAGAIN) if self.is_gone() => return Err(errno::shutdown()),
                Err(EAGAIN) if until.is_over() => return Err(EINTR),
                Err(EAGAIN) => fsleep(Delta::from_micros(100)),
                other => return other,
            }
        }
    }

    /// Asks CPU `cpu` a question and sleeps until the answer comes. EINTR if `until` ended the
    /// sleep; no answer before the heartbeat times out means hung, ESHUTDOWN.
    pub(crate) fn ask(
        &self,
        cpu: u32,
        until: Until,
        question: impl FnOnce(u64) -> ToCokernel,
    ) -> Result<Answer> {
        let ticket = self.open_question(until)?;
        if self.is_gone() {
            return Err(errno::shutdown());
        }
        let mut timeout = HeartbeatTimeout::new(self.os, cpu);
        self.send(cpu, &question(ticket.token()))?;
        loop {
            match ticket.wait(until) {
                Err(ETIMEDOUT) if timeout.has_expired() => {
                    self.declare_hung("no answer to a request, though it beats");
                    return Err(errno::shutdown());
                }
                Err(ETIMEDOUT) => {}
                other => return other,
            }
        }
    }

    /// The co-kernel broke its promises: have it reset.
    pub(crate) fn declare_hung(&self, reason: &str) {
        if !self.is_gone() {
            pr_err!("os {}: {}\n", self.os, reason);
            ihk::declare_hung(self.os, reason);
        }
    }

    // ---- mappings and pins ----

    /// Announces that mappings of partition frames are being added, until the value is dropped.
    pub(crate) fn begin_insertion(&self) -> Insertion<'_> {
        let _not_while_somebody_looks = self.looking.lock();
        self.insertions_begun.fetch_add(1, Ordering::SeqCst);
        Insertion(self)
    }

    /// Returns what holds `frame` on Linux's side; if nothing does, its bit is cleared. Mappings
    /// that are just being added anywhere in the instance make a look uncertain, which counts as
    /// pinned. The caller has dropped the mappings of one address space; others may share the
    /// frame.
    pub(crate) fn conceal_if_free(&self, partition: &Partition<'_>, frame: Frame) -> Hold {
        const LOOKS: u32 = 3;
        (0..LOOKS)
            .find_map(|_| self.look(partition, frame))
            .unwrap_or(Hold::Pinned)
    }

    /// Takes the marks off those frames of `run` that nothing on Linux's side holds. Uncertainty
    /// leaves marks behind, which cost time when the frames are revoked. The caller's own pins are
    /// gone.
    pub(crate) fn conceal_free(&self, partition: &Partition<'_>, run: FrameRun) {
        for (word, mask) in exposed::words_of(run) {
            let marked = partition.marks(word, mask);
            if marked == 0 {
                continue;
            }
            let _no_new = self.looking.lock();
            let ended = self.insertions_ended.load(Ordering::SeqCst);
            if self.insertions_begun.load(Ordering::SeqCst) == ended {
                partition.conceal_free(word, marked);
            }
        }
    }

    /// One look; `None` if it is uncertain. No insertion begins meanwhile: one that did could map
    /// the frame between the look and the clearing of its bit.
    fn look(&self, partition: &Partition<'_>, frame: Frame) -> Option<Hold> {
        let _no_new = self.looking.lock();
        let ended = self.insertions_ended.load(Ordering::SeqCst);
        let quiet = self.insertions_begun.load(Ordering::SeqCst) == ended;
        let hold = partition.hold(frame);
        if hold == Hold::Mapped {
            return Some(hold);
        }
        if quiet && hold == Hold::None {
            partition.conceal(frame);
        }
        quiet.then_some(hold)
    }
}

/// An insertion of mappings under way, begun by [`Instance::begin_insertion`].
pub(crate) struct Insertion<'a>(&'a Instance);

impl Drop for Insertion<'_> {
    fn drop(&mut self) {
        self.0.insertions_ended.fetch_add(1, Ordering::SeqCst);
    }
}
