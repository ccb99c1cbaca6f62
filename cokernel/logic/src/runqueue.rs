// SPDX-License-Identifier: GPL-2.0
//! The run queue of one CPU: whose turn it is, and when the turn is over (decision 73).
//!
//! A lower rank runs first. Within a real-time rank it is first come, first served, and `SCHED_RR` goes
//! behind the others when its turn is over. Those of the fair rank have had weighed time, each its own: who
//! has had least runs first. The time of who runs counts up by itself, so nothing ticks.
//!
//! ```text
//!   weighed time ───────────────────────────────────────────►
//!      woken: not before           who waits    who runs
//!      base − credit      base        │ │          │
//! ─────────┼──────────────┼───────────┴─┴──────────┴────────
//! ```
//! While real-time threads run, fair ones have a twentieth after all: who has waited for most of a second runs
//! for the rest of it (Linux's fair server). So no thread waits for ever for one that only waits itself.
//!
//! The base is the least time that anybody here has had, and never goes back. Who slept keeps the time
//! that it had, but for a credit no more than the base's: so it runs at once, and cannot hold the CPU for
//! as long as it slept.

use alloc::collections::VecDeque;
use core::sync::atomic::Ordering::Relaxed;

use crate::sched_entity::{Entity, Rank, Schedulable, Standing, FAIR, WEIGHT_OF_NICE_0};

/// Durations, in the unit of all times here, which is the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The turn of one of several fair threads of nice 0 or better.
    pub slice: u64,
    /// The shortest turn of a fair thread.
    pub shortest: u64,
    /// The turn of one of several `SCHED_RR` threads of a priority.
    pub round_robin: u64,
    /// The advantage of who slept.
    pub credit: u64,
    /// Who has run for so long, or has had so much more, has computed: who is woken and has had less ends its
    /// turn. Less than the credit.
    pub granularity: u64,
    /// After that time behind real-time threads, fair ones run.
    pub starved: u64,
    /// Then they run for so long.
    pub served: u64,
}

/// How somebody comes to wait for the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It slept, or is new.
    Woken,
    /// It waited, or ran, elsewhere.
    Moved,
    /// It runs here, and others come first.
    Preempted,
    /// It runs here, and lets others run first.
    Yields,
    /// It runs here, and waits for something that any other may have to do first, of whatever rank.
    Waits,
}

/// A thread that waits, with what its place was chosen by.
struct Waiting<T> {
    rank: Rank,
    /// Its weighed time, if it is of the fair rank.
    time: u64,
    /// How much of its turn it has had.
    turn: u64,
    /// It slept before, or is new.
    is_woken: bool,
    item: T,
}

/// The thread that runs, as it was when it was looked at last.
#[derive(Clone, Copy)]
struct Running {
    /// Tells it from others.
    who: usize,
    standing: Standing,
    /// Its weighed time.
    time: u64,
    /// How much of its turn it has had.
    turn: u64,
    /// The moment of that look.
    since: u64,
}

/// The runnable threads of one CPU; the running one is not among them.
pub struct RunQueue<T> {
    /// By rank, then by time for the fair rank and by place for others.
    waiting: VecDeque<Waiting<T>>,
    running: Option<Running>,
    base: u64,
    /// Since when fair ones wait behind real-time threads that run.
    starved_since: Option<u64>,
    /// Until when fair ones run before real-time threads.
    served_until: u64,
    /// Tells the scale of this queue from those of others; not 0.
    scale: u64,
    times: Times,
}

/// Whether `one` comes before `other` on a scale that wraps around.
const fn is_before(one: u64, other: u64) -> bool {
    one.wrapping_sub(other) > u64::MAX / 2
}

const fn later(one: u64, other: u64) -> u64 {
    if is_before(one, other) {
        other
    } else {
        one
    }
}

const fn earlier(one: u64, other: u64) -> u64 {
    if is_before(one, other) {
        one
    } else {
        other
    }
}

