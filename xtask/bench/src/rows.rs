// SPDX-License-Identifier: GPL-2.0
//! The figures: what is measured, and what is to be reached.

/// How a figure is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `bench NAME` of the guest, ns.
    Program,
    /// As `Program`, with two CPUs for each side, nothing pinned.
    Threads,
    /// A static hello, from fork to reaped, ns.
    Launch,
    /// The same, of a program that runs on the same side.
    Spawn,
    /// The boot ioctl to RUNNING, ns; has no native counterpart, the figure is milliseconds.
    Boot,
    /// As `Program`, but must not differ: a ratio beyond 3 % voids the run.
    Control,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Name on the command line and in the output.
    pub name: &'static str,
    /// What it means, for people.
    pub title: &'static str,
    /// How it is taken.
    pub kind: Kind,
    /// The ratio (or milliseconds) to be reached.
    pub reach: Option<f64>,
    /// The ratio (or milliseconds) aimed for.
    pub aim: Option<f64>,
}

const fn row(
    name: &'static str,
    title: &'static str,
    kind: Kind,
    reach: Option<f64>,
    aim: Option<f64>,
) -> Row {
    Row {
        name,
        title,
        kind,
        reach,
        aim,
    }
}

/// All rows, in the order of the table.
pub const ROWS: [Row; 23] = [
    row("control", "arithmetic only", Kind::Control, None, None),
    row("null_local", "getpid", Kind::Program, Some(1.0), Some(0.5)),
    row(
        "null_delegated_b2b",
        "lseek, back to back",
        Kind::Program,
        Some(4.0),
        Some(2.0),
    ),
    row(
        "null_delegated_1ms",
        "lseek after a pause of 1 ms",
        Kind::Program,
        Some(40.0),
        Some(28.0),
    ),
    row(
        "null_delegated_asleep",
        "lseek after pauses of 1 to 5 ms, irregular",
        Kind::Program,
        None,
        None,
    ),
    row(
        "null_delegated_2cpu",
        "lseek, two Linux CPUs, not pinned",
        Kind::Threads,
        Some(6.0),
        Some(2.0),
    ),
    row(
        "delegated_8x1",
        "lseek of 8 threads on one core, one Linux CPU",
        Kind::Program,
        None,
        None,
    ),
    row(
        "pread_4k_reused",
        "pread 4 KiB, same buffer",
        Kind::Program,
        Some(1.8),
        Some(1.3),
    ),
    row(
        "pread_64k_reused",
        "pread 64 KiB, same buffer",
        Kind::Program,
        Some(1.10),
        Some(1.03),
    ),
    row(
        "pread_1m_reused",
        "pread 1 MiB, same buffer",
        Kind::Program,
        Some(1.03),
        Some(1.0),
    ),
    row(
        "pread_4k_fresh",
        "mmap and pread 4 KiB",
        Kind::Program,
        Some(1.1),
        Some(0.7),
    ),
    row(
        "pread_64k_fresh",
        "mmap and pread 64 KiB",
        Kind::Program,
        Some(0.9),
        Some(0.5),
    ),
    row(
        "pread_1m_fresh",
        "mmap and pread 1 MiB",
        Kind::Program,
        Some(0.9),
        Some(0.4),
    ),
    row(
        "mtm_nothp",
        "mmap, touch, munmap 64 MiB; small pages",
        Kind::Program,
        Some(0.10),
        Some(0.04),
    ),
    row(
        "mtm",
        "mmap, touch, munmap 64 MiB; as booted",
        Kind::Program,
        Some(0.8),
        Some(0.25),
    ),
    row(
        "fault_4k",
        "first touch of a small page",
        Kind::Program,
        Some(0.8),
        Some(0.5),
    ),
    row(
        "futex_spin",
        "futex hand-over between two cores",
        Kind::Threads,
        Some(0.02),
        Some(0.01),
    ),
    row(
        "futex_block",
        "the same, 1 ms after the other slept",
        Kind::Threads,
        Some(0.8),
        Some(0.65),
    ),
    row(
        "pthread",
        "pthread_create and join",
        Kind::Threads,
        Some(1.0),
        Some(0.5),
    ),
    row(
        "launch_static",
        "static hello, fork to reaped",
        Kind::Launch,
        Some(4.0),
        Some(2.5),
    ),
    row(
        "spawn_static",
        "static hello from a program there, vfork to reaped",
        Kind::Spawn,
        None,
        None,
    ),
    row(
        "process_per_call",
        "fork, lseek in the child, exit, wait",
        Kind::Program,
        None,
        None,
    ),
    row(
        "boot",
        "boot with 512 MiB, ms",
        Kind::Boot,
        Some(250.0),
        Some(60.0),
    ),
];

/// The rows whose name contains one of `filters`, the control rows always with them; all without a filter.
///
/// # Errors
/// A filter that fits no row.
pub fn select(filters: &[String]) -> anyhow::Result<Vec<Row>> {
    for filter in filters {
        anyhow::ensure!(
            ROWS.iter().any(|row| row.name.contains(filter.as_str())),
            "bench {filter}: no such row"
        );
    }
    let wanted = |row: &&Row| {
        filters.is_empty()
            || row.kind == Kind::Control
            || filters.iter().any(|f| row.name.contains(f.as_str()))
    };
    Ok(ROWS.iter().filter(wanted).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_keeps_the_control_row_and_a_wrong_one_is_refused() {
        let names: Vec<_> = select(&["null_local".into()])
            .unwrap()
            .iter()
            .map(|row| row.name)
            .collect();
        assert_eq!(names, ["control", "null_local"]);
        assert!(select(&["nul_local".into()]).is_err());
        assert_eq!(select(&[]).unwrap().len(), ROWS.len());
    }
}
