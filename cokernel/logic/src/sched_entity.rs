// SPDX-License-Identifier: GPL-2.0
//! What the scheduler knows of a thread: its policy and priorities, a priority that others lend it, and
//! the time that it has had, by which its turn comes.

#[cfg(not(loom))]
use alloc::sync::Arc;
use core::sync::atomic::AtomicU64 as Plain64;

use ihk_ikc::scheduling::{policy, Scheduling};
#[cfg(loom)]
use loom::sync::Arc;

use crate::atomic::{barrier_next_to_atomic, AtomicU32, Ordering};

/// Who runs before whom, whatever time they have had: lower numbers first.
pub type Rank = u8;
/// The rank of `SCHED_DEADLINE`.
const DEADLINE: Rank = 0;
/// The rank below all real-time priorities: of the policies that share a CPU by time.
pub const FAIR: Rank = 100;
/// No rank is lent.
const NOTHING: Rank = 127;
/// The place of the lent rank in a standing; below is the word of [`Scheduling`].
const LENT_SHIFT: u32 = 25;
/// The weight of nice 0.
pub const WEIGHT_OF_NICE_0: u64 = 1024;
/// The weight of `SCHED_IDLE`, whatever its nice value.
const WEIGHT_OF_IDLE: u64 = 3;
/// Weights by nice value, from −20 on, as in Linux: a step is a tenth of a CPU that two share.
const WEIGHTS: [u64; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87,
    70, 56, 45, 36, 29, 23, 18, 15,
];

/// Policy and priorities of a thread at one moment, with what is lent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing(u32);

impl Standing {
    /// That of `scheduling`, with nothing lent.
    #[must_use]
    pub const fn of(scheduling: Scheduling) -> Self {
        Self(scheduling.word() | (NOTHING as u32) << LENT_SHIFT)
    }

    /// Policy and priorities.
    #[inline]
    #[must_use]
    pub const fn scheduling(self) -> Scheduling {
        Scheduling::of_word(self.0 & !(u32::MAX << LENT_SHIFT))
    }

    /// The rank that is its own.
    #[inline]
    #[must_use]
    pub const fn own_rank(self) -> Rank {
        let [number, priority, ..] = self.0.to_le_bytes();
        match number {
            policy::FIFO | policy::RR if priority > 99 => 1,
            policy::FIFO | policy::RR => FAIR - priority,
            policy::DEADLINE => DEADLINE,
            _ => FAIR,
        }
    }

    /// The rank by which it runs: its own or the one lent to it.
    #[inline]
    #[must_use]
    pub fn rank(self) -> Rank {
        let [.., lent] = (self.0 >> 1).to_le_bytes();
        self.own_rank().min(lent)
    }

    const fn policy(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// Whether it shares the CPU by time.
    #[inline]
    #[must_use]
    pub fn is_fair(self) -> bool {
        self.rank() == FAIR
    }

    /// Whether those of its rank take turns with it: not with `SCHED_FIFO`.
    #[inline]
    #[must_use]
    pub fn takes_turns(self) -> bool {
        self.is_fair() || self.policy() == policy::RR
    }

    /// Whether it runs only when nobody else wants to.
    #[inline]
    #[must_use]
    pub fn is_idle(self) -> bool {
        self.is_fair() && self.policy() == policy::IDLE
    }

    /// Whether its waking may end the turn of one that is not idle.
    #[inline]
    #[must_use]
    pub fn preempts(self) -> bool {
        !self.is_fair() || !matches!(self.policy(), policy::BATCH | policy::IDLE)
    }

    /// Its share of a CPU's time, against those of others.
    #[must_use]
    pub fn weight(self) -> u64 {
        if self.policy() == policy::IDLE {
            return WEIGHT_OF_IDLE;
        }
        let index = i32::from(self.scheduling().nice) + 20;
        let weight = usize::try_from(index).ok().and_then(|it| WEIGHTS.get(it));
        weight.copied().unwrap_or(WEIGHT_OF_NICE_0)
    }

    /// `time` on a CPU, as it counts against others: the more, the less the weight.
    #[inline]
    #[must_use]
    pub fn weighed(self, time: u64) -> u64 {
        match self.weight() {
            WEIGHT_OF_NICE_0 => time,
            weight => time.saturating_mul(WEIGHT_OF_NICE_0) / weight,
        }
    }
}

/// What a new thread has of `parent`'s: with `SCHED_RESET_ON_FORK`, no privilege (`sched_fork` in
/// kernel/sched/core.c).
#[must_use]
pub const fn inherited(parent: Scheduling) -> Scheduling {
    if !parent.resets_on_fork {
        return parent;
    }
    let is_fair = Standing::of(parent).own_rank() == FAIR;
    Scheduling {
        policy: if is_fair {
            parent.policy
        } else {
            policy::NORMAL
        },
        priority: 0,
        nice: if !is_fair || parent.nice < 0 {
            0
        } else {
            parent.nice
        },
        resets_on_fork: false,
    }
}

/// See the module documentation. The times are changed under the lock of the queue that the thread is in,
/// or whose CPU runs it.
pub struct Entity {
    standing: AtomicU32,
    /// Weighed time on CPUs, on the scale of a queue.
    pub(crate) time: Plain64,
    /// Time of the present turn among those of its rank.
    pub(crate) turn: Plain64,
    /// The scale of `time`, a queue's; 0: none yet.
    pub(crate) scale: Plain64,
}

impl Entity {
    /// A new thread's.
    #[must_use]
    pub fn new(scheduling: Scheduling) -> Self {
        Self {
            standing: AtomicU32::new(Standing::of(scheduling).0),
            time: Plain64::new(0),
            turn: Plain64::new(0),
            scale: Plain64::new(0),
        }
    }

