// SPDX-License-Identifier: GPL-2.0
//! Priority inheritance: who waits to own a word lends its rank to the owner, and that to whom it waits
//! for, and so on.
//!
//! ```text
//!   waiter ──word──► owner, itself a waiter ──word──► owner
//!   rank 80           own rank 100, lent 80            own rank 90, lent 80
//! ```
//! Nobody waits for itself in the end: [`Chain::add`] refuses that. So each walk along the chain ends.

use alloc::vec::Vec;

use crate::sched_entity::{Entity, Rank, Schedulable};

/// Somebody, waiting to own a word.
struct Wait<T, K> {
    waiter: T,
    word: K,
    owner: T,
}

/// Everybody who waits to own a word; of `T`, who are equal if they are the same.
pub struct Chain<T, K> {
    waits: Vec<Wait<T, K>>,
}

/// Who was to wait would wait for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlock;

impl<T: Schedulable + Clone, K: PartialEq> Chain<T, K> {
    /// Nobody waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { waits: Vec::new() }
    }

    /// `waiter` waits for `word`, which `owner` has. Hands whose rank has changed by that to `changed`.
    ///
    /// # Errors
    ///
    /// [`Deadlock`]: `owner` waits for `waiter` already.
    pub fn add(
        &mut self,
        waiter: T,
        word: K,
        owner: T,
        changed: impl FnMut(&T),
    ) -> Result<(), Deadlock> {
        let mut last = owner.clone();
        while !is_same(&last, &waiter) {
            match self.owner_of(&last) {
                Some(next) => last = next,
                None => {
                    self.waits.push(Wait {
                        waiter,
                        word,
                        owner: owner.clone(),
                    });
                    self.renew(owner, changed);
                    return Ok(());
                }
            }
        }
        Err(Deadlock)
    }

    /// `waiter` does not wait any more, if it did.
    pub fn remove(&mut self, waiter: &T, changed: impl FnMut(&T)) {
        let index = self
            .waits
            .iter()
            .position(|wait| is_same(&wait.waiter, waiter));
        if let Some(index) = index {
            let owner = self.waits.swap_remove(index).owner;
            self.renew(owner, changed);
        }
    }

    /// `word`, which `owner` had, is now that of `heir`, who waited for it.
    pub fn hand_over(&mut self, word: &K, owner: &T, heir: &T, mut changed: impl FnMut(&T)) {
        self.waits.retain(|wait| !is_same(&wait.waiter, heir));
        for wait in self.waits.iter_mut().filter(|wait| wait.word == *word) {
            wait.owner = heir.clone();
        }
        self.renew(heir.clone(), &mut changed);
        self.renew(owner.clone(), changed);
    }

    /// The rank of `thread` has changed: if it waits, so does what it lends.
    pub fn stands_anew(&mut self, thread: &T, changed: impl FnMut(&T)) {
        if let Some(owner) = self.owner_of(thread) {
            self.renew(owner, changed);
        }
    }

    /// Lends `owner` what those who wait for it have, and so on along the chain.
    fn renew(&mut self, owner: T, mut changed: impl FnMut(&T)) {
        let mut last = owner;
        loop {
            if last.entity().lend(self.best_waiter(&last)) {
                changed(&last);
            }
            match self.owner_of(&last) {
                Some(next) => last = next,
                None => return,
            }
        }
    }

    fn best_waiter(&self, owner: &T) -> Option<Rank> {
        let waits = self.waits.iter().filter(|wait| is_same(&wait.owner, owner));
        waits
            .map(|wait| wait.waiter.entity().standing().rank())
            .min()
    }

    /// Whom `waiter` waits for.
    fn owner_of(&self, waiter: &T) -> Option<T> {
        let wait = self.waits.iter().find(|wait| is_same(&wait.waiter, waiter));
        wait.map(|wait| wait.owner.clone())
    }
}

fn is_same<T: Schedulable>(one: &T, other: &T) -> bool {
    core::ptr::eq::<Entity>(one.entity(), other.entity())
}

