// SPDX-License-Identifier: GPL-2.0
//! Whether a CPU of a co-kernel hangs, or is only slow. It is rung, and beats when it takes the interrupt or
//! gets on with long work. If it does not, it is asked by interrupts that cannot be masked:
//!
//! ```text
//!             beats                                    does not beat
//!  rung ──────────────► well                rung ──── for LISTEN_MS ────► asked by NMI
//!  asked ─── beats ───► well
//!  asked ─── takes NMIs, beats not, for STUCK_MS ────► hung: it runs, and gets nowhere
//!  asked ─── takes no NMI for DEAD_MS ───────────────► hung: nobody runs it, or it is broken
//! ```
//! Time counts only as far as the CPU shows that it lived through it: a host that does not run it makes it
//! slow, not hung.

/// The interval of two looks, milliseconds; a look counts for twice that at most.
pub(crate) const LOOK_MS: i64 = 100;
/// How long a doorbell may take before the CPU is asked otherwise.
const LISTEN_MS: i64 = 200;
/// How long a CPU may run without a beat.
const STUCK_MS: i64 = 1000;
/// How long a CPU may not run at all.
const DEAD_MS: i64 = 30_000;

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It beats.
    Well,
    /// It is not known yet.
    Listen,
    /// Neither; send it an NMI before the next look.
    Ask,
    /// It runs, and gets nowhere.
    Stuck,
    /// It does not run.
    Dead,
}

/// One CPU under examination.
pub(crate) struct Pulse {
    beat: u64,
    nmis: u32,
    quiet_ms: i64,
    stuck_ms: i64,
    dead_ms: i64,
}

impl Pulse {
    /// The CPU has been rung; it had beaten and taken NMIs so often before.
    pub(crate) const fn new(beat: u64, nmis: u32) -> Self {
        Self {
            beat,
            nmis,
            quiet_ms: 0,
            stuck_ms: 0,
            dead_ms: 0,
        }
    }

    /// Looks, `passed_ms` after the last look or the ring.
    pub(crate) fn look(&mut self, beat: u64, nmis: u32, passed_ms: i64) -> Verdict {
        if beat != self.beat {
            return Verdict::Well;
        }
        let passed_ms = passed_ms.clamp(0, 2 * LOOK_MS);
        self.quiet_ms += passed_ms;
        if nmis != self.nmis {
            self.nmis = nmis;
            self.stuck_ms += passed_ms;
            self.dead_ms = 0;
        } else {
            self.dead_ms += passed_ms;
        }
        if self.stuck_ms >= STUCK_MS {
            Verdict::Stuck
        } else if self.dead_ms >= DEAD_MS {
            Verdict::Dead
        } else if self.quiet_ms >= LISTEN_MS {
            Verdict::Ask
        } else {
            Verdict::Listen
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pulse, Verdict, LOOK_MS};

    /// Looks until something is known; the verdict, and after how many milliseconds.
    fn examine(mut at: impl FnMut(u32) -> (u64, u32)) -> (Verdict, u32) {
        let mut pulse = Pulse::new(0, 0);
        let mut time_ms = 0;
        loop {
            time_ms += 100;
            let (beat, nmis) = at(time_ms);
            match pulse.look(beat, nmis, LOOK_MS) {
                Verdict::Listen | Verdict::Ask => {}
                verdict => return (verdict, time_ms),
            }
        }
    }

    #[test]
    fn a_cpu_that_takes_nmis_without_a_beat_hangs_within_two_seconds() {
        let (verdict, time_ms) = examine(|time_ms| (0, time_ms));
        assert_eq!(verdict, Verdict::Stuck);
        assert!(time_ms <= 2000, "{time_ms}");
    }

    #[test]
    fn a_cpu_that_nobody_runs_for_five_seconds_is_well() {
        assert_eq!(
            examine(|time_ms| (u64::from(time_ms > 5000), 0)),
            (Verdict::Well, 5100)
        );
    }

    #[test]
    fn a_cpu_that_never_runs_is_dead_at_last() {
        let (verdict, time_ms) = examine(|_| (0, 0));
        assert_eq!(verdict, Verdict::Dead);
        assert!((30_000..31_000).contains(&time_ms), "{time_ms}");
    }

    #[test]
    fn a_cpu_that_runs_now_and_then_without_a_beat_hangs_when_it_has_lived_long_enough() {
        let (verdict, time_ms) = examine(|time_ms| (0, time_ms / 1000));
        assert_eq!(verdict, Verdict::Stuck);
        assert!((9_000..12_000).contains(&time_ms), "{time_ms}");
    }
}