    /// Its standing.
    #[inline]
    pub fn standing(&self) -> Standing {
        Standing(self.standing.load(Ordering::SeqCst))
    }

    /// Its policy and priorities.
    pub fn scheduling(&self) -> Scheduling {
        self.standing().scheduling()
    }

    /// Changes policy and priorities; what is lent stays. The caller then has its queue look at it
    /// again.
    pub fn set_scheduling(&self, scheduling: Scheduling) {
        let lent = u32::MAX << LENT_SHIFT;
        self.change(|word| word & lent | scheduling.word());
    }

    /// Others lend it `rank`, or nothing more. Whether that changed the rank by which it runs: then the
    /// caller has its queue look at it again.
    pub fn lend(&self, rank: Option<Rank>) -> bool {
        let lent = u32::from(rank.unwrap_or(NOTHING)) << LENT_SHIFT;
        let (before, after) = self.change(|word| word & !(u32::MAX << LENT_SHIFT) | lent);
        before.rank() != after.rank()
    }

    fn change(&self, change: impl Fn(u32) -> u32) -> (Standing, Standing) {
        let mut word = self.standing.load(Ordering::SeqCst);
        loop {
            let wanted = change(word);
            let done =
                self.standing
                    .compare_exchange(word, wanted, Ordering::SeqCst, Ordering::SeqCst);
            match done {
                Ok(_) => {
                    // Who changes it looks next where the thread is.
                    barrier_next_to_atomic();
                    return (Standing(word), Standing(wanted));
                }
                Err(now) => word = now,
            }
        }
    }
}

impl Default for Entity {
    fn default() -> Self {
        Self::new(Scheduling::default())
    }
}

/// What a run queue may hold.
pub trait Schedulable {
    /// What the scheduler knows of it.
    fn entity(&self) -> &Entity;
}

impl<T: Schedulable> Schedulable for Arc<T> {
    #[inline]
    fn entity(&self) -> &Entity {
        (**self).entity()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn with(policy: u8, priority: u8, nice: i8) -> Scheduling {
        Scheduling {
            policy,
            priority,
            nice,
            resets_on_fork: false,
        }
    }

    /// sched(7): deadline before real-time before all others, and a higher priority before a lower.
    #[test]
    fn ranks_are_those_of_sched_7() {
        let rank = |scheduling| Standing::of(scheduling).rank();
        assert!(rank(with(policy::DEADLINE, 0, 0)) < rank(with(policy::FIFO, 99, 0)));
        assert!(rank(with(policy::FIFO, 99, 0)) < rank(with(policy::FIFO, 98, 0)));
        assert_eq!(rank(with(policy::RR, 5, 0)), rank(with(policy::FIFO, 5, 0)));
        assert!(rank(with(policy::RR, 1, 0)) < rank(with(policy::NORMAL, 0, -20)));
        for fair in [policy::NORMAL, policy::BATCH, policy::IDLE, 7] {
            assert_eq!(rank(with(fair, 0, 19)), FAIR);
        }
    }

    /// sched(7): "SCHED_BATCH … will never … preempt", and idle threads run below all others.
    #[test]
    fn batch_and_idle_do_not_preempt() {
        assert!(Standing::of(with(policy::NORMAL, 0, 19)).preempts());
        assert!(!Standing::of(with(policy::BATCH, 0, -20)).preempts());
        assert!(!Standing::of(with(policy::IDLE, 0, 0)).preempts());
        assert!(Standing::of(with(policy::IDLE, 0, 0)).is_idle());
    }

    /// setpriority(2): a step of nice is about a quarter of weight; an idle thread's nice is ignored.
    #[test]
    fn time_counts_by_weight() {
        let weighed = |scheduling| Standing::of(scheduling).weighed(1 << 20);
        assert_eq!(weighed(with(policy::NORMAL, 0, 0)), 1 << 20);
        let (more, less) = (
            weighed(with(policy::NORMAL, 0, 5)),
            weighed(with(policy::BATCH, 0, 4)),
        );
        assert!(more * 39 / 50 < less && less < more * 41 / 50);
        assert_eq!(weighed(with(policy::IDLE, 0, -20)), (1 << 30) / 3);
    }

    #[test]
    fn what_is_lent_raises_and_is_taken_back() {
        let entity = Entity::new(with(policy::FIFO, 10, 0));
        assert!(!entity.lend(Some(95)));
        assert_eq!(entity.standing().rank(), 90);
        assert!(entity.lend(Some(80)));
        assert_eq!(
            (entity.standing().rank(), entity.standing().own_rank()),
            (80, 90)
        );
        entity.set_scheduling(with(policy::NORMAL, 0, 3));
        assert_eq!(
            (entity.standing().rank(), entity.scheduling().nice),
            (80, 3)
        );
        assert!(entity.lend(None));
        assert_eq!(entity.standing().rank(), FAIR);
    }

    /// sched(7), "Resetting scheduling policy for child processes".
    #[test]
    fn children_of_who_resets_have_no_privilege() {
        let resets = |scheduling| Scheduling {
            resets_on_fork: true,
            ..scheduling
        };
        let of = |scheduling| inherited(resets(scheduling));
        assert_eq!(of(with(policy::FIFO, 9, -4)), with(policy::NORMAL, 0, 0));
        assert_eq!(of(with(policy::BATCH, 0, -4)), with(policy::BATCH, 0, 0));
        assert_eq!(of(with(policy::IDLE, 0, 7)), with(policy::IDLE, 0, 7));
        assert_eq!(inherited(with(policy::RR, 9, -4)), with(policy::RR, 9, -4));
    }
}
