// SPDX-License-Identifier: GPL-2.0
//! Linux's cores and nodes, read from sysfs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ihk_ikc::layout::{LARGE_PAGE_BYTES, MAX_NODES};
use ihk_ikc::uapi::{CpuSet, MemorySpec};

use crate::failure::{Failure, Result};
use crate::list;

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";

/// CPUs the machine has, online or not.
///
/// # Errors
///
/// sysfs cannot be read.
pub fn present_cpus() -> Result<CpuSet> {
    read_list(&format!("{CPUS}/present"))
}

/// CPUs Linux runs on.
///
/// # Errors
///
/// sysfs cannot be read.
pub fn online_cpus() -> Result<CpuSet> {
    read_list(&format!("{CPUS}/online"))
}

fn read_list(path: &str) -> Result<CpuSet> {
    let text = fs::read_to_string(path).map_err(|error| Failure::refused(path, error))?;
    list::parse(text.trim()).map_err(|reason| Failure::refused(path, reason))
}

/// Refuses CPUs that the machine does not have.
///
/// # Errors
///
/// The first of them, told under the heading `what`.
pub fn check_cpus(what: &str, cpus: &CpuSet) -> Result {
    let unknown = list::difference(cpus, &present_cpus()?);
    match list::numbers(&unknown).first() {
        None => Ok(()),
        Some(cpu) => Err(Failure::refused(
            what,
            format_args!("no CPU {cpu} in this machine"),
        )),
    }
}

/// Refuses nodes that the machine does not have.
///
/// # Errors
///
/// The first of them, told under the heading `what`.
pub fn check_nodes(what: &str, memory: &MemorySpec) -> Result {
    for (node, bytes) in memory.bytes.iter().enumerate() {
        // A kernel without NUMA has no folder, and one node.
        let known = node == 0 || Path::new(&format!("{NODES}/node{node}")).exists();
        if *bytes != 0 && !known {
            return Err(Failure::refused(
                what,
                format_args!("no node {node} in this machine"),
            ));
        }
    }
    Ok(())
}

/// The upper half of the cores that Linux runs on, with all their hardware threads.
///
/// # Errors
///
/// There is only one core, or sysfs cannot be read.
pub fn upper_half() -> Result<CpuSet> {
    let mut cores: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for cpu in list::numbers(&online_cpus()?) {
        let siblings = read_list(&format!("{CPUS}/cpu{cpu}/topology/thread_siblings_list"))?;
        let first = list::numbers(&siblings).first().copied().unwrap_or(cpu);
        cores.entry(first).or_default().push(cpu);
    }
    choose_upper_half(cores.into_values().collect())
        .ok_or_else(|| Failure::refused("cpu", "at least two cores are needed"))
}

/// `cores` ascending; Linux keeps the lower half and the odd one.
fn choose_upper_half(mut cores: Vec<Vec<usize>>) -> Option<CpuSet> {
    let upper = cores.split_off(cores.len().div_ceil(2));
    (!upper.is_empty()).then(|| list::from_numbers(upper.into_iter().flatten()))
}

/// A quarter of the free memory of each node, in whole large pages.
///
/// # Errors
///
/// There is less than one large page, or sysfs cannot be read.
pub fn quarter_of_free_memory() -> Result<MemorySpec> {
    let mut spec = MemorySpec::default();
    for (node, bytes) in spec.bytes.iter_mut().enumerate().take(MAX_NODES) {
        let text = match fs::read_to_string(format!("{NODES}/node{node}/meminfo")) {
            Ok(text) => text,
            Err(_) if node == 0 => fs::read_to_string("/proc/meminfo")
                .map_err(|error| Failure::refused("/proc/meminfo", error))?,
            Err(_) => continue,
        };
        let free = free_bytes(&text).unwrap_or(0);
        *bytes = free / 4 / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
    }
    if crate::memory::is_empty(&spec) {
        return Err(Failure::refused("memory", "less than 8M free"));
    }
    Ok(spec)
}

/// The `MemFree` of a meminfo text, bytes.
fn free_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.contains("MemFree:"))?;
    let kib: u64 = line.split_whitespace().rev().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::{choose_upper_half, free_bytes};
    use crate::list::print;

    #[test]
    fn the_upper_half_leaves_the_odd_core_to_linux() {
        let half = |cores: Vec<Vec<usize>>| choose_upper_half(cores).map(|set| print(&set));
        assert_eq!(
            half(vec![vec![0], vec![1], vec![2], vec![3]]).as_deref(),
            Some("2-3")
        );
        assert_eq!(half(vec![vec![0], vec![1], vec![2]]).as_deref(), Some("2"));
        assert_eq!(half(vec![vec![0, 2], vec![1, 3]]).as_deref(), Some("1,3"));
        assert_eq!(half(vec![vec![0]]), None);
    }

    #[test]
    fn free_memory_is_read_from_both_forms_of_meminfo() {
        assert_eq!(
            free_bytes("Node 0 MemTotal: 9 kB\nNode 0 MemFree:  2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(free_bytes("MemTotal: 9 kB\nMemFree:   4 kB\n"), Some(4096));
        assert_eq!(free_bytes("nothing"), None);
    }
}
