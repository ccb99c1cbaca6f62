// SPDX-License-Identifier: GPL-2.0
//! Inter-kernel communication: the packets of this CPU's channel, and doorbells both ways. Hop 4a of a
//! delegated call whose worker sleeps.
//!
//! Ring rule: a CPU's `to_cokernel` ring always asks for the doorbell, except while the idle loop
//! polls it. Linux's side always wants the doorbell.

#[expect(
    unsafe_code,
    reason = "what Linux reserved for the instance becomes typed references, once"
)]
mod map;

use core::sync::atomic::{AtomicBool, Ordering};

use ihk_ikc::control::{command, InstanceControl};
use ihk_ikc::layout::MAX_CPUS;
use ihk_ikc::packet::{Packet, ToCokernel, ToLinux};
use ihk_ikc::ring::{Doorbell, Ring, RingError};
use spin::Once;

use crate::arch::time::{self, Deadline};
use crate::arch::{self, apic};
use crate::klog;
use crate::params::Params;

pub use map::mailbox;

/// The longest time that a full ring may stay full, in µs: Linux drains it in an interrupt handler.
const FULL_LIMIT_US: u64 = 10_000_000;

/// The handlers of Linux's packets, which belong to higher floors.
#[derive(Clone, Copy)]
pub struct Handlers {
    /// Does what a packet says, on the CPU whose channel it came through, which is the second argument. The
    /// caller holds no lock.
    pub packet: fn(ToCokernel, u32),
    /// Stops the instance.
    pub shutdown: fn() -> !,
    /// Has the timer interrupt this CPU after so many nanoseconds, and [`resume`] be called.
    pub look_again: fn(u64),
}

/// The time that handling packets may take at a stretch while a program wants the CPU, and how long it waits then.
const TURN_US: u64 = 50;
const PAUSE_NS: u64 = 100_000;

static HANDLERS: Once<Handlers> = Once::new();

/// Checks and maps control words and channels; from now on `handlers` do what Linux says. The boot CPU, once,
/// after the ranges of the partition.
pub fn init(params: Params, handlers: Handlers) {
    map::init(params);
    time::follow(&control().clock);
    HANDLERS.call_once(|| handlers);
}

/// The control words. Panics before [`init`].
pub fn control() -> &'static InstanceControl {
    map::control().expect("control words are used before they are mapped")
}

/// The control words, if they are there already.
pub fn try_control() -> Option<&'static InstanceControl> {
    map::control()
}

/// Says `state` to Linux.
pub fn set_state(state: u32) {
    control().state.store(state, Ordering::Release);
}

/// Shows Linux that this CPU lives.
pub fn beat() {
    let beats = &control().heartbeats[arch::cpu_index() as usize];
    // One writer: a plain addition is enough.
    beats.store(
        beats.load(Ordering::Relaxed).wrapping_add(1),
        Ordering::Relaxed,
    );
}

