// SPDX-License-Identifier: GPL-2.0
//! CPUs taken from Linux, and the guard that keeps Linux from starting them meanwhile.

use crate::ffi::{cpu, hotplug};
use crate::proto::layout::MAX_LINUX_CPUS;
use crate::proto::uapi::CpuSet;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel::prelude::*;

/// Bit set of the CPUs Linux must not start.
static GUARDED: [AtomicU64; MAX_LINUX_CPUS / 64] =
    [const { AtomicU64::new(0) }; MAX_LINUX_CPUS / 64];

fn guard(cpu: u32) {
    if let Some(word) = GUARDED.get(cpu as usize / 64) {
        word.fetch_or(1 << (cpu % 64), Ordering::SeqCst);
    }
}

fn unguard(cpu: u32) {
    if let Some(word) = GUARDED.get(cpu as usize / 64) {
        word.fetch_and(!(1 << (cpu % 64)), Ordering::SeqCst);
    }
}

/// Called by Linux before it starts `cpu`. The errno is EPERM because Linux would repeat the
/// attempt for EBUSY.
pub(crate) extern "C" fn refuse_guarded(cpu: c_uint) -> c_int {
    if is_guarded(cpu) {
        EPERM.to_errno()
    } else {
        0
    }
}

fn is_guarded(cpu: u32) -> bool {
    let word = GUARDED.get(cpu as usize / 64);
    word.is_some_and(|word| word.load(Ordering::SeqCst) & (1 << (cpu % 64)) != 0)
}

/// A CPU taken from Linux; dropping it gives it back.
pub(crate) struct ReservedCpu {
    number: u32,
    is_lent: bool,
}

impl ReservedCpu {
    /// Takes `cpu`, which must be online.
    fn take(cpu: u32) -> Result<Self> {
        guard(cpu);
        if let Err(error) = hotplug::offline(cpu) {
            unguard(cpu);
            return Err(error);
        }
        Ok(Self {
            number: cpu,
            is_lent: true,
        })
    }

    /// Linux's number.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Gives the CPU back; it is online afterwards. On an error it stays ours.
    fn give_back(&mut self) -> Result {
        if !self.is_lent {
            return Ok(());
        }
        unguard(self.number);
        if let Err(error) = hotplug::online(self.number) {
            guard(self.number);
            return Err(error);
        }
        self.is_lent = false;
        Ok(())
    }
}

impl Drop for ReservedCpu {
    fn drop(&mut self) {
        if let Err(error) = self.give_back() {
            // Linux may try again by /sys, so the guard must not stay behind.
            unguard(self.number);
            pr_err!("CPU {} could not be given back: {:?}\n", self.number, error);
        }
    }
}

/// CPUs of one owner, in the order they came.
pub(crate) struct CpuList(KVec<ReservedCpu>);

impl CpuList {
    pub(crate) const fn new() -> Self {
        Self(KVec::new())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ReservedCpu> {
        self.0.iter()
    }

    /// Returns the numbers as a set.
    pub(crate) fn set(&self) -> CpuSet {
        let mut set = CpuSet::default();
        for cpu in self.iter() {
            if let Some(word) = set.words.get_mut(cpu.number as usize / 64) {
                *word |= 1 << (cpu.number % 64);
            }
        }
        set
    }

    /// Takes all of `wanted` from Linux or none.
    ///
    /// # Errors
    ///
    /// EINVAL: empty set; ENOENT: no such CPU; EBUSY: reserved or assigned already; EPERM: CPU 0,
    /// or none would be left; ENODEV: Linux has it offline; else what hot-unplugging said.
    pub(crate) fn reserve(&mut self, wanted: &CpuSet) -> Result {
        check(wanted)?;
        let mut new = KVec::new();
        for cpu in members(wanted) {
            // CPUs that were taken go back by themselves when `new` is dropped.
            new.push(ReservedCpu::take(cpu)?, GFP_KERNEL)?;
        }
        self.append(new)
    }

    /// Gives all of `wanted` back to Linux.
    ///
    /// # Errors
    ///
    /// ENOENT if one is not in this list (nothing happened); else what hot-plugging said, and the
    /// CPUs that came online before are gone from the list.
    pub(crate) fn release(&mut self, wanted: &CpuSet) -> Result {
        self.require(wanted)?;
        let mut result = Ok(());
        self.0.retain(|cpu| {
            if result.is_err() || !contains(wanted, cpu.number) {
                return true;
            }
            result = cpu.give_back();
            result.is_err()
        });
        result
    }

    /// Moves all of `wanted` to the end of `target`, ascending, or none.
    ///
    /// # Errors
    ///
    /// EINVAL: empty set; ENOENT: one is not in this list.
    pub(crate) fn move_to(&mut self, wanted: &CpuSet, target: &mut Self) -> Result {
        self.require(wanted)?;
        target.0.reserve(members(wanted).count(), GFP_KERNEL)?;
        for number in members(wanted) {
            let Some(index) = self.0.iter().position(|cpu| cpu.number == number) else {
                continue;
            };
            if let Ok(cpu) = self.0.remove(index) {
                let _ = target.0.push_within_capacity(cpu);
            }
        }
        Ok(())
    }

    /// Moves everything to `target`.
    pub(crate) fn move_all_to(&mut self, target: &mut Self) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        self.move_to(&self.set(), target)
    }

    fn append(&mut self, mut new: KVec<ReservedCpu>) -> Result {
        self.0.reserve(new.len(), GFP_KERNEL)?;
        for cpu in new.drain_all() {
            let _ = self.0.push_within_capacity(cpu);
        }
        Ok(())
    }

    fn require(&self, wanted: &CpuSet) -> Result {
        let have = self.set();
        if members(wanted).next().is_none() {
            return Err(EINVAL);
        }
        if members(wanted).all(|cpu| contains(&have, cpu)) {
            Ok(())
        } else {
            Err(ENOENT)
        }
    }
}

/// Numbers in `set`, ascending.
pub(crate) fn members(set: &CpuSet) -> impl Iterator<Item = u32> + '_ {
    (0..MAX_LINUX_CPUS as u32).filter(|&cpu| contains(set, cpu))
}

fn contains(set: &CpuSet, cpu: u32) -> bool {
    set.words
        .get(cpu as usize / 64)
        .is_some_and(|word| word & (1 << (cpu % 64)) != 0)
}

/// Whether Linux can give all of `wanted`; see [`CpuList::reserve`].
fn check(wanted: &CpuSet) -> Result {
    if members(wanted).next().is_none() {
        return Err(EINVAL);
    }
    for number in members(wanted) {
        if !cpu::exists(number) {
            return Err(ENOENT);
        }
        if is_guarded(number) {
            return Err(EBUSY);
        }
        if number == 0 {
            return Err(EPERM);
        }
        if !cpu::is_online(number) {
            return Err(ENODEV);
        }
    }
    if members(wanted).count() >= cpu::online_count() as usize {
        return Err(EPERM);
    }
    Ok(())
}