impl Running {
    /// As it is at `now`.
    fn at(self, now: u64) -> Self {
        let passed = now.saturating_sub(self.since);
        let is_fair = self.standing.is_fair();
        let weighed = if is_fair {
            self.standing.weighed(passed)
        } else {
            0
        };
        Self {
            time: self.time.wrapping_add(weighed),
            turn: self.turn.saturating_add(passed),
            since: now,
            ..self
        }
    }
}

impl Times {
    /// The length of a turn of one with `standing`.
    fn turn_of(&self, standing: Standing) -> u64 {
        if standing.is_fair() {
            let by_weight = self.slice.saturating_mul(standing.weight()) / WEIGHT_OF_NICE_0;
            by_weight.clamp(self.shortest, self.slice)
        } else {
            self.round_robin
        }
    }
}

impl<T: Schedulable> RunQueue<T> {
    /// An empty queue of CPU `number`, which runs nobody; takes no memory yet.
    #[must_use]
    pub const fn new(number: u32, times: Times) -> Self {
        Self {
            waiting: VecDeque::new(),
            running: None,
            base: 0,
            starved_since: None,
            served_until: 0,
            scale: number as u64 + 1,
            times,
        }
    }

    /// `item` waits from `now` on. Whether the CPU must look at its queue for that.
    pub fn push(&mut self, item: T, arrival: Arrival, now: u64) -> bool {
        let entity = item.entity();
        self.settle(entity, now);
        self.advance(now);
        let standing = entity.standing();
        let rank = standing.rank();
        let turn = entity.turn.load(Relaxed);
        let goes_on = !standing.takes_turns() || turn < self.times.round_robin;
        let rank = if arrival == Arrival::Waits {
            FAIR
        } else {
            rank
        };
        let goes_first = rank != FAIR && arrival == Arrival::Preempted && goes_on;
        let waiting = Waiting {
            rank,
            time: self.place(entity, arrival),
            turn: if goes_first { turn } else { 0 },
            is_woken: arrival == Arrival::Woken,
            item,
        };
        let shares = self.shares_turns_with(rank);
        self.insert(waiting, goes_first);
        let starves = self.note_starvation(now);
        match self.running {
            None => true,
            Some(_) if shares || starves => true,
            Some(running) => self.is_preempted(running.at(now)),
        }
    }

    /// The thread that runs next, instead of `me`, which goes on if nobody waits and `goes_on` says so.
    pub fn pop(&mut self, me: &Entity, goes_on: bool, now: u64) -> Option<T> {
        self.settle(me, now);
        let index = self.next_index(now);
        let Some(next) = self.waiting.remove(index) else {
            self.running = self.running.filter(|_| goes_on);
            return None;
        };
        let entity = next.item.entity();
        entity.time.store(next.time, Relaxed);
        self.running = Some(Running {
            who: identity(entity),
            standing: entity.standing(),
            time: next.time,
            turn: next.turn,
            since: now,
        });
        self.advance(now);
        self.note_starvation(now);
        Some(next.item)
    }

    /// Whether somebody is to run instead of the thread that runs. If its turn is over and yet it goes on,
    /// another begins.
    pub fn look(&mut self, now: u64) -> bool {
        self.advance(now);
        let Some(running) = self.running.map(|running| running.at(now)) else {
            return false;
        };
        let is_preempted = self.is_preempted(running);
        let is_over = running.turn >= self.times.turn_of(running.standing);
        let turn = if is_over && !is_preempted {
            0
        } else {
            running.turn
        };
        self.running = Some(Running { turn, ..running });
        is_preempted
    }

    /// How long the turn of the thread that runs lasts from `now` on, if others take turns with it.
    #[must_use]
    pub fn turn_left(&self, now: u64) -> Option<u64> {
        let running = self.running?.at(now);
        let rank = running.standing.rank();
        let shares = running.standing.takes_turns()
            && self.waiting.iter().any(|waiting| waiting.rank == rank);
        let turn = if self.awaits_granularity(running) {
            self.times.granularity
        } else {
            self.times.turn_of(running.standing)
        };
        let turn_left = shares.then(|| turn.saturating_sub(running.turn));
        let starvation = self
            .starved_since
            .map(|since| since.saturating_add(self.times.starved));
        let is_served = rank == FAIR && self.waiting.front().is_some_and(|it| it.rank < FAIR);
        let until = starvation.or(is_served.then_some(self.served_until));
        let left = until.map(|until| until.saturating_sub(now));
        match (turn_left, left) {
            (Some(turn_left), Some(left)) => Some(turn_left.min(left)),
            (turn_left, left) => turn_left.or(left),
        }
    }