/// Shows Linux that this CPU has taken a non-maskable interrupt.
pub fn count_nmi() {
    if let Some(control) = try_control() {
        control.nmis[arch::cpu_index() as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Between two bounded parts of long work: shows that this CPU lives, and handles what waits for it. Not for
/// loops that only wait: they would look alive for ever.
pub fn breathe() {
    beat();
    poll();
}

/// Sends `message` and rings the Linux CPU that serves this one, or the default one. Any CPU, interrupts off.
pub fn send(message: &ToLinux) {
    send_ringing(message, None);
}

/// Sends `message` and rings `linux_cpu`, or the default CPU if that one cannot be rung.
pub fn send_ringing(message: &ToLinux, linux_cpu: Option<u32>) {
    let ring = map::channel(arch::cpu_index()).to_linux;
    let deadline = Deadline::after_us(FULL_LIMIT_US);
    let packet = message.encode();
    loop {
        match ring.push(&packet) {
            Ok(Doorbell::Ring) => return ring_linux(linux_cpu),
            Ok(Doorbell::NotNeeded) => return,
            Err(RingError::Full) if !deadline.passed() => {
                // Linux is slow, not this CPU: our heartbeat must go on,
                // or those who wait for us give us up before we give Linux up.
                beat();
                ring_linux(None);
                arch::relax();
            }
            Err(error) => panic!("Linux broke the ring to it: {error:?}"),
        }
    }
}

/// Rings Linux CPU `linux_cpu`; for `None` the one that serves this CPU. The default one if there is
/// none, or it cannot be rung.
pub fn ring_linux(linux_cpu: Option<u32>) {
    let control = control();
    let target = |cpu: u32| match control.doorbells.get(cpu as usize) {
        Some(word) => word.load(Ordering::Acquire),
        None => 0,
    };
    let default = || target(control.default_linux_cpu.load(Ordering::Relaxed));
    let server = || arch::this_cpu().server().checked_sub(1);
    let doorbell = match linux_cpu.or_else(server).map(target) {
        None | Some(0) => default(),
        Some(doorbell) => doorbell,
    };
    if doorbell != 0 {
        apic::send(doorbell);
    }
}

/// Handles packets that wait for this CPU: all, unless that takes long. Whether none is left. The caller holds no
/// lock and may be any thread.
pub fn drain() -> bool {
    obey();
    let ring = own_ring();
    let mut end = None;
    loop {
        match ring.pop() {
            Ok(None) => return true,
            Ok(Some(packet)) => {
                let _handling = Handling::begin();
                handle(&packet);
            }
            Err(error) => panic!(
                "Linux broke the ring to CPU {}: {error:?}",
                arch::cpu_index()
            ),
        }
        // A single packet, which is the rule, needs no clock.
        if ring.has_packets() {
            let end = *end.get_or_insert_with(|| time::tsc() + time::us_to_ticks(TURN_US));
            if time::tsc() > end {
                return false;
            }
        }
    }
}

/// A doorbell: Linux has packets for this CPU. If handling them takes long, it looks at its ring only now and then
/// for a while, and the program goes on in between: whoever sends without end does not stop the others here.
pub fn on_doorbell() {
    let is_paused = &PAUSED[arch::cpu_index() as usize];
    if is_paused.load(Ordering::Relaxed) || drain() {
        return;
    }
    is_paused.store(true, Ordering::Relaxed);
    own_ring().set_awake();
    (handlers().look_again)(PAUSE_NS);
}

/// The time for a look at the ring has come, if one was ordered.
pub fn resume() {
    let is_paused = &PAUSED[arch::cpu_index() as usize];
    if is_paused.load(Ordering::Relaxed) {
        is_paused.store(false, Ordering::Relaxed);
        own_ring().request_doorbell();
        on_doorbell();
    }
}

fn handlers() -> &'static Handlers {
    HANDLERS.get().expect("packets come before their handlers")
}

fn handle(packet: &Packet) {
    match ToCokernel::decode(packet) {
        Some(message) => (handlers().packet)(message, arch::cpu_index()),
        None => klog!("ikc: unknown packet kind {}", packet.words()[0]),
    }
}

/// CPUs that look at their rings only now and then. Each is its CPU's own.
static PAUSED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// CPUs that are handling a packet.
static HANDLING: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// This CPU handles a packet, until the value is dropped. The handler does not leave the CPU.
struct Handling(&'static AtomicBool);

impl Handling {
    fn begin() -> Self {
        let mine = &HANDLING[arch::cpu_index() as usize];
        mine.store(true, Ordering::Relaxed);
        Self(mine)
    }

    fn is_under_way() -> bool {
        HANDLING[arch::cpu_index() as usize].load(Ordering::Relaxed)
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Whether this CPU handles a packet.
pub fn is_handling() -> bool {
    Handling::is_under_way()
}

/// For wait loops and long work: handles what waits for this CPU, if anything. Cheap when there is
/// nothing. A handler that takes long only shows that the CPU lives: handlers within handlers would
/// need a stack each.
pub fn poll() {
    if Handling::is_under_way() {
        beat();
    } else if own_ring().has_packets() || is_commanded() {
        // What is left is handled at the next look.
        let _ = drain();
    }
}

/// This CPU's ring from Linux.
pub fn own_ring() -> &'static Ring {
    map::channel(arch::cpu_index()).to_cokernel
}

fn is_commanded() -> bool {
    control().command.load(Ordering::Relaxed) != command::NONE
}

/// Does what [`InstanceControl::command`] says; returns if it says nothing.
fn obey() {
    if control().command.load(Ordering::Acquire) == command::SHUTDOWN {
        klog!("shutdown: told by Linux");
        (handlers().shutdown)();
    }
}
