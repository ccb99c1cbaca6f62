// SPDX-License-Identifier: GPL-2.0
//! The transports by which a delegated read's data can travel, by length (`mcexec --way`).

use crate::experiment::{run, Experiment, Run};
use crate::figure::Axis;

/// Lengths of the reads, bytes.
const LENGTHS: &str = "4 64 1024 4096 16384 65536 262144 1048576 4194304 10485760";

/// The experiment.
pub const WAYS: Experiment = Experiment {
    name: "ways",
    title: "pread of a file in memory, by the way its data travels",
    x: Axis {
        label: "length of a read, bytes",
        log: true,
    },
    y: Axis {
        label: "throughput, MB/s",
        log: true,
    },
    smp: 2,
    marked: true,
    runs,
    evaluate: |points| points,
};

fn runs() -> Vec<Run> {
    let reads = |curve: &str, before: &str, buffers: &str| {
        run(
            curve,
            format!("taskset -c 0 {before} $programs/reads {buffers} {LENGTHS}"),
        )
    };
    vec![
        reads("native", "", "reused"),
        reads("mapped already", "mcexec", "reused"),
        reads("copied", "mcexec --way=copy", "fresh"),
        reads("mapped before", "mcexec --way=before", "fresh"),
        reads("faults: around", "mcexec --way=around", "fresh"),
        reads("faults: 1 page", "mcexec --way=page", "fresh"),
    ]
}
