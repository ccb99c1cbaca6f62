// SPDX-License-Identifier: GPL-2.0
//! The scheduler: per-CPU queues, switch, block and wake, idle.
//!
//! A thread in a queue, and the running one, are owned by an `Arc` of that CPU; a blocked thread is
//! owned by whoever will wake it. A thread whose context is still in a CPU (`on_cpu`), or being
//! saved there, stays in that CPU's queue when it is woken; any other goes where nobody runs, if
//! its affinity allows it, and a CPU without work takes it from another's queue. So nobody runs a
//! context that is still being saved.
//! Lock order: anything → a CPU's queue → a thread's placement, the heap.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use cokernel_logic::affinity::Affinity;
use cokernel_logic::cpu_queue::{CpuQueue, Preempted};
use cokernel_logic::placement::{self, Cpus};
use cokernel_logic::runqueue::{Arrival, RunQueue, Times};
use cokernel_logic::sched_entity::Schedulable;
use spin::Once;

use crate::arch::fpu::{self, FpuState};
use crate::arch::time::{ticks_to_ns, tsc, us_to_ticks};
use crate::arch::{self, apic, context};
use crate::aspace::shootdown::Space;
use crate::cell::OwnedCell;
use crate::ikc;
use crate::sync::{PerCpuArray, SpinLock};
use crate::task::cpu_timer::SHORTEST_NS;
use crate::task::thread::{NewThread, State, Thread};
use crate::task::timer;

/// The queue of a CPU.
pub(super) type Queue = CpuQueue<Arc<Thread>, SpinLock<RunQueue<Arc<Thread>>>>;

/// One CPU's part of the scheduler.
struct Local {
    queue: Queue,
    /// For how long programs ran, ticks; without the one that runs now.
    busy_ticks: AtomicU64,
    idle: Arc<Thread>,
    /// Touched by this CPU only.
    own: OwnedCell<Own>,
}

/// Data that only the CPU itself touches.
struct Own {
    /// The address space that is loaded (also while idle: nothing is flushed for a short sleep).
    space: Option<Arc<Space>>,
    /// The thread that was just switched away from, until its successor has looked after it.
    previous: Option<Arc<Thread>>,
}

static LOCALS: Once<PerCpuArray<Local>> = Once::new();

/// Makes the queues and idle threads of `cpus` CPUs. The boot CPU, once.
pub fn init(cpus: u32) {
    LOCALS.call_once(|| {
        PerCpuArray::new(cpus, |cpu| Local {
            queue: CpuQueue::new(cpu, times()),
            busy_ticks: AtomicU64::new(0),
            idle: Thread::new_idle(cpu).expect("no memory for an idle thread"),
            own: OwnedCell::new(Own {
                space: None,
                previous: None,
            }),
        })
    });
}

/// By what threads of a CPU take turns, in ticks (decision 73).
fn times() -> Times {
    Times {
        slice: us_to_ticks(10_000),
        shortest: us_to_ticks(1000),
        round_robin: us_to_ticks(100_000),
        credit: us_to_ticks(5000),
        granularity: us_to_ticks(500),
        starved: us_to_ticks(950_000),
        served: us_to_ticks(50_000),
    }
}

/// Turns the boot code of this CPU into its idle thread, on a stack with a guard page; it goes on in `idle_loop`.
pub fn enter(idle_loop: extern "C" fn() -> !) -> ! {
    let idle = Arc::clone(&local().idle);
    let top = idle.stack().top();
    let idle = Arc::into_raw(idle).cast_mut();
    // SAFETY: the thread's stack ends at `top`, and the CPU gets the count of it.
    unsafe { arch::this_cpu().set_current(idle.cast(), top) };
    // SAFETY: nothing of the boot stack is used any more; `idle_loop` never returns.
    unsafe { context::run_on(top, idle_loop) }
}

/// The thread this runs in. Panics before [`enter`].
#[inline]
pub fn current() -> &'static Thread {
    let thread = arch::this_cpu().current().cast::<Thread>();
    assert!(!thread.is_null(), "no thread runs yet");
    // SAFETY: the CPU owns a count of the running thread, and whoever asks runs in that thread, so
    // it lives at least until the asker ends. ('static is a fiction that ends with the thread.)
    unsafe { &*thread }
}

