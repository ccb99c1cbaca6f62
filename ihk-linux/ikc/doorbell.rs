// SPDX-License-Identifier: GPL-2.0
//! Doorbells from co-kernels: one interrupt line per Linux CPU. The command that raises a line is
//! published to every booted instance, and again whenever Linux moves the line. Which instances there
//! are is for the [`Listener`] to say. Hop 4a of a delegated call.

use crate::ffi::irq::{self, Domain, Line};
use crate::ffi::irq_lock::HardIrqLock;
use crate::ffi::{apic, compat, cpu, hotplug};
use crate::proto::control::InstanceControl;
use crate::proto::layout::MAX_LINUX_CPUS;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use kernel::prelude::*;
use kernel::str::CString;

/// Per Linux CPU: Linux's number of its line, 0 = none.
static LINES: [AtomicU32; MAX_LINUX_CPUS] = [const { AtomicU32::new(0) }; MAX_LINUX_CPUS];
/// Per Linux CPU: how to raise its line now, as in [`InstanceControl::doorbells`].
static WORDS: [AtomicU64; MAX_LINUX_CPUS] = [const { AtomicU64::new(0) }; MAX_LINUX_CPUS];
/// Keeps a new instance from missing a move.
/// Linux tells of a move with a raw lock of its own held.
static PUBLISHING: HardIrqLock<()> = HardIrqLock::new(());

/// The booted instances, as the doorbells see them.
pub(crate) trait Listener {
    /// A co-kernel rang; which one is not known. In a line's handler.
    fn rung();

    /// Hands the control words of every booted instance to `visit`, which must not sleep. Any context.
    fn for_each_control(visit: impl FnMut(&InstanceControl));
}

/// All lines. The fields are dropped in this order: callback, lines, domain.
pub(crate) struct Doorbells {
    _cpu_came: hotplug::Callback,
    lines: KVec<Line>,
    _domain: Domain,
}

impl Doorbells {
    /// Makes a line for every CPU of the machine.
    pub(crate) fn new<L: Listener>() -> Result<Self> {
        let domain = Domain::new(moved::<L>)?;
        let mut lines = KVec::new();
        for number in (0..cpu::possible_count()).filter(|&number| cpu::exists(number)) {
            let name = CString::try_from_fmt(fmt!("ihk-doorbell{number}"))?;
            let line = Line::new(&domain, name, rung::<L>, number)?;
            introduce::<L>(number, &line);
            lines.push(line, GFP_KERNEL)?;
        }
        let stage = hotplug::Stage::After;
        let cpu_came = hotplug::Callback::register(stage, c"ihk:doorbell", cpu_came)?;
        Ok(Self {
            _cpu_came: cpu_came,
            lines,
            _domain: domain,
        })
    }
}

impl Drop for Doorbells {
    fn drop(&mut self) {
        for (irq, word) in LINES.iter().zip(&WORDS) {
            irq.store(0, Ordering::Relaxed);
            word.store(0, Ordering::Relaxed);
        }
        self.lines.clear();
    }
}

/// Makes `line` known as that of CPU `number`.
fn introduce<L: Listener>(number: u32, line: &Line) {
    let Some(slot) = LINES.get(number as usize) else {
        return;
    };
    slot.store(line.irq(), Ordering::Release);
    if let Some(word) = line.command_word() {
        publish::<L>(number as usize, word);
    }
}

/// Linux has moved line `irq`; it is raised by `word` from now on. Interrupts are off.
fn moved<L: Listener>(irq: u32, word: u64) {
    if let Some(number) = LINES
        .iter()
        .position(|line| line.load(Ordering::Acquire) == irq)
    {
        publish::<L>(number, word);
    }
}

/// Linux CPU `number` has come: its line goes back to it.
extern "C" fn cpu_came(number: c_uint) -> c_int {
    let index = number as usize;
    let (Some(line), Some(word)) = (LINES.get(index), WORDS.get(index)) else {
        return 0;
    };
    let irq = line.load(Ordering::Acquire);
    if irq == 0 {
        return 0;
    }
    match irq::set_target(irq, number) {
        // Linux gives the old vector up with the first interrupt on the new one; until then the
        // line could not move again.
        Ok(()) => apic::raise(word.load(Ordering::Acquire)),
        Err(error) => pr_warn!("doorbell of CPU {} stays elsewhere: {:?}\n", number, error),
    }
    0
}

fn publish<L: Listener>(number: usize, word: u64) {
    let _order = PUBLISHING.lock();
    if let Some(slot) = WORDS.get(number) {
        slot.store(word, Ordering::Relaxed);
    }
    L::for_each_control(|control| {
        if let Some(slot) = control.doorbells.get(number) {
            slot.store(word, Ordering::Release);
        }
    });
}

/// Tells a new instance, which [`Listener::for_each_control`] reaches already, where all lines are.
pub(crate) fn publish_all(control: &InstanceControl) {
    let _order = PUBLISHING.lock();
    for (slot, word) in control.doorbells.iter().zip(&WORDS) {
        slot.store(word.load(Ordering::Relaxed), Ordering::Release);
    }
}

/// A co-kernel rang: look at all of them.
extern "C" fn rung<L: Listener>(_irq: c_int, _cookie: *mut c_void) -> compat::HandlerResult {
    L::rung();
    compat::HANDLED
}
