// SPDX-License-Identifier: GPL-2.0
//! Timers of timer_create(2): whom they concern, how often they expired, and those that count CPU time.
//!
//! Linux has all of them, under the same ids, and runs those of other clocks. Times are in nanoseconds.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::cpu_timers::Setting;
use crate::pending::{Info, MOST_OVERRUNS};

/// Later than any CPU time.
const NEVER: u64 = u64::MAX;

/// A clock of CPU time of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuClock {
    /// Of all its threads.
    Process,
    /// Of the thread with that id.
    Thread(i32),
}

impl CpuClock {
    /// The clock with number `id` of Linux, as thread `tid` of process `pid` means it. `None`: that counts no
    /// CPU time, or that of others.
    #[must_use]
    pub fn of(id: i32, pid: i32, tid: i32) -> Option<Self> {
        const PROCESS: i32 = 2;
        const THREAD: i32 = 3;
        /// Kind of a clock with a negative id: bit 2 = of a thread, the lower bits which of its times.
        const OF_THREAD: i32 = 4;
        const SORT: i32 = 3;
        /// No clock of CPU time, but one behind a descriptor.
        const DESCRIPTOR: i32 = 3;
        match id {
            PROCESS => return Some(Self::Process),
            THREAD => return Some(Self::Thread(tid)),
            0.. => return None,
            _ if id & SORT == DESCRIPTOR => return None,
            _ => {}
        }
        let whose = !(id >> 3);
        match (id & OF_THREAD != 0, whose) {
            (true, 0) => Some(Self::Thread(tid)),
            (true, _) => Some(Self::Thread(whose)),
            (false, _) => (whose == 0 || whose == pid).then_some(Self::Process),
        }
    }
}

/// Whom an expiry concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nobody; it is asked for.
    Nobody,
    /// The process gets a signal.
    Process,
    /// The thread with that id gets a signal.
    Thread(i32),
    /// The thread with that id sleeps until then.
    Sleeper(i32),
}

/// What a timer does when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who is told.
    pub target: Target,
    /// The signal.
    pub signal: u32,
    /// The value that goes with it.
    pub value: u64,
}

struct Timer {
    notice: Notice,
    /// Overruns that the last signal told of when it was taken.
    overrun: u32,
    /// `None`: Linux runs it.
    count: Option<Count>,
}

/// A timer that counts CPU time.
struct Count {
    clock: CpuClock,
    interval: u64,
    /// The time at which it expires; [`NEVER`] = it does not run.
    end: u64,
}

impl Count {
    /// Whether it has expired at `now`, and how often beyond the first time; then it begins anew.
    fn strike(&mut self, now: u64) -> Option<u64> {
        if self.end == NEVER || now < self.end {
            return None;
        }
        let overrun = match self.interval {
            0 => 0,
            interval => (now - self.end) / interval,
        };
        self.end = match self.interval {
            0 => NEVER,
            interval => self
                .end
                .saturating_add((overrun + 1).saturating_mul(interval)),
        };
        Some(overrun)
    }

    fn setting(&self, now: u64) -> Setting {
        Setting {
            interval: self.interval,
            left: match self.end {
                NEVER => 0,
                end => end.saturating_sub(now).max(1),
            },
        }
    }
}

/// The timers of a process, by id.
#[derive(Default)]
pub struct PosixTimers(BTreeMap<u32, Timer>);

impl PosixTimers {
    /// The number of timers.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// A process without timers.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Linux has made timer `id`; with `clock` it is counted here.
    pub fn create(&mut self, id: u32, notice: Notice, clock: Option<CpuClock>) {
        let count = clock.map(|clock| Count {
            clock,
            interval: 0,
            end: NEVER,
        });
        let timer = Timer {
            notice,
            overrun: 0,
            count,
        };
        self.0.insert(id, timer);
    }

    /// Timer `id` is no more.
    pub fn delete(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// The clock of timer `id`, if it is counted here.
    #[must_use]
    pub fn clock(&self, id: u32) -> Option<CpuClock> {
        Some(self.0.get(&id)?.count.as_ref()?.clock)
    }

    /// Whom an expiry of timer `id` concerns, if there is such a timer.
    #[must_use]
    pub fn target(&self, id: u32) -> Option<Target> {
        Some(self.0.get(&id)?.notice.target)
    }

    /// The overruns that the last signal of timer `id` told of, if there is such a timer.
    #[must_use]
    pub fn overrun(&self, id: u32) -> Option<u32> {
        Some(self.0.get(&id)?.overrun)
    }

    /// A signal of timer `id` has been taken, and told of so many overruns.
    pub fn set_overrun(&mut self, id: u32, overrun: u32) {
        if let Some(timer) = self.0.get_mut(&id) {
            timer.overrun = overrun.min(MOST_OVERRUNS);
        }
    }

    /// The rest of timer `id`, which is counted here, when its clock says `now`.
    #[must_use]
    pub fn get(&mut self, id: u32, now: u64) -> Option<Setting> {
        let timer = self.0.get_mut(&id)?;
        let count = timer.count.as_mut()?;
        if timer.notice.target == Target::Nobody {
            count.strike(now);
        }
        Some(count.setting(now))
    }

    /// Sets timer `id`, which is counted here, when its clock says `now`; what it was. With `is_absolute`, what is
    /// left of `wanted` is a time of the clock.
    pub fn set(
        &mut self,
        id: u32,
        wanted: Setting,
        is_absolute: bool,
        now: u64,
    ) -> Option<Setting> {
        let before = self.get(id, now)?;
        let timer = self.0.get_mut(&id)?;
        timer.overrun = 0;
        let count = timer.count.as_mut()?;
        count.interval = wanted.interval;
        count.end = match wanted.left {
            0 => NEVER,
            end if is_absolute => end,
            left => now.saturating_add(left),
        };
        Some(before)
    }

    /// The time at which the next timer of `clock` that tells somebody expires.
    #[must_use]
    pub fn next(&self, clock: CpuClock) -> Option<u64> {
        let ends = self.told().filter(|count| count.clock == clock);
        ends.map(|count| count.end).min()
    }

    /// Whether a timer runs that tells somebody.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.told().next().is_some()
    }

    /// Those that run and tell somebody.
    fn told(&self) -> impl Iterator<Item = &Count> {
        let tells = |timer: &&Timer| timer.notice.target != Target::Nobody;
        let counts = self.0.values().filter(tells);
        counts
            .filter_map(|timer| timer.count.as_ref())
            .filter(|count| count.end != NEVER)
    }

    /// What those of `clock` tell that have expired at `now`.
    pub fn strike(&mut self, clock: CpuClock, now: u64) -> Vec<Info> {
        let mut told = Vec::new();
        for (id, timer) in &mut self.0 {
            let Notice {
                target,
                signal,
                value,
            } = timer.notice;
            let counts = timer.count.as_mut().filter(|count| count.clock == clock);
            let Some(count) = counts.filter(|_| target != Target::Nobody) else {
                continue;
            };
            if let Some(overrun) = count.strike(now) {
                let info = Info::of_timer(signal, *id, value, overrun);
                told.push(info);
            }
        }
        told
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