/// Runs `body`, which must not give the CPU away, on where the running thread's FPU registers are kept
/// while it does not run.
pub fn with_fpu<R>(body: impl FnOnce(&mut FpuState) -> R) -> R {
    // SAFETY: this CPU runs the thread, and does not switch before `body` is done.
    body(unsafe { &mut current().saved().fpu })
}

/// The thread this runs in, if the scheduler runs.
pub fn try_current() -> Option<&'static Thread> {
    (!arch::this_cpu().current().is_null()).then(current)
}

/// The thread this runs in, counted.
pub fn current_arc() -> Arc<Thread> {
    let thread: *const Thread = current();
    // SAFETY: the pointer came from `Arc::into_raw`, and the CPU owns a count.
    unsafe { Arc::increment_strong_count(thread) };
    // SAFETY: as above; the count taken is handed to the new `Arc`.
    unsafe { Arc::from_raw(thread) }
}

/// A new thread of a program, which begins when it is woken; `None` without memory for its stack.
pub fn new_thread(new: NewThread) -> Option<Arc<Thread>> {
    Thread::new_user(new, first_steps)
}

/// Whether another thread waits for this CPU.
pub fn others_runnable() -> bool {
    local().queue.is_waited_for()
}

/// Waits until `condition` holds. Who makes it hold calls [`wake`] afterwards.
pub fn block(mut condition: impl FnMut() -> bool) {
    loop {
        prepare_to_block();
        if condition() {
            return cancel_block();
        }
        block_prepared(None);
    }
}

/// From here on [`wake`] counts. The caller looks at its condition next, then blocks or cancels.
pub fn prepare_to_block() {
    current().run.prepare_to_block();
}

/// The condition held: no blocking.
pub fn cancel_block() {
    let me = current();
    let is_me = |thread: &Arc<Thread>| core::ptr::eq(Arc::as_ptr(thread), me);
    let take_out = || local().queue.remove(is_me).is_some();
    me.run.cancel_block(take_out, arch::relax);
}

/// Gives the CPU away until woken, or until CLOCK_MONOTONIC reaches `deadline_ns`. `false` if the
/// deadline came first.
pub fn block_prepared(deadline_ns: Option<u64>) -> bool {
    let Some(deadline) = deadline_ns else {
        schedule();
        return true;
    };
    let ticket = timer::wake_at(deadline, current_arc());
    schedule();
    timer::cancel(ticket)
}

/// Makes a blocked thread runnable. Does nothing to one that is not blocked. Any CPU.
pub fn wake(thread: &Arc<Thread>) {
    if thread.run.wake(|| place(thread)) {
        enqueue(Arc::clone(thread), Arrival::Woken);
    }
}

/// The CPUs as a thread with this affinity may use them.
struct Allowed(Affinity);

impl Cpus for Allowed {
    #[inline]
    fn count(&self) -> u32 {
        arch::cpu_count()
    }

    #[inline]
    fn allows(&self, cpu: u32) -> bool {
        self.0.contains(cpu)
    }

    #[inline]
    fn load(&self, cpu: u32) -> usize {
        locals()[cpu].queue.load()
    }
}

/// The CPU that a woken thread goes to.
fn place(thread: &Thread) -> u32 {
    let home = thread.cpu();
    if arch::cpu_count() == 1 {
        return home;
    }
    let allowed = Allowed(thread.data.affinity());
    placement::place(&allowed, home, arch::cpu_index)
}

/// The CPU of `affinity` with the fewest threads; this one if the set is empty.
pub fn least_loaded(affinity: Affinity) -> u32 {
    placement::least_loaded(&Allowed(affinity)).unwrap_or_else(arch::cpu_index)
}

/// Moves the running thread if it may not stay where it is.
pub fn obey_affinity() {
    let affinity = current().data.affinity();
    if !affinity.contains(arch::cpu_index()) {
        migrate_current(least_loaded(affinity));
    }
}

