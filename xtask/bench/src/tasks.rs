// SPDX-License-Identifier: GPL-2.0
//! Tasks of system calls and computation, made in three ways: as usual, call by call and as functions.

use crate::experiment::{run, Experiment, Run};
use crate::figure::Axis;

const TIME: Axis = Axis {
    label: "time of a task, µs",
    log: true,
};

/// By the number of calls of a task.
pub const TASKS_CALLS: Experiment = Experiment {
    name: "tasks_calls",
    title: "tasks of n × (system call, 128 loops)",
    x: Axis {
        label: "calls of a task",
        log: true,
    },
    y: TIME,
    smp: 4,
    marked: false,
    runs: || runs(&[1, 2, 4, 8, 16, 32, 64].map(|calls| (calls, 128)), 3),
    evaluate: |points| points,
};

/// By the computation after each call.
pub const TASKS_LOOPS: Experiment = Experiment {
    name: "tasks_loops",
    title: "tasks of 4 × (system call, n loops)",
    x: Axis {
        label: "loops of computation after each call",
        log: false,
    },
    y: TIME,
    smp: 4,
    marked: false,
    runs: || runs(&[0, 128, 256, 512, 768, 1024].map(|loops| (4, loops)), 4),
    evaluate: |points| points,
};

/// A curve for each way and side, each side with two CPUs: Linux's two, or one of each kernel. x is part `field` of the figures' names, `tasks_WAY_CALLS_LOOPS`.
fn runs(tasks: &[(u32, u32)], field: u32) -> Vec<Run> {
    let ways = [
        ("as usual", "plain"),
        ("calls posted", "flexsc"),
        ("function posted", "sakura"),
    ];
    let both = ways.map(|(title, way)| {
        let names: String = tasks
            .iter()
            .map(|(calls, loops)| format!(" tasks_{way}_{calls}_{loops}"))
            .collect();
        [("native", ""), ("ours", "taskset -c 0 mcexec ")].map(|(side, launcher)| {
            let points = format!("awk -F'[_ ]' '{{ print ${field}, $5 / 1000 }}'");
            run(
                format!("{side}: {title}"),
                format!("{launcher}$programs/tasks{names} | {points}"),
            )
        })
    });
    both.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_done_on_both_sides_and_x_is_what_changes() {
        let runs = (TASKS_LOOPS.runs)();
        assert_eq!(runs.len(), 6);
        assert!(runs[3]
            .command
            .starts_with("taskset -c 0 mcexec $programs/tasks tasks_flexsc_4_0 "));
        assert!(runs[3].command.ends_with("print $4, $5 / 1000 }'"));
    }
}
