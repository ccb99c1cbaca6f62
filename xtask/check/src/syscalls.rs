// SPDX-License-Identifier: GPL-2.0
//! The contract's system call table: checked against the kernel's own list of numbers, and turned into
//! `docs/syscalls.md`. The page also says which file of the co-kernel has the function of a local call.

use anyhow::{ensure, Context, Result};
use ihk_ikc::syscalls::{Route, SystemCall, CALLS};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use xtask::paths;
use xtask::setup::kernel::Kernel;

const TABLE: &str = "ihk-ikc/src/proto/syscalls/table.rs";
/// Where the functions of local calls are listed.
const FUNCTIONS: &str = "cokernel/src/syscall/table.rs";
const PAGE: &str = "docs/syscalls.md";
/// The kernel's list, in its headers.
const NUMBERS: &str = "arch/x86/include/generated/uapi/asm/unistd_64.h";

/// Checks the table against the kernel's own list.
///
/// # Errors
/// A row is wrong or missing.
pub fn check_numbers(kernel: &Kernel) -> Result<()> {
    let header = kernel.headers().join(NUMBERS);
    let header = fs::read_to_string(&header).with_context(|| header.display().to_string())?;
    verdict(compare(CALLS, &numbers(&header)))
}

/// Checks what the table says without any kernel, and the page against it; with `update` the page is written instead.
///
/// # Errors
/// A row is wrong, or the page is out of date.
pub fn check_page(update: bool) -> Result<()> {
    verdict(contradictions(CALLS))?;
    let functions = fs::read_to_string(paths::repository().join(FUNCTIONS)).context(FUNCTIONS)?;
    let page = page(CALLS, &files(&functions));
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

fn verdict(wrong: Vec<String>) -> Result<()> {
    ensure!(wrong.is_empty(), "{TABLE}: {}", wrong.join("; "));
    Ok(())
}

/// Reads `name file::function;` lines. Returns the file of each name.
fn files(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| {
            let (name, function) = line
                .trim()
                .strip_suffix(';')?
                .split_once(char::is_whitespace)?;
            let (file, function) = function.trim_start().split_once("::")?;
            let is_word = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_');
            [name, file, function]
                .into_iter()
                .all(is_word)
                .then_some((name, file))
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

/// What is wrong with the rows, whatever the kernel. The contract's own rows would not even compile.
fn contradictions(rows: &[SystemCall]) -> Vec<String> {
    let mut wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| Some(format!("{} {}", row.name, row.contradiction()?)))
        .collect();
    let numbers: BTreeSet<u64> = rows.iter().map(|row| row.number).collect();
    if rows.len() != numbers.len() {
        wrong.push("two rows for one number".into());
    }
    wrong
}

/// What of the kernel's numbers the rows lack or have wrong.
fn compare(rows: &[SystemCall], numbers: &BTreeMap<u64, String>) -> Vec<String> {
    let mut wrong: Vec<String> = Vec::new();
    let by_number: BTreeMap<u64, &SystemCall> = rows.iter().map(|row| (row.number, row)).collect();
    for (number, name) in numbers {
        match by_number.get(number) {
            Some(row) if row.name == name => {}
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

fn page(rows: &[SystemCall], files: &BTreeMap<&str, &str>) -> String {
    let count =
        |is_meant: fn(&Route) -> bool| rows.iter().filter(|row| is_meant(&row.route)).count();
    let mut page = format!(
        "# System calls\n\n\
         Generated from `{TABLE}` by `cargo xtask check --update`; do not edit.\n\n\
         Of Linux's {} system calls on x86-64, {} are done by the co-kernel, {} by the proxy on Linux as they\n\
         are, and {} are refused. A number without a row is `ENOSYS`.\n\n\
         * **local**: done in the file named, below `cokernel/src/syscall/`\n\
         * **delegated**: performed by the calling thread's worker, with the very same arguments\n\
         * an error: always that one\n\n\
         | number | name | where | why |\n|---|---|---|---|\n",
        rows.len(),
        count(|route| matches!(route, Route::Local)),
        count(|route| matches!(route, Route::Delegated | Route::Inherited)),
        count(|route| matches!(route, Route::Refused(_))),
    );
    for row in rows {
        let (number, name, place) = (row.number, row.name, place(row, files));
        page += &format!("| {number} | {name} | {place} | {} |\n", row.why);
    }
    page
}

fn place(row: &SystemCall, files: &BTreeMap<&str, &str>) -> String {
    match row.route {
        Route::Local => format!("local: `{}.rs`", files.get(row.name).unwrap_or(&"?")),
        Route::Delegated => "delegated".into(),
        Route::Inherited => "delegated; changes what new threads inherit".into(),
        Route::Refused(error) => format!("{:?}", Errno::from_raw(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ihk_ikc::syscalls::Class;

    const fn row(number: u64, name: &'static str, route: Route, class: Class) -> SystemCall {
        SystemCall {
            number,
            name,
            route,
            why: "so",
            class,
        }
    }

    const GOOD: [SystemCall; 3] = [
        row(0, "read", Route::Delegated, Class::DESCRIPTOR_FIRST),
        row(9, "mmap", Route::Local, Class::OWN_MEMORY),
        row(471, "x", Route::Refused(38), Class::NONE),
    ];

    #[test]
    fn rows_are_read_and_other_lines_are_not() {
        let files = files("    mmap   mapping::mmap;\n let x = a::b;\nuse core::x;\n  y z;\n");
        assert_eq!(files.get("mmap"), Some(&"mapping"));
        assert!(!files.contains_key("let") && !files.contains_key("y"));
        let page = page(&GOOD, &files);
        assert!(page.contains("| 0 | read | delegated | so |"));
        assert!(page.contains("| 9 | mmap | local: `mapping.rs` | so |"));
        assert!(page.contains("| 471 | x | ENOSYS | so |"));
    }

    #[test]
    fn missing_wrong_and_dangerous_rows_are_found() {
        let header = "#define __NR_read 0\n#define __NR_mmap 9\n#define __NR_x 471\n";
        assert!(compare(&GOOD, &numbers(header)).is_empty());
        let more = format!("{header}#define __NR_y 472\n");
        assert!(!compare(&GOOD, &numbers(&more)).is_empty());
        let older = header.replace("#define __NR_x 471\n", "");
        assert!(compare(&GOOD, &numbers(&older)).is_empty());
        let hole = format!("{older}#define __NR_z 480\n");
        assert!(!compare(&GOOD, &numbers(&hole)).is_empty());
        let other = header.replace("read", "write");
        assert!(!compare(&GOOD, &numbers(&other)).is_empty());
        let mut dangerous = GOOD;
        dangerous[1].route = Route::Delegated;
        assert!(!contradictions(&dangerous).is_empty());
        let mut twice = GOOD;
        twice[2].number = 9;
        assert!(!contradictions(&twice).is_empty());
        assert!(contradictions(&GOOD).is_empty());
    }
}