/// Lets the others of this CPU run first, as sched_yield(2).
pub fn yield_now() {
    give_way(Arrival::Yields);
}

/// Lets all others of this CPU run first, of whatever priority: one of them may have to do what the running
/// thread waits for.
pub fn let_all_run() {
    give_way(Arrival::Waits);
}

fn give_way(arrival: Arrival) {
    if others_runnable() {
        let me = current_arc();
        me.run.set(State::Runnable);
        local().queue.push(me, arrival, tsc());
        schedule();
    }
}

/// Policy or priorities of `thread` have changed: it runs by the new ones from now on.
pub fn stands_anew(thread: &Arc<Thread>) {
    let is_it = |other: &Arc<Thread>| Arc::ptr_eq(other, thread);
    loop {
        let cpu = thread.cpu();
        let queue = &locals()[cpu].queue;
        if queue.stands_anew(is_it, thread.entity(), tsc()) {
            have_looked_at(cpu);
        }
        if thread.cpu() == cpu {
            return;
        }
    }
}

/// Moves the current thread to CPU `cpu`, where it goes on.
pub fn migrate_current(cpu: u32) {
    assert!(cpu < arch::cpu_count(), "no CPU {cpu}");
    if cpu != arch::cpu_index() {
        let me = current();
        me.run.set_cpu(cpu);
        me.run.set(State::Moving);
        schedule();
    }
}

/// The end of the running thread.
pub fn exit_current() -> ! {
    current().run.set(State::Dead);
    schedule();
    unreachable!("a dead thread ran on")
}

/// Makes the CPU of `thread` look at the thread's requests: interrupts it if the thread runs there.
pub fn kick(thread: &Thread) {
    let cpu = thread.cpu();
    if cpu != arch::cpu_index() && thread.state() == State::Running {
        apic::send_ipi(cpu);
    }
}

/// The running thread's slice is over.
pub fn request_resched() {
    arch::this_cpu().request_resched();
}

/// Before user mode: gives the CPU away if somebody else's turn has come.
pub fn resched_if_asked() {
    if arch::this_cpu().take_resched() && is_preempted() {
        give_way(Arrival::Preempted);
    }
}

/// Between two bounded parts of long work of the current thread, which holds no spin lock: shows that this CPU
/// lives, serves Linux, and lets others have the CPU if its turn is over. Within the handler of a packet only the
/// first.
pub fn breathe() {
    ikc::breathe();
    if !ikc::is_handling() && !current().is_idle() {
        arch::take_interrupts();
        resched_if_asked();
    }
}

/// Somebody may have been queued here, or an IPI says so. Who is to run now runs before user mode; else
/// the CPU is shared from now on.
pub fn note_arrival() {
    if try_current().is_some_and(|thread| !thread.is_idle()) && is_preempted() {
        request_resched();
    }
}

/// Whether somebody is to run instead of the running thread; if not, its turn will end in time.
fn is_preempted() -> bool {
    if !others_runnable() {
        return false;
    }
    match local().queue.look(tsc()) {
        Err(Preempted) => true,
        Ok(turn_left) => {
            share(turn_left);
            false
        }
    }
}

/// The running thread's turn lasts so many ticks more, if others take turns with it.
fn share(turn_left: Option<u64>) {
    if let Some(ticks) = turn_left {
        timer::set_slice(ticks_to_ns(ticks));
    }
}

fn locals() -> &'static PerCpuArray<Local> {
    LOCALS
        .get()
        .expect("the scheduler is used before it is there")
}

fn local() -> &'static Local {
    locals().this()
}

fn enqueue(thread: Arc<Thread>, arrival: Arrival) {
    let cpu = thread.cpu();
    if locals()[cpu].queue.push(thread, arrival, tsc()) {
        have_looked_at(cpu);
    }
}

/// Has CPU `cpu` look at its queue.
fn have_looked_at(cpu: u32) {
    if cpu == arch::cpu_index() {
        return note_arrival();
    }
    if locals()[cpu].queue.needs_interrupt() {
        apic::send_ipi(cpu);
    }
}

/// The queue of CPU `cpu`.
pub(super) fn queue_of(cpu: u32) -> &'static Queue {
    &locals()[cpu].queue
}

