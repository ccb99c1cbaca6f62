// SPDX-License-Identifier: GPL-2.0
//! Assumptions of the modules about Linux that no compiler sees: `setup/assumptions.txt`, held against one kernel's
//! exports, configuration, description of types, and source.

use anyhow::{ensure, Context, Result};
use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use xtask::setup::buildroot;
use xtask::setup::chroot::Chroot;
use xtask::setup::kernel::{Kernel, Prepared};

const LIST: &str = include_str!("../../setup/assumptions.txt");

/// Flavours whose lines say so do not count.
const NOT_RT: &str = "not rt";

/// One line of the list.
#[derive(Debug, PartialEq, Eq)]
enum Assumption<'a> {
    Export(&'a str),
    Type(&'a str, &'a str),
    Config(&'a str),
    Source(&'a str, &'a str),
}

/// Checks every assumption.
///
/// # Errors
/// Those that do not hold, one line each; or the kernel cannot be had.
pub fn check(kernel: &Kernel) -> Result<()> {
    let prepared = kernel.prepared()?;
    let read = |name: &str| {
        let path = kernel.headers().join(name);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let (symvers, config) = (read("Module.symvers")?, read(".config")?);
    let symbols = exports(&symvers);
    let is_rt = config.lines().any(|line| line == "CONFIG_PREEMPT_RT=y");
    let types = types(kernel)?;
    let mut wrong = Vec::new();
    for line in lines(LIST) {
        let (assumption, why) = parse(line).with_context(|| format!("assumptions.txt: {line}"))?;
        if is_rt && why.contains(NOT_RT) {
            continue;
        }
        let holds = match assumption {
            Assumption::Export(name) => symbols.contains(name),
            Assumption::Config(entry) => config.lines().any(|it| it == entry),
            Assumption::Type(name, field) => {
                types.get(name).is_some_and(|text| has_member(text, field))
            }
            Assumption::Source(file, pattern) => in_source(&prepared, file, pattern)?,
        };
        if !holds {
            wrong.push(line);
        }
    }
    ensure!(
        wrong.is_empty(),
        "Linux {} is not as the modules assume (docs/kernels.md):\n{}",
        kernel.release,
        wrong.join("\n")
    );
    Ok(())
}

fn lines(list: &str) -> impl Iterator<Item = &str> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// An assumption and why it is made. The last column is the reason; a regular expression may contain bars without
/// spaces.
fn parse(line: &str) -> Option<(Assumption<'_>, &str)> {
    let (kind, rest) = line.split_once(" | ")?;
    let (rest, why) = rest.rsplit_once("| ")?;
    let rest = rest.trim_end();
    let assumption = match kind.trim_end() {
        "export" => Assumption::Export(rest),
        "config" => Assumption::Config(rest),
        "type" => {
            let (name, field) = rest.split_once(" | ")?;
            Assumption::Type(name, field)
        }
        "source" => {
            let (file, pattern) = rest.split_once(" | ")?;
            Assumption::Source(file, pattern)
        }
        _ => return None,
    };
    Some((assumption, why))
}

/// Symbols of `Module.symvers` that any module may use: those without a namespace in the fifth column.
fn exports(symvers: &str) -> BTreeSet<&str> {
    let usable = symvers.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let namespace = columns.get(4).copied().unwrap_or_default();
        namespace.is_empty().then_some(*columns.get(1)?)
    });
    usable.collect()
}

/// The types that the list names, as pahole prints them.
fn types(kernel: &Kernel) -> Result<BTreeMap<&'static str, String>> {
    let named = lines(LIST).filter_map(|line| match parse(line)?.0 {
        Assumption::Type(name, _) => Some(name),
        _ => None,
    });
    let headers = kernel.headers();
    let chroot = Chroot::new(&buildroot::prepare()?).bind(&headers, "/headers");
    let mut types = BTreeMap::new();
    for name in named.collect::<BTreeSet<_>>() {
        let mut pahole = chroot.command("pahole");
        pahole.args(["-F", "btf", "-C", name, "/headers/vmlinux"]);
        let output = pahole.output().context("pahole")?;
        types.insert(name, String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Ok(types)
}

fn has_member(text: &str, field: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == field)
}

fn in_source(prepared: &Prepared, file: &str, pattern: &str) -> Result<bool> {
    let pattern = Regex::new(pattern)?;
    let text = fs::read_to_string(prepared.source.join(Path::new(file))).unwrap_or_default();
    Ok(pattern.is_match(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_can_be_read() {
        for line in lines(LIST) {
            let (assumption, why) = parse(line).unwrap_or_else(|| panic!("{line}"));
            assert!(!why.is_empty(), "{line}");
            if let Assumption::Source(_, pattern) = assumption {
                assert!(Regex::new(pattern).is_ok(), "{line}");
            }
        }
        assert!(lines(LIST).count() > 30);
    }

    #[test]
    fn exports_in_a_namespace_are_not_ours() {
        let symvers = "0x0\tapic\tvmlinux\tEXPORT_SYMBOL_GPL\t\n0x0\te820__mapped_raw_any\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:kvm\n";
        assert_eq!(exports(symvers), BTreeSet::from(["apic"]));
    }

    #[test]
    fn members_are_whole_words() {
        assert!(has_member(
            "struct page {\n\tatomic_t _refcount; /* 52 4 */",
            "_refcount"
        ));
        assert!(!has_member("atomic_t _refcounts;", "_refcount"));
    }
}
