// SPDX-License-Identifier: GPL-2.0
//! The co-kernel's system call table, read from its source: checked against the kernel's own list of numbers, and
//! turned into `docs/syscalls.md`.

use anyhow::{ensure, Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::paths;
use crate::setup::kernel::Kernel;

const TABLE: &str = "cokernel/src/syscall/table.rs";
const PAGE: &str = "docs/syscalls.md";
/// The kernel's list, in its headers.
const NUMBERS: &str = "arch/x86/include/generated/uapi/asm/unistd_64.h";

/// Calls that would act on the proxy instead of the program if they were just performed by a worker: memory, signal
/// stack and mask, robust list, rseq, threads and processes, filters of system calls.
const NEVER_DELEGATED: &[&str] = &[
    "mmap",
    "mprotect",
    "munmap",
    "brk",
    "mremap",
    "madvise",
    "mincore",
    "msync",
    "mlock",
    "mlock2",
    "munlock",
    "mlockall",
    "munlockall",
    "remap_file_pages",
    "mbind",
    "set_mempolicy",
    "get_mempolicy",
    "migrate_pages",
    "move_pages",
    "shmat",
    "shmdt",
    "pkey_mprotect",
    "pkey_alloc",
    "pkey_free",
    "mseal",
    "userfaultfd",
    "process_madvise",
    "map_shadow_stack",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "set_robust_list",
    "get_robust_list",
    "rseq",
    "futex",
    "set_tid_address",
    "arch_prctl",
    "prctl",
    "seccomp",
    "clone",
    "clone3",
    "fork",
    "vfork",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "gettid",
    "getpid",
];

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    number: u64,
    name: String,
    route: String,
}

/// Checks the table against the kernel's own list.
///
/// # Errors
/// A row is wrong or missing.
pub fn check_numbers(kernel: &Kernel) -> Result<()> {
    let header = kernel.headers().join(NUMBERS);
    let header = fs::read_to_string(&header).with_context(|| header.display().to_string())?;
    verdict(compare(&table()?, &numbers(&header)))
}

/// Checks what the table says without any kernel, and the page against it; with `update` the page is written instead.
///
/// # Errors
/// A row is wrong, or the page is out of date.
pub fn check_page(update: bool) -> Result<()> {
    let rows = table()?;
    verdict(contradictions(&rows))?;
    let page = page(&rows);
    let path = paths::repository().join(PAGE);
    if update {
        return fs::write(&path, page).context(PAGE);
    }
    let present = fs::read_to_string(&path).unwrap_or_default();
    ensure!(
        present == page,
        "{PAGE} does not fit {TABLE}: run cargo xtask check --update"
    );
    Ok(())
}

fn table() -> Result<Vec<Row>> {
    let text = fs::read_to_string(paths::repository().join(TABLE)).context(TABLE)?;
    Ok(rows(&text))
}

fn verdict(wrong: Vec<String>) -> Result<()> {
    ensure!(wrong.is_empty(), "{TABLE}: {}", wrong.join("; "));
    Ok(())
}

/// Reads `number name Route;` lines.
fn rows(text: &str) -> Vec<Row> {
    text.lines()
        .filter_map(|line| {
            let (number, rest) = line
                .trim()
                .strip_suffix(';')?
                .split_once(char::is_whitespace)?;
            let (name, route) = rest.trim_start().split_once(char::is_whitespace)?;
            Some(Row {
                number: number.parse().ok()?,
                name: name.to_string(),
                route: route.trim_start().to_string(),
            })
        })
        .collect()
}

/// Reads `#define __NR_name number` lines; `__NR_syscalls` is their count, not one of them.
fn numbers(header: &str) -> BTreeMap<u64, String> {
    header
        .lines()
        .filter_map(|line| {
            let (name, number) = line.strip_prefix("#define __NR_")?.split_once(' ')?;
            (name != "syscalls").then_some((number.parse().ok()?, name.to_string()))
        })
        .collect()
}

/// What is wrong with the rows, whatever the kernel.
fn contradictions(rows: &[Row]) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    for row in rows {
        if matches!(row.route.as_str(), "Delegate" | "ThreadState")
            && NEVER_DELEGATED.contains(&row.name.as_str())
        {
            wrong.push(format!("{} must not be delegated as it is", row.name));
        }
    }
    let numbers: BTreeSet<u64> = rows.iter().map(|row| row.number).collect();
    if rows.len() != numbers.len() {
        wrong.push("two rows for one number".into());
    }
    wrong
}

