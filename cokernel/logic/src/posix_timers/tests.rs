// SPDX-License-Identifier: GPL-2.0
//! Tests of timers, against timer_create(2), timer_settime(2) and kernel/time/posix-cpu-timers.c of Linux.

use super::*;

const PID: i32 = 100;
const TID: i32 = 101;
const SIGNAL: u32 = 14;

/// `MAKE_PROCESS_CPUCLOCK` and `MAKE_THREAD_CPUCLOCK` of Linux.
const fn id(whose: i32, kind: i32) -> i32 {
    (!whose << 3) | kind
}

fn timers(target: Target, clock: CpuClock) -> PosixTimers {
    let notice = Notice {
        target,
        signal: SIGNAL,
        value: 7,
    };
    let mut timers = PosixTimers::new();
    timers.create(0, notice, Some(clock));
    timers
}

fn setting(interval: u64, left: u64) -> Setting {
    Setting { interval, left }
}

fn told(id: u32, overrun: u64) -> Info {
    Info::of_timer(SIGNAL, id, 7, overrun)
}

/// clock_getcpuclockid(3), pthread_getcpuclockid(3).
#[test]
fn clocks_of_cpu_time_have_numbers_for_processes_and_threads() {
    let of = |id| CpuClock::of(id, PID, TID);
    assert_eq!(of(2), Some(CpuClock::Process));
    assert_eq!(of(3), Some(CpuClock::Thread(TID)));
    for sort in 0..3 {
        assert_eq!(of(id(PID, sort)), Some(CpuClock::Process));
        assert_eq!(of(id(0, sort)), Some(CpuClock::Process));
        assert_eq!(of(id(0, 4 | sort)), Some(CpuClock::Thread(TID)));
        assert_eq!(of(id(9, 4 | sort)), Some(CpuClock::Thread(9)));
        assert_eq!(of(id(9, sort)), None, "of another process");
    }
    assert_eq!(of(id(PID, 3)), None, "behind a descriptor");
    for other in [0, 1, 7, 11] {
        assert_eq!(of(other), None);
    }
}

#[test]
fn a_timer_expires_once_at_its_time() {
    let clock = CpuClock::Process;
    let mut timers = timers(Target::Process, clock);
    assert!(!timers.is_armed());
    assert_eq!(
        timers.set(0, setting(0, 10), false, 100),
        Some(setting(0, 0))
    );
    assert_eq!(timers.next(clock), Some(110));
    assert_eq!(timers.strike(clock, 109), []);
    assert_eq!(timers.strike(CpuClock::Thread(TID), 200), []);
    assert_eq!(timers.strike(clock, 110), [told(0, 0)]);
    assert_eq!(
        (timers.strike(clock, 500), timers.next(clock)),
        (Vec::new(), None)
    );
}

#[test]
fn an_interval_counts_from_the_time_that_was_set() {
    let clock = CpuClock::Thread(TID);
    let mut timers = timers(Target::Thread(TID), clock);
    timers.set(0, setting(10, 100), true, 0);
    assert_eq!(timers.strike(clock, 135), [told(0, 3)]);
    assert_eq!(timers.next(clock), Some(140));
    assert_eq!(timers.get(0, 136), Some(setting(10, 4)));
}

/// timer_settime(2): a time that has passed is now.
#[test]
fn an_absolute_time_that_has_passed_expires_at_once() {
    let mut timers = timers(Target::Process, CpuClock::Process);
    timers.set(0, setting(0, 5), true, 100);
    assert_eq!(timers.get(0, 100), Some(setting(0, 1)));
    assert_eq!(timers.strike(CpuClock::Process, 100).len(), 1);
}

#[test]
fn a_timer_that_tells_nobody_goes_on_all_the_same() {
    let mut timers = timers(Target::Nobody, CpuClock::Process);
    timers.set(0, setting(10, 10), false, 0);
    assert_eq!(
        (timers.is_armed(), timers.next(CpuClock::Process)),
        (false, None)
    );
    assert_eq!(timers.strike(CpuClock::Process, 50), []);
    assert_eq!(timers.get(0, 57), Some(setting(10, 3)));
    timers.set(0, setting(0, 10), false, 60);
    assert_eq!(timers.get(0, 80), Some(setting(0, 0)));
}

/// timer_getoverrun(2).
#[test]
fn overruns_are_those_of_the_last_signal_that_was_taken() {
    let mut timers = timers(Target::Process, CpuClock::Process);
    assert_eq!(timers.overrun(0), Some(0));
    timers.set_overrun(0, u32::MAX);
    assert_eq!(timers.overrun(0), Some(MOST_OVERRUNS));
    timers.set(0, setting(0, 1), false, 0);
    assert_eq!((timers.overrun(0), timers.overrun(1)), (Some(0), None));
}

#[test]
fn what_linux_runs_is_not_counted_here() {
    let mut timers = PosixTimers::new();
    let notice = Notice {
        target: Target::Thread(TID),
        signal: SIGNAL,
        value: 0,
    };
    timers.create(4, notice, None);
    assert_eq!(
        (timers.target(4), timers.clock(4)),
        (Some(notice.target), None)
    );
    assert_eq!(timers.set(4, setting(0, 1), false, 0), None);
    assert_eq!(timers.strike(CpuClock::Process, u64::MAX), []);
    timers.delete(4);
    assert_eq!(timers.target(4), None);
}
