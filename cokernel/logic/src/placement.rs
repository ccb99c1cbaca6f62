// SPDX-License-Identifier: GPL-2.0
//! On which CPU a thread goes on that became runnable.

/// The CPUs as the thread may use them, and what is going on there right now.
pub trait Cpus {
    /// The number of CPUs, which are numbered from 0.
    fn count(&self) -> u32;
    /// Whether the thread may run on `cpu`.
    fn allows(&self, cpu: u32) -> bool;
    /// The number of threads that want `cpu`, the running one included.
    fn load(&self, cpu: u32) -> usize;
}

/// The allowed CPU that the fewest threads want, the lowest of them; `None` if none is allowed.
#[inline]
pub fn least_loaded(cpus: &impl Cpus) -> Option<u32> {
    (0..cpus.count())
        .filter(|cpu| cpus.allows(*cpu))
        .min_by_key(|cpu| cpus.load(*cpu))
}

/// The CPU for a thread that ran on `home` last: that one, unless it may not or somebody runs there while
/// others idle. `fallback` if it may go nowhere.
#[inline]
pub fn place(cpus: &impl Cpus, home: u32, fallback: impl FnOnce() -> u32) -> u32 {
    if cpus.count() == 1 {
        return home;
    }
    let may_go_home = cpus.allows(home);
    if may_go_home && cpus.load(home) == 0 {
        return home;
    }
    let best = least_loaded(cpus).unwrap_or_else(fallback);
    if may_go_home && cpus.load(best) != 0 {
        home
    } else {
        best
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// Loads, and whether each CPU is allowed.
    struct Model(Vec<(usize, bool)>);

    impl Cpus for Model {
        fn count(&self) -> u32 {
            u32::try_from(self.0.len()).expect("few")
        }

        fn allows(&self, cpu: u32) -> bool {
            self.0[cpu as usize].1
        }

        fn load(&self, cpu: u32) -> usize {
            self.0[cpu as usize].0
        }
    }

    fn all_allowed(loads: &[usize]) -> Model {
        Model(loads.iter().map(|load| (*load, true)).collect())
    }

    fn nowhere() -> u32 {
        unreachable!("some CPU is allowed")
    }

    #[test]
    fn an_idle_home_is_the_best_place() {
        assert_eq!(place(&all_allowed(&[0, 0, 0]), 2, nowhere), 2);
    }

    #[test]
    fn a_busy_home_is_left_for_an_idle_cpu_only() {
        assert_eq!(place(&all_allowed(&[1, 0, 0]), 0, nowhere), 1);
        assert_eq!(place(&all_allowed(&[1, 2, 5]), 2, nowhere), 2);
    }

    #[test]
    fn a_forbidden_home_is_left_even_for_a_busy_cpu() {
        let cpus = Model(vec![(0, false), (3, true), (2, true)]);
        assert_eq!(place(&cpus, 0, nowhere), 2);
    }

    #[test]
    fn the_only_cpu_is_not_asked_for() {
        assert_eq!(place(&Model(vec![(7, false)]), 0, nowhere), 0);
    }

    #[test]
    fn who_may_go_nowhere_goes_where_the_waker_is() {
        let cpus = Model(vec![(0, false), (0, false)]);
        assert_eq!(place(&cpus, 0, || 1), 1);
        assert_eq!(least_loaded(&cpus), None);
    }

    #[test]
    fn of_equals_the_lowest_is_taken() {
        assert_eq!(least_loaded(&all_allowed(&[2, 1, 1])), Some(1));
    }

    proptest! {
        #[test]
        fn a_thread_never_runs_where_it_may_not_and_idle_cpus_are_used(
            cpus in proptest::collection::vec((0..4usize, any::<bool>()), 2..10),
            home in any::<proptest::sample::Index>(),
        ) {
            let home = u32::try_from(home.index(cpus.len())).expect("few");
            let cpus = Model(cpus);
            let idle = (0..cpus.count()).any(|cpu| cpus.allows(cpu) && cpus.load(cpu) == 0);
            let is_allowed = (0..cpus.count()).any(|cpu| cpus.allows(cpu));
            let chosen = place(&cpus, home, || 99);
            if is_allowed {
                prop_assert!(cpus.allows(chosen));
                prop_assert_eq!(cpus.load(chosen) == 0, idle);
                prop_assert!(idle || chosen == home || !cpus.allows(home));
            } else {
                prop_assert_eq!(chosen, 99);
            }
        }
    }
}