/// What of the kernel's numbers the rows lack or have wrong.
fn compare(rows: &[Row], numbers: &BTreeMap<u64, String>) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    let by_number: BTreeMap<u64, &Row> = rows.iter().map(|row| (row.number, row)).collect();
    for (number, name) in numbers {
        match by_number.get(number) {
            Some(row) if row.name == *name => {}
            Some(row) => wrong.push(format!("{number} is {name}, not {}", row.name)),
            None => wrong.push(format!("{number} {name} has no row")),
        }
    }
    // Numbers are only ever added: a kernel older than the newest series lacks the last ones, and refuses them.
    let last = numbers.keys().next_back().copied().unwrap_or(0);
    for row in rows {
        if row.number <= last && !numbers.contains_key(&row.number) {
            wrong.push(format!("{} {} is no system call", row.number, row.name));
        }
    }
    wrong
}

fn page(rows: &[Row]) -> String {
    let count = |prefix: &str| {
        rows.iter()
            .filter(|row| row.route.starts_with(prefix))
            .count()
    };
    let delegated = count("Delegate") + count("ThreadState");
    let mut page = format!(
        "# System calls\n\n\
         Generated from `{TABLE}` by `cargo xtask check --update`; do not edit.\n\n\
         Of Linux's {} system calls on x86-64, {} are done by the co-kernel, {} by the proxy on Linux as they\n\
         are, and {} are refused. A number without a row is `ENOSYS`.\n\n\
         * **local**: done in the file named, below `cokernel/src/syscall/`\n\
         * **delegated**: performed by the calling thread's worker, with the very same arguments\n\
         * an error: always that one\n\n\
         | number | name | where |\n|---|---|---|\n",
        rows.len(),
        count("Local"),
        delegated,
        rows.len() - count("Local") - delegated,
    );
    for row in rows {
        page += &format!(
            "| {} | {} | {} |\n",
            row.number,
            row.name,
            place(&row.route)
        );
    }
    page
}

fn place(route: &str) -> String {
    let inside = |prefix: &str| route.strip_prefix(prefix)?.strip_suffix(')');
    match (inside("Local("), inside("Refuse("), route) {
        (Some(function), ..) => {
            format!(
                "local: `{}.rs`",
                function.split("::").next().unwrap_or(function)
            )
        }
        (_, Some(error), _) => error.to_string(),
        (.., "Enosys") => "ENOSYS".into(),
        (.., "Delegate") => "delegated".into(),
        (.., "ThreadState") => "delegated; changes what new threads inherit".into(),
        (.., other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "    0   read   Delegate;\n    9 mmap Local(mmap::mmap);\n   471 x Enosys;\n let x = 3;\n";

    #[test]
    fn rows_are_read_and_other_lines_are_not() {
        let rows = rows(GOOD);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1].route, "Local(mmap::mmap)");
        assert!(page(&rows).contains("| 9 | mmap | local: `mmap.rs` |"));
    }

    #[test]
    fn missing_wrong_and_dangerous_rows_are_found() {
        let header = "#define __NR_read 0\n#define __NR_mmap 9\n#define __NR_x 471\n";
        assert!(compare(&rows(GOOD), &numbers(header)).is_empty());
        let more = format!("{header}#define __NR_y 472\n");
        assert!(!compare(&rows(GOOD), &numbers(&more)).is_empty());
        let older = header.replace("#define __NR_x 471\n", "");
        assert!(compare(&rows(GOOD), &numbers(&older)).is_empty());
        let hole = format!("{older}#define __NR_z 480\n");
        assert!(!compare(&rows(GOOD), &numbers(&hole)).is_empty());
        let other = header.replace("read", "write");
        assert!(!compare(&rows(GOOD), &numbers(&other)).is_empty());
        let dangerous = GOOD.replace("Local(mmap::mmap)", "Delegate");
        assert!(!contradictions(&rows(&dangerous)).is_empty());
        let twice = GOOD.replace("471", "9");
        assert!(!contradictions(&rows(&twice)).is_empty());
        assert!(contradictions(&rows(GOOD)).is_empty());
    }
}