    /// The standing of the thread that `is_it`, with `entity`, may have changed. Whether the CPU must look
    /// at its queue for that.
    pub fn stands_anew(
        &mut self,
        is_it: impl FnMut(&T) -> bool,
        entity: &Entity,
        now: u64,
    ) -> bool {
        self.settle(entity, now);
        self.advance(now);
        let standing = entity.standing();
        let mut items = self.waiting.iter().map(|waiting| &waiting.item);
        let index = items.position(is_it);
        if let Some(waiting) = index.and_then(|index| self.waiting.remove(index)) {
            let rank = standing.rank();
            let is_lowered = waiting.rank < rank;
            let time = self.nearby(waiting.time);
            let anew = Waiting {
                rank,
                time,
                ..waiting
            };
            self.insert(anew, is_lowered);
        }
        if let Some(mut running) = self.running.filter(|it| it.who == identity(entity)) {
            running.standing = standing;
            running.time = self.nearby(running.time);
            self.running = Some(running);
        } else if index.is_none() {
            return false;
        }
        self.running
            .is_some_and(|running| self.is_preempted(running.at(now)))
            || self.turn_left(now).is_some()
    }

    /// Takes the first item for which `is_it` holds out of the queue.
    pub fn remove(&mut self, mut is_it: impl FnMut(&T) -> bool) -> Option<T> {
        let index = self
            .waiting
            .iter()
            .position(|waiting| is_it(&waiting.item))?;
        self.waiting.remove(index).map(|waiting| waiting.item)
    }

    /// The number of threads that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// By which ranks they wait, in their order.
    #[cfg(any(test, loom))]
    pub fn ranks(&self) -> impl Iterator<Item = Rank> + '_ {
        self.waiting.iter().map(|waiting| waiting.rank)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The thread that runs is `me`: what it has had until `now` is its own to know.
    fn settle(&mut self, me: &Entity, now: u64) {
        let Some(running) = self.running.map(|running| running.at(now)) else {
            return;
        };
        if running.who == identity(me) {
            me.time.store(running.time, Relaxed);
            me.turn.store(running.turn, Relaxed);
            me.scale.store(self.scale, Relaxed);
            self.running = Some(running);
        }
    }

    /// Brings the base up to `now`.
    fn advance(&mut self, now: u64) {
        let running = self.running.filter(|running| running.standing.is_fair());
        let running = running.map(|running| running.at(now).time);
        let first = self.first_fair().map(|waiting| waiting.time);
        let least = match (running, first) {
            (Some(running), Some(first)) => Some(earlier(running, first)),
            (running, first) => running.or(first),
        };
        self.base = least.map_or(self.base, |least| later(self.base, least));
    }

    fn first_fair(&self) -> Option<&Waiting<T>> {
        self.waiting.get(self.first_fair_index())
    }

    fn first_fair_index(&self) -> usize {
        self.waiting.partition_point(|waiting| waiting.rank < FAIR)
    }

    /// The place of who runs next; a fair one's if it has waited for too long, from which moment it is served.
    fn next_index(&mut self, now: u64) -> usize {
        let index = self.first_fair_index();
        if index == 0 || index == self.waiting.len() || !self.is_starved(now) {
            return 0;
        }
        self.served_until = now.saturating_add(self.times.served);
        index
    }

    fn is_starved(&self, now: u64) -> bool {
        let waited = self.starved_since.map(|since| now.saturating_sub(since));
        waited.is_some_and(|waited| waited >= self.times.starved)
    }

