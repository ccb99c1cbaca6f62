// SPDX-License-Identifier: GPL-2.0
//! Starting the CPUs of a prepared instance and waiting until it runs.

use super::plan::Plan;
use super::tables::BootTables;
use super::trampoline::{Hand, Trampoline};
use crate::ffi::low_page::LowPage;
use crate::ffi::{apic, cpu, errno, hotplug};
use crate::instance::node::STARTING;
use crate::instance::running::Running;
use crate::proto::control::state;
use crate::proto::layout::DIRECT_MAP_BASE;
use core::sync::atomic::Ordering;
use kernel::prelude::*;

/// From the reset to RUNNING; what the promise of 10 s leaves after cleaning up.
const BOOT_TIMEOUT_US: u64 = 9_000_000;
/// From a start-up interrupt to the CPU's first sign of life, before it is sent again.
const FIRST_TRY_US: u64 = 1_000;
/// From the second and last start-up interrupt to the first sign of life: a virtual CPU may get to
/// run late.
const SECOND_TRY_US: u64 = 5_000_000;

/// Starts all CPUs; returns when the co-kernel says RUNNING. On an error all CPUs are reset.
pub(super) fn start(running: &Running, plan: &Plan) -> Result {
    let end_us = cpu::now_us().saturating_add(BOOT_TIMEOUT_US);
    let is_running = || running.control.state.load(Ordering::Acquire) == state::RUNNING;
    let result = start_cpus(running, plan, end_us).and_then(|()| wait(running, end_us, is_running));
    if result.is_err() {
        running.reset_cpus();
    }
    result
}

/// Returns when all CPUs run on the co-kernel's own page tables. Trampoline page and boot tables
/// are needed until then, and no longer.
fn start_cpus(running: &Running, plan: &Plan, end_us: u64) -> Result {
    let _alone = STARTING.lock();
    let _frozen = hotplug::Frozen::new();
    let page = LowPage::borrow()?;
    let mut tables = BootTables::build(&plan.runs, plan.area.image)?;
    tables.map_identity(page.phys())?;
    let mut trampoline = Trampoline::install(page)?;
    running.reset_cpus();
    running.write_clocks();
    running.set_alive();
    let count = running.cpus.len() as u32;
    let are_online = || running.control.cpus_online.load(Ordering::Acquire) == count;
    let result = hand_over_all(running, plan, &tables, &mut trampoline)
        .and_then(|()| wait(running, end_us, are_online));
    if result.is_err() {
        // Before the page and the tables go.
        running.reset_cpus();
    }
    result
}

fn hand_over_all(
    running: &Running,
    plan: &Plan,
    tables: &BootTables,
    trampoline: &mut Trampoline,
) -> Result {
    for (index, link) in (0u32..).zip(running.cpus.iter()) {
        trampoline.set_hand(Hand {
            root: tables.root(),
            entry: plan.entry,
            params: DIRECT_MAP_BASE + plan.area.params.phys,
            stack: DIRECT_MAP_BASE + plan.area.stack_top(u64::from(index)),
            index,
            taken: 0,
        });
        start_one(trampoline, index, link.apic_id())?;
    }
    Ok(())
}

fn start_one(trampoline: &Trampoline, index: u32, apic_id: u32) -> Result {
    for timeout_us in [FIRST_TRY_US, SECOND_TRY_US] {
        apic::startup(apic_id, trampoline.page());
        if cpu::wait_until(timeout_us, || trampoline.is_taken(index)) {
            return Ok(());
        }
    }
    pr_err!(
        "co-kernel CPU {} (APIC id {}) does not start\n",
        index,
        apic_id
    );
    Err(ETIMEDOUT)
}

/// Waits for `done`, unless the co-kernel says that it will not come.
fn wait(running: &Running, end_us: u64, done: impl Fn() -> bool) -> Result {
    let mut result = Err(ETIMEDOUT);
    cpu::wait_until(end_us.saturating_sub(cpu::now_us()), || {
        result = match running.control.state.load(Ordering::Acquire) {
            state::PANIC => Err(EIO),
            state::REFUSED => Err(errno::protocol()),
            _ if done() => Ok(()),
            _ => Err(ETIMEDOUT),
        };
        result != Err(ETIMEDOUT)
    });
    result
}
