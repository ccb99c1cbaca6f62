// SPDX-License-Identifier: GPL-2.0
//! The gain of more cores: delegated calls and reads by the number of threads that make them. Says something on a host
//! with as many cores as the machine has CPUs.

use crate::experiment::{run, Experiment, Run};
use crate::figure::Axis;

const THREADS: Axis = Axis {
    label: "threads, each on a core of its own",
    log: false,
};

/// Delegated calls, by how many CPUs of Linux serve them.
pub const SCALING_CALLS: Experiment = Experiment {
    name: "scaling_calls",
    title: "lseek by several threads",
    x: THREADS,
    y: Axis {
        label: "calls per second, all threads",
        log: true,
    },
    smp: 8,
    marked: false,
    runs: || {
        vec![
            scaling("native", "taskset -c 0-3", "calls"),
            scaling("1 Linux CPU", "taskset -c 0 mcexec", "calls"),
            scaling("2 Linux CPUs", "taskset -c 0-1 mcexec", "calls"),
            scaling("4 Linux CPUs", "taskset -c 0-3 mcexec", "calls"),
        ]
    },
    evaluate: |points| points,
};

/// Reads of 4 KiB, one after the other and at random places.
pub const SCALING_READS: Experiment = Experiment {
    name: "scaling_reads",
    title: "pread of 4 KiB of a file in memory by several threads",
    x: THREADS,
    y: Axis {
        label: "throughput, MB/s, all threads",
        log: false,
    },
    smp: 8,
    marked: false,
    runs: || {
        vec![
            scaling("native, sequential", "taskset -c 0-3", "sequential"),
            scaling("native, random", "taskset -c 0-3", "random"),
            scaling("ours, sequential", "mcexec", "sequential"),
            scaling("ours, random", "mcexec", "random"),
        ]
    },
    evaluate: |points| points,
};

fn scaling(curve: &str, launcher: &str, what: &str) -> Run {
    run(
        curve,
        format!("{launcher} $programs/scaling {what} 1 2 3 4"),
    )
}