impl<T: Schedulable + Clone, K: PartialEq> Default for Chain<T, K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::sync::Arc;

    use ihk_ikc::scheduling::{policy, Scheduling};
    use proptest::prelude::*;

    use super::*;

    struct Task(Entity);

    impl Schedulable for Task {
        fn entity(&self) -> &Entity {
            &self.0
        }
    }

    fn task(priority: u8) -> Arc<Task> {
        Arc::new(Task(Entity::new(Scheduling {
            policy: if priority == 0 {
                policy::NORMAL
            } else {
                policy::FIFO
            },
            priority,
            ..Scheduling::default()
        })))
    }

    fn rank(task: &Arc<Task>) -> Rank {
        task.0.standing().rank()
    }

    fn nothing(_: &Arc<Task>) {}

    #[test]
    fn the_owner_has_the_rank_of_the_best_who_waits() {
        let mut chain = Chain::new();
        let (owner, low, high) = (task(0), task(5), task(50));
        chain
            .add(low.clone(), 'a', owner.clone(), nothing)
            .expect("no circle");
        assert_eq!(rank(&owner), 95);
        chain
            .add(high.clone(), 'b', owner.clone(), nothing)
            .expect("no circle");
        assert_eq!(rank(&owner), 50);
        chain.remove(&high, nothing);
        assert_eq!(rank(&owner), 95);
        chain.remove(&low, nothing);
        assert_eq!(rank(&owner), 100);
    }

    /// Documentation/locking/rt-mutex-design.rst: the chain of the priority inheritance.
    #[test]
    fn what_is_lent_is_lent_on() {
        let mut chain = Chain::new();
        let tasks = [task(30), task(20), task(10), task(0)];
        for pair in tasks.windows(2).rev() {
            let added = chain.add(pair[0].clone(), rank(&pair[0]), pair[1].clone(), nothing);
            added.expect("no circle");
        }
        assert!(tasks.iter().all(|task| rank(task) == 70));
        let mut changed = Vec::new();
        chain.remove(&tasks[1], |task| changed.push(rank(task)));
        assert_eq!(changed, [90, 90]);
        assert_eq!(tasks.each_ref().map(rank), [70, 70, 90, 90]);
    }

    #[test]
    fn the_heir_has_what_the_others_lend_and_the_owner_has_not() {
        let mut chain = Chain::new();
        let (owner, heir, other) = (task(0), task(9), task(9));
        for waiter in [&heir, &other] {
            chain
                .add(waiter.clone(), 'a', owner.clone(), nothing)
                .expect("no circle");
        }
        heir.0.set_scheduling(Scheduling::default());
        chain.stands_anew(&heir, nothing);
        chain.hand_over(&'a', &owner, &heir, nothing);
        assert_eq!([&owner, &heir, &other].map(rank), [100, 91, 91]);
    }

    #[test]
    fn nobody_waits_for_itself() {
        let mut chain = Chain::new();
        let (one, two) = (task(1), task(2));
        chain
            .add(one.clone(), 'a', two.clone(), nothing)
            .expect("no circle");
        assert_eq!(
            chain.add(two.clone(), 'b', one.clone(), nothing),
            Err(Deadlock)
        );
        assert_eq!(rank(&one), 99);
    }

    proptest! {
        /// After any steps, each has the best rank of itself and of all that wait for it, however indirectly.
        #[test]
        fn ranks_are_those_of_the_chain(steps in proptest::collection::vec((0..3u8, 0..6usize, 0..6usize), 0..60)) {
            let tasks: Vec<_> = [0, 0, 10, 20, 30, 40].map(task).into();
            let mut chain = Chain::new();
            let mut owners: [Option<usize>; 6] = [None; 6];
            for (step, one, other) in steps {
                match step {
                    0 if owners[one].is_none() => {
                        let added = chain.add(tasks[one].clone(), one, tasks[other].clone(), nothing);
                        let mut last = Some(other);
                        while last.is_some_and(|last| last != one) {
                            last = last.and_then(|last| owners[last]);
                        }
                        prop_assert_eq!(added.is_err(), last.is_some());
                        owners[one] = if added.is_ok() { Some(other) } else { None };
                    }
                    1 => {
                        chain.remove(&tasks[one], nothing);
                        owners[one] = None;
                    }
                    _ => {
                        let scheduling = tasks[other].0.scheduling();
                        tasks[one].0.set_scheduling(scheduling);
                        chain.stands_anew(&tasks[one], nothing);
                    }
                }
                let mut expected: Vec<_> = tasks.iter().map(|task| task.0.standing().own_rank()).collect();
                for _ in 0..6 {
                    for (waiter, owner) in owners.iter().enumerate() {
                        if let Some(owner) = owner {
                            expected[*owner] = expected[*owner].min(expected[waiter]);
                        }
                    }
                }
                prop_assert_eq!(tasks.iter().map(rank).collect::<Vec<_>>(), expected);
            }
        }
    }
}
