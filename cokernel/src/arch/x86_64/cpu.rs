// SPDX-License-Identifier: GPL-2.0
//! The words that each CPU keeps at its GS base, and the instructions of waiting.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use ihk_ikc::layout::MAX_CPUS;

use spin::Once;

use x86_64::instructions::{hlt, interrupts};
use x86_64::registers::model_specific::GsBase;
use x86_64::VirtAddr;

use crate::addr::to_usize;

/// Offset of [`Cpu::kernel_stack`], for the entry code.
pub const KERNEL_STACK: usize = 8;
/// Offset of [`Cpu::user_stack`].
pub const USER_STACK: usize = 16;

/// One CPU's hot words; GS points here in kernel mode.
#[repr(C, align(128))]
pub struct Cpu {
    /// Address of this structure.
    this: AtomicU64,
    /// Top of the current thread's kernel stack; entries from user mode start there.
    kernel_stack: AtomicU64,
    /// The user's stack pointer, for a moment of `syscall`.
    user_stack: AtomicU64,
    /// Number of the CPU inside the co-kernel.
    index: AtomicU32,
    /// Its node.
    node: AtomicU32,
    /// The running thread, which only the scheduler knows as one; the CPU owns one count of it. Null until the
    /// scheduler starts.
    current: AtomicPtr<()>,
    /// The running thread shall give the CPU away before it goes back to user mode.
    resched: AtomicBool,
    /// The Linux CPU that serves this one, plus 1; 0: any.
    server: AtomicU32,
    /// Address of the stack pointer for interrupts from user mode, in the task state segment.
    interrupt_stack: AtomicU64,
    /// Requests of other CPUs to this one, bits of [`attention`]; every turn of a spin loop looks at it.
    attention: AtomicU32,
    /// The owner of the FPU registers that the CPU holds (address of the area); 0: nobody.
    fpu_owner: AtomicUsize,
}

/// Requests to a CPU that spins.
pub mod attention {
    /// Another CPU waits for a TLB shootdown here.
    pub const SHOOTDOWN: u32 = 1 << 0;
    /// The instance is stopping. Never taken back.
    pub const STOP: u32 = 1 << 1;
}

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Cpu, kernel_stack) == KERNEL_STACK);
    assert!(offset_of!(Cpu, user_stack) == USER_STACK);
    assert!(offset_of!(Cpu, index) == 24);
    // A spin loop touches no other line than the one it finds the CPU by.
    assert!(offset_of!(Cpu, attention) < 64);
};

impl Cpu {
    const fn new() -> Self {
        Self {
            this: AtomicU64::new(0),
            kernel_stack: AtomicU64::new(0),
            user_stack: AtomicU64::new(0),
            index: AtomicU32::new(0),
            node: AtomicU32::new(0),
            current: AtomicPtr::new(core::ptr::null_mut()),
            resched: AtomicBool::new(false),
            server: AtomicU32::new(0),
            interrupt_stack: AtomicU64::new(0),
            attention: AtomicU32::new(0),
            fpu_owner: AtomicUsize::new(0),
        }
    }

    /// Number of the CPU inside the co-kernel.
    #[inline]
    pub fn index(&self) -> u32 {
        self.index.load(Ordering::Relaxed)
    }

    /// NUMA node.
    pub fn node(&self) -> u32 {
        self.node.load(Ordering::Relaxed)
    }

    /// The Linux CPU that serves this one, plus 1; 0: any.
    #[inline]
    pub fn server(&self) -> u32 {
        self.server.load(Ordering::Relaxed)
    }

    /// Notes what [`Self::server`] says. The CPU itself, at boot.
    pub fn set_server(&self, server: u32) {
        self.server.store(server, Ordering::Relaxed);
    }

    /// The running thread, as the scheduler stored it.
    #[inline]
    pub fn current(&self) -> *mut () {
        self.current.load(Ordering::Relaxed)
    }