/// The idle thread gives the CPU to who waits for it. It is not queued: it comes back when nobody waits.
pub(super) fn leave_idle() {
    current().run.set(State::Runnable);
    schedule();
}

/// Runs somebody else, if there is somebody; the running thread has set its state before.
fn schedule() {
    ikc::beat();
    let local = local();
    let me = current();
    let goes_on = me.state() == State::Running;
    let (next, turn_left) = local.queue.pop(me.entity(), goes_on, tsc());
    let next = match next {
        Some(next) => next,
        None if goes_on => return,
        None => Arc::clone(&local.idle),
    };
    share(turn_left);
    next.run.set(State::Running);
    if core::ptr::eq(Arc::as_ptr(&next), me) {
        return;
    }
    switch_to(next);
    finish_switch();
}

fn switch_to(next: Arc<Thread>) {
    let me = current();
    let top = next.stack().top();
    let next = Arc::into_raw(next).cast_mut();
    // SAFETY: this CPU owns the count that was just taken out of the `Arc`.
    let incoming: &Thread = unsafe { &*next };
    // SAFETY: this CPU runs `me`.
    let old = unsafe { me.saved() };
    incoming.run.enters_cpu();
    keep_time(me, incoming);
    local().queue.set_busy(!incoming.is_idle());
    // SAFETY: this CPU took `next` out of its own queue.
    let new = unsafe { incoming.saved() };
    fpu::switch(&mut old.fpu, &new.fpu);
    context::switch_user_bases(&mut old.fs_base, &mut old.gs_base, new.fs_base, new.gs_base);
    // SAFETY: this CPU's own part.
    let own = unsafe { local().own.get_mut() };
    load_space(own, incoming);
    // SAFETY: the thread's stack ends at `top`, and the CPU gets the count of it.
    let previous = unsafe { arch::this_cpu().set_current(next.cast(), top) };
    // SAFETY: the pointer came from `Arc::into_raw`, and with it the CPU's count.
    own.previous = Some(unsafe { Arc::from_raw(previous.cast::<Thread>()) });
    // SAFETY: both contexts belong to this CPU now; the successor runs `finish_switch`.
    unsafe { context::switch(&mut old.context, &new.context) };
}

/// `me` leaves the CPU, `next` comes.
fn keep_time(me: &Thread, next: &Thread) {
    if !me.is_idle() {
        let busy = &local().busy_ticks;
        // One writer: a plain addition is enough.
        let before = busy.load(Ordering::Relaxed);
        busy.store(before + me.data.clock.stop(), Ordering::Relaxed);
    }
    if !next.is_idle() {
        next.data.clock.start();
        let process = next.process.as_ref();
        if process.is_some_and(|process| process.cpu_timers.are_armed()) {
            timer::look_after(SHORTEST_NS);
        }
    }
}

/// For how long programs have run on CPU `cpu`, without the one that runs now, ns.
pub fn busy_ns(cpu: u32) -> u64 {
    ticks_to_ns(locals()[cpu].busy_ticks.load(Ordering::Relaxed))
}

fn load_space(own: &mut Own, next: &Thread) {
    let Some(space) = next.space() else {
        return; // idle keeps what is loaded
    };
    if own
        .space
        .as_ref()
        .is_some_and(|loaded| Arc::ptr_eq(loaded, space))
    {
        return;
    }
    // SAFETY: a thread's process has the address space until its last thread has ended.
    unsafe { space.load() };
    if let Some(old) = own.space.replace(Arc::clone(space)) {
        // SAFETY: the one above.
        unsafe { old.note_left() };
    }
}

/// On the new thread's stack: looks after the thread that ran before.
fn finish_switch() {
    // SAFETY: this CPU's own part.
    let previous = unsafe { local().own.get_mut() }.previous.take();
    if let Some(previous) = previous {
        if previous.run.has_left() {
            enqueue(previous, Arrival::Moved);
        }
    }
}

/// The first thing a new thread does, on its own stack, before it goes to user mode.
extern "C" fn first_steps() {
    finish_switch();
}