    /// Whether fair ones wait behind a real-time thread from now on, and did not before.
    fn note_starvation(&mut self, now: u64) -> bool {
        let is_behind = self
            .running
            .is_some_and(|running| !running.standing.is_fair());
        let waits = is_behind && self.first_fair().is_some();
        let begins = waits && self.starved_since.is_none();
        if !waits {
            self.starved_since = None;
        } else if begins {
            self.starved_since = Some(now);
        }
        begins
    }

    /// The weighed time with which a thread begins to wait.
    fn place(&self, entity: &Entity, arrival: Arrival) -> u64 {
        let own = entity.time.load(Relaxed);
        let slept = self.base.wrapping_sub(self.times.credit);
        let scale = entity.scale.swap(self.scale, Relaxed);
        let is_here = scale == self.scale;
        match arrival {
            Arrival::Woken if is_here => later(own, slept),
            Arrival::Woken if scale != 0 => slept,
            Arrival::Moved if is_here => later(own, self.base),
            Arrival::Woken | Arrival::Moved => self.base,
            Arrival::Preempted => own,
            Arrival::Yields => {
                let slice = entity.standing().weighed(self.times.slice);
                let last = self.waiting.back().map_or(own, |last| last.time);
                later(own, earlier(own.wrapping_add(slice), last))
            }
            Arrival::Waits => self.waiting.back().map_or(own, |last| last.time),
        }
    }

    /// The weighed `time` of a thread that may have had none, or too much, by another standing.
    fn nearby(&self, time: u64) -> u64 {
        let most = self.base.wrapping_add(self.times.slice);
        let least = self.base.wrapping_sub(self.times.credit);
        later(least, earlier(time, most))
    }

    fn insert(&mut self, new: Waiting<T>, goes_first: bool) {
        let comes_before = |other: &Waiting<T>| {
            if other.rank != new.rank {
                other.rank < new.rank
            } else if new.rank == FAIR {
                !is_before(new.time, other.time)
            } else {
                !goes_first
            }
        };
        let index = self.waiting.partition_point(comes_before);
        self.waiting.insert(index, new);
    }

    /// Whether one more of `rank` is the first to take turns with the thread that runs.
    fn shares_turns_with(&self, rank: Rank) -> bool {
        let Some(running) = self.running else {
            return false;
        };
        running.standing.takes_turns()
            && running.standing.rank() == rank
            && !self.waiting.iter().any(|waiting| waiting.rank == rank)
    }

    /// Whether who waits first was woken, and ends the turn of `running` as soon as that one has computed.
    fn awaits_granularity(&self, running: Running) -> bool {
        let Some(first) = self.waiting.front() else {
            return false;
        };
        first.is_woken
            && running.standing.is_fair()
            && first.item.entity().standing().preempts()
            && is_before(first.time, running.time)
            && running.turn < self.times.granularity
    }

    /// Whether who waits first is to run instead of `running`.
    fn is_preempted(&self, running: Running) -> bool {
        let Some(first) = self.waiting.front() else {
            return false;
        };
        let standing = running.standing;
        let rank = standing.rank();
        if rank < FAIR && self.first_fair().is_some() && self.is_starved(running.since) {
            return true;
        }
        if first.rank != rank {
            let is_served = rank == FAIR && running.since < self.served_until;
            return first.rank < rank && !is_served;
        }
        let is_over = standing.takes_turns() && running.turn >= self.times.turn_of(standing);
        if rank != FAIR {
            return is_over;
        }
        let waits = first.item.entity().standing();
        if is_before(running.time, first.time) {
            return false;
        }
        let advantage = running.time.wrapping_sub(first.time);
        let has_computed = running.turn >= self.times.granularity
            || advantage > waits.weighed(self.times.granularity);
        is_over
            || has_computed && first.is_woken && waits.preempts() && advantage != 0
            || standing.is_idle() && !waits.is_idle()
    }
}

/// A number that tells a thread from others as long as it lives.
fn identity(entity: &Entity) -> usize {
    core::ptr::from_ref(entity).addr()
}

#[cfg(all(test, not(loom)))]
mod tests;