    /// Asks the running thread to give the CPU away before it goes back to user mode.
    pub fn request_resched(&self) {
        self.resched.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    #[inline]
    pub fn is_resched_requested(&self) -> bool {
        self.resched.load(Ordering::Relaxed)
    }

    /// Takes the request. Only this CPU changes it, so no exchange is needed.
    pub fn take_resched(&self) -> bool {
        let requested = self.is_resched_requested();
        self.resched.store(false, Ordering::Relaxed);
        requested
    }

    /// The owner of the FPU registers that the CPU holds.
    pub(super) fn fpu_owner(&self) -> &AtomicUsize {
        &self.fpu_owner
    }

    /// Remembers the field of this CPU's task state segment from which interrupts from user mode take
    /// their stack.
    pub(super) fn set_interrupt_stack(&self, slot: *mut u64) {
        self.interrupt_stack
            .store(slot.expose_provenance() as u64, Ordering::Relaxed);
    }

    /// Stores the running thread and its stack; the old thread.
    ///
    /// # Safety
    ///
    /// This is the CPU that runs, `thread` is what its reader takes it for, and the stack that ends at
    /// `kernel_stack` is the thread's own.
    pub unsafe fn set_current(&self, thread: *mut (), kernel_stack: u64) -> *mut () {
        self.kernel_stack.store(kernel_stack, Ordering::Relaxed);
        let slot = to_usize(self.interrupt_stack.load(Ordering::Relaxed));
        let slot = core::ptr::with_exposed_provenance_mut::<u64>(slot);
        // SAFETY: set by `set_interrupt_stack` to a field of this CPU's task state segment, which
        // nobody else writes and the CPU reads only on the next interrupt from user mode.
        unsafe { slot.write_unaligned(kernel_stack) };
        let old = self.current.load(Ordering::Relaxed);
        self.current.store(thread, Ordering::Relaxed);
        old
    }
}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];
static COUNT: AtomicU32 = AtomicU32::new(0);
/// Does what [`attention`] asks for.
static ATTEND: Once<fn(u32)> = Once::new();

/// Makes GS point to CPU `index`'s words. That CPU, first of all.
///
/// # Safety
///
/// No other CPU has this number.
pub(super) unsafe fn init(index: u32, node: u32, count: u32) {
    let cpu = &CPUS[index as usize];
    let address = core::ptr::from_ref(cpu).expose_provenance() as u64;
    cpu.this.store(address, Ordering::Relaxed);
    cpu.index.store(index, Ordering::Relaxed);
    cpu.node.store(node, Ordering::Relaxed);
    COUNT.store(count, Ordering::Relaxed);
    // SAFETY: these are the words of this CPU from now on.
    unsafe { load_base(address) };
}

/// Points GS to this CPU's words.
///
/// # Safety
///
/// They are at `address`, as [`base`] has said, or will say.
pub(super) unsafe fn load_base(address: u64) {
    GsBase::write(VirtAddr::new(address));
}

/// Address of this CPU's words.
pub(super) fn base() -> u64 {
    this_cpu().this.load(Ordering::Relaxed)
}

/// NUMA node of the CPU this runs on.
pub fn cpu_node() -> u32 {
    this_cpu().node()
}

/// The words of the CPU this runs on. Threads move only where they block, so the answer holds
/// until then.
#[inline]
pub fn this_cpu() -> &'static Cpu {
    let address: usize;
    // SAFETY: GS points to this CPU's `Cpu` from `init` on, whose first word is its own address.
    unsafe {
        core::arch::asm!("mov {}, gs:[0]", out(reg) address, options(nostack, readonly, preserves_flags));
    }
    // SAFETY: as above; `CPUS` is static.
    unsafe { &*core::ptr::with_exposed_provenance::<Cpu>(address) }
}

/// Number of the CPU this runs on.
#[inline]
pub fn cpu_index() -> u32 {
    this_cpu().index()
}

/// The number of CPUs of the instance.
pub fn cpu_count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// From now on `attend` does what [`attention`] asks a spinning CPU for. The boot CPU, once.
pub fn set_attention_handler(attend: fn(u32)) {
    ATTEND.call_once(|| attend);
}

/// Asks CPU `cpu` for `what`, bits of [`attention`]: it sees that at its next turn of a spin loop. A full
/// barrier: what was written before is seen then, too.
pub fn request_attention(cpu: u32, what: u32) {
    CPUS[cpu as usize]
        .attention
        .fetch_or(what, Ordering::SeqCst);
}

/// One turn of a spin loop: PAUSE, and a look whether another CPU waits for a TLB shootdown here,
/// or whether the instance is stopping: both ask for [`attention`].
#[inline]
pub fn relax() {
    core::hint::spin_loop();
    if this_cpu().attention.load(Ordering::Relaxed) != 0 {
        attend();
    }
}

#[cold]
#[inline(never)]
fn attend() {
    let attention = &this_cpu().attention;
    // Taken back before it is served: who asks meanwhile asks once more.
    let wanted = attention.fetch_and(attention::STOP, Ordering::SeqCst);
    if let Some(attend) = ATTEND.get() {
        attend(wanted);
    }
}

/// Sleeps until the next interrupt was handled. The caller has interrupts off, holds no lock, and
/// has seen that there is nothing to do: an interrupt that comes after the look wakes the `hlt`.
pub fn wait_for_interrupt() {
    interrupts::enable_and_hlt();
    interrupts::disable();
}

/// Lets interrupts in that wait.
pub fn take_interrupts() {
    interrupts::enable();
    // Interrupts are let in behind the instruction that follows.
    x86_64::instructions::nop();
    interrupts::disable();
}

/// The CPU's end.
pub fn halt_forever() -> ! {
    loop {
        interrupts::disable();
        hlt();
    }
}
