// SPDX-License-Identifier: GPL-2.0
//! Flushing the translation look-aside buffers of all CPUs that run in an address space (TLB shootdown).
//!
//! A shootdown is a request in one shared place, a bit per CPU that must serve it, and an IPI.
//! CPUs spin with interrupts off, so every spin serves requests ([`crate::arch::relax`] calls [`serve`]).
//! Lock order: everything else before REQUEST; its holder waits for all CPUs asked.

use core::sync::atomic::{AtomicU64, Ordering};

use ihk_ikc::layout::MAX_CPUS;
use x86_64::PhysAddr;

use crate::arch::pte::{self, PageSize};
use crate::arch::time::Deadline;
use crate::arch::{self, apic, attention, tlb};
use crate::sync::SpinLock;

/// The longest time that a shootdown may take.
const LIMIT_US: u64 = 5_000_000;

/// A set of CPUs that many may change at once.
struct CpuSet([AtomicU64; MAX_CPUS / 64]);

impl CpuSet {
    /// No CPU.
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; MAX_CPUS / 64])
    }

    /// Adds `cpu`; a full barrier.
    fn add(&self, cpu: u32) {
        self.0[cpu as usize / 64].fetch_or(1 << (cpu % 64), Ordering::SeqCst);
    }

    /// Removes `cpu`; a full barrier.
    fn remove(&self, cpu: u32) {
        self.0[cpu as usize / 64].fetch_and(!(1 << (cpu % 64)), Ordering::SeqCst);
    }

    /// Whether `cpu` is in it.
    fn contains(&self, cpu: u32) -> bool {
        self.0[cpu as usize / 64].load(Ordering::SeqCst) & 1 << (cpu % 64) != 0
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Ordering::Acquire) == 0)
    }

    /// The CPUs in it now.
    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..arch::cpu_count()).filter(|cpu| self.contains(*cpu))
    }
}

/// An address space as the hardware sees it: its root and the CPUs that may have it loaded.
pub struct Space {
    root: PhysAddr,
    /// CPUs that have it loaded. Changed by the scheduler of that CPU.
    cpus: CpuSet,
}

impl Space {
    /// A space that no CPU has loaded.
    ///
    /// # Safety
    ///
    /// At `root` is a top-level table with the kernel's half, which is there until [`retire`].
    pub const unsafe fn new(root: PhysAddr) -> Self {
        Self {
            root,
            cpus: CpuSet::new(),
        }
    }

    /// Top-level table.
    pub const fn root(&self) -> PhysAddr {
        self.root
    }

    /// Loads it on this CPU.
    ///
    /// # Safety
    ///
    /// The thread that runs there keeps the page tables from being retired.
    pub unsafe fn load(&self) {
        self.cpus.add(arch::cpu_index());
        // SAFETY: by contract of `new`, and the caller's, the table is there and has the kernel's half.
        unsafe { pte::load_root(self.root) };
    }

    /// Notes that this CPU has loaded another one.
    ///
    /// # Safety
    ///
    /// It has.
    pub unsafe fn note_left(&self) {
        self.cpus.remove(arch::cpu_index());
    }
}

/// The start of the range that the CPUs in [`PENDING`] shall flush. Written under [`REQUEST`] only.
static START: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);
/// Bytes of the pages.
static STEP: AtomicU64 = AtomicU64::new(0);
/// `LEAVE` in [`END`]: who idles on the root in [`START`] shall load the kernel's own.
const LEAVE: u64 = u64::MAX;
static PENDING: CpuSet = CpuSet::new();
static REQUEST: SpinLock<()> = SpinLock::new(());

/// Flushes `[start, end)` of `space`, where no page was smaller than `size`, on every CPU that has it loaded,
/// and waits until that is done. The caller changed the tables before, with full barriers.
pub fn shootdown(space: &Space, start: u64, end: u64, size: PageSize) {
    let me = arch::cpu_index();
    if space.cpus.contains(me) {
        tlb::flush_range(start, end, size.bytes());
    }
    if space.cpus.iter().any(|cpu| cpu != me) {
        request(space, start, end, size.bytes());
    }
}

/// Makes every CPU that idles on `space` leave it for good, so that its tables can be freed.
pub fn retire(space: &Space) {
    let me = arch::cpu_index();
    if space.cpus.contains(me) {
        leave(space.root);
        space.cpus.remove(me);
    }
    if space.cpus.iter().any(|cpu| cpu != me) {
        request(space, space.root.as_u64(), LEAVE, 0);
        let others = space.cpus.iter().filter(|cpu| *cpu != me);
        others.for_each(|cpu| space.cpus.remove(cpu));
    }
}

fn request(space: &Space, start: u64, end: u64, step: u64) {
    let me = arch::cpu_index();
    let _guard = REQUEST.lock();
    START.store(start, Ordering::Relaxed);
    END.store(end, Ordering::Relaxed);
    STEP.store(step, Ordering::Relaxed);
    for other in space.cpus.iter().filter(|other| *other != me) {
        PENDING.add(other);
        arch::request_attention(other, attention::SHOOTDOWN);
        apic::send_ipi(other);
    }
    // Kernel operations are short, and every spin serves.
    let deadline = Deadline::after_us(LIMIT_US);
    while !PENDING.is_empty() {
        arch::relax();
        assert!(!deadline.passed(), "a CPU does not answer a TLB shootdown");
    }
}

/// Serves a shootdown if one waits for this CPU. Cheap when there is none.
pub fn serve() {
    let me = arch::cpu_index();
    if !PENDING.contains(me) {
        return;
    }
    let (start, end) = (START.load(Ordering::Relaxed), END.load(Ordering::Relaxed));
    if end == LEAVE {
        leave(PhysAddr::new(start));
    } else {
        tlb::flush_range(start, end, STEP.load(Ordering::Relaxed));
    }
    PENDING.remove(me);
}

fn leave(root: PhysAddr) {
    if pte::loaded_root() == root {
        // SAFETY: the kernel's own tables stay for ever.
        unsafe { pte::load_root(pte::kernel_root()) };
    }
}
