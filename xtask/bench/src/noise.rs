// SPDX-License-Identifier: GPL-2.0
//! Noise: how long the same work takes each time, and how often the core is interrupted meanwhile.

use std::collections::BTreeMap;

use crate::curves::Points;
use crate::experiment::{run, Experiment, Run};
use crate::figure::Axis;

/// Runs the program that $1 names for 6 s and counts interrupts with `count` in 3 of them.
const WATCH: &str = r#"
watch() {
    "$@" $programs/quanta 6 >/tmp/quanta & program=$!
    sleep 2
    before=$(count); sleep 3; after=$(count)
    kill -0 $program || { echo "it ended too early to mean anything" >&2; exit 1; }
    wait $program
    cat /tmp/quanta
    echo "interrupts in 3 s = $((after - before))"
}
"#;
/// Natively: CPU 1 is the third column.
const NATIVE: &str = r#"
count() { awk 'NR > 1 && NF > 3 { sum += $3 } END { print sum }' /proc/interrupts; }
watch taskset -c 1
"#;
/// By the co-kernel's own count.
const OURS: &str = r#"
count() { ihkosctl 0 query usage --json | sed 's/.*"interrupts":\[\([0-9]*\).*/\1/'; }
watch mcexec -c 0
"#;

/// The experiment.
pub const NOISE: Experiment = Experiment {
    name: "noise",
    title: "quanta of the same work on a core that nobody else uses",
    x: Axis {
        label: "longer than the shortest quantum by up to, µs",
        log: true,
    },
    y: Axis {
        label: "quanta",
        log: true,
    },
    smp: 4,
    marked: false,
    runs,
    evaluate: histogram,
};

fn runs() -> Vec<Run> {
    vec![
        run("native", format!("{WATCH}{NATIVE}")),
        run("ours", format!("{WATCH}{OURS}")),
    ]
}

/// From times (ns) with counts to counts by delay in powers of two of a microsecond, and the worst.
fn histogram(times: Points) -> Points {
    let all = || times.points.iter().map(|(ns, _)| *ns);
    let shortest = all().fold(f64::INFINITY, f64::min);
    let mut bins: BTreeMap<u32, f64> = BTreeMap::new();
    for (ns, count) in &times.points {
        *bins.entry(bin((ns - shortest) / 1000.0)).or_default() += count;
    }
    let mut facts = times.facts;
    facts.push(("shortest quantum, µs".into(), shortest / 1000.0));
    let worst = all().fold(0.0, f64::max) - shortest;
    facts.push(("worst detour, µs".into(), worst / 1000.0));
    let points = bins
        .into_iter()
        .map(|(bin, count)| (f64::from(1 << bin), count));
    Points {
        points: points.collect(),
        facts,
        ..Points::default()
    }
}

/// The first power of two that `us` does not exceed; at most 2^30.
fn bin(us: f64) -> u32 {
    (0..30).find(|bin| us <= f64::from(1 << bin)).unwrap_or(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quanta_are_counted_by_how_much_longer_than_the_shortest_they_took() {
        let times = Points {
            points: vec![
                (20_000.0, 50.0),
                (20_900.0, 3.0),
                (23_000.0, 2.0),
                (120_000.0, 1.0),
            ],
            facts: vec![("interrupts in 3 s".into(), 0.0)],
            ..Points::default()
        };
        let found = histogram(times);
        assert_eq!(found.points, [(1.0, 53.0), (4.0, 2.0), (128.0, 1.0)]);
        assert_eq!(found.facts[2], ("worst detour, µs".into(), 100.0));
        assert_eq!((bin(0.0), bin(2.0), bin(2.1), bin(1e12)), (0, 1, 2, 30));
    }
}
