// SPDX-License-Identifier: GPL-2.0
//! The text of `/proc/{cpuinfo,stat,meminfo}` for programs, and sysinfo: the co-kernel's CPUs and
//! memory.

use std::fs;

use ihk_ikc::view::MachineView;
use nix::errno::Errno;

use super::{ask, sysfs};
use crate::window;

/// Nanoseconds of a clock tick as user space counts them.
const NS_PER_TICK: u64 = 10_000_000;

/// Returns `cpuinfo`, as it was written when the instance was booted.
///
/// # Errors
///
/// `ENOENT` if it was not written.
pub(super) fn cpuinfo() -> Result<Vec<u8>, Errno> {
    let path = sysfs::tree().ok_or(Errno::ENOENT)?.join("proc/cpuinfo");
    fs::read(path).map_err(|_| Errno::ENOENT)
}

/// Makes `stat` of Linux's `text`: the lines about CPUs are the co-kernel's.
///
/// # Errors
///
/// The co-kernel is gone.
pub(super) fn stat(text: &str) -> Result<Vec<u8>, Errno> {
    let cpus = ask::cpus()?;
    let machine = ask::machine()?;
    let line = |name: &str, busy_ns: u64, all_ns: u64| {
        let (busy, idle) = (
            busy_ns / NS_PER_TICK,
            all_ns.saturating_sub(busy_ns) / NS_PER_TICK,
        );
        format!("{name} {busy} 0 0 {idle} 0 0 0 0 0 0\n")
    };
    let count = cpus.len() as u64;
    let busy = cpus.iter().map(|cpu| cpu.busy_ns).sum();
    let mut shown = line("cpu ", busy, machine.uptime_ns * count);
    for (number, cpu) in cpus.iter().enumerate() {
        shown += &line(&format!("cpu{number}"), cpu.busy_ns, machine.uptime_ns);
    }
    for line in text.lines().filter(|line| !line.starts_with("cpu")) {
        shown += &format!("{line}\n");
    }
    Ok(shown.into_bytes())
}

/// Makes `meminfo` of Linux's `text`: the memory is the partition's. Pages of files that no program
/// has mapped just now count as cached; other caches are Linux's.
///
/// # Errors
///
/// The co-kernel is gone.
pub(super) fn meminfo(text: &str) -> Result<Vec<u8>, Errno> {
    Ok(meminfo_of(&ask::machine()?, text))
}

fn meminfo_of(machine: &MachineView, text: &str) -> Vec<u8> {
    let used = machine.total_bytes.saturating_sub(machine.free_bytes);
    let mut shown = String::new();
    for line in text.lines() {
        let name = line.split(':').next().unwrap_or_default();
        let bytes = match name {
            "MemTotal" | "CommitLimit" | "DirectMap2M" => machine.total_bytes,
            "MemFree" => machine.free_bytes.saturating_sub(machine.cached_bytes),
            "MemAvailable" => machine.free_bytes,
            "Cached" | "Inactive" | "Inactive(file)" => machine.cached_bytes,
            "AnonPages" | "Active" | "Active(anon)" | "Committed_AS" => used,
            "Hugepagesize" | "VmallocTotal" => {
                shown += &format!("{line}\n");
                continue;
            }
            _ => 0,
        };
        let unit = if line.ends_with(" kB") { " kB" } else { "" };
        shown += &format!("{:<16}{:8}{unit}\n", format!("{name}:"), bytes / 1024);
    }
    shown.into_bytes()
}

/// Bytes of Linux's `struct sysinfo` before its word `totalram`.
const TOTAL_RAM_AT: u64 = 32;

/// Amends the answer of `sysinfo`, whose structure Linux has written at `address`: the memory is
/// the partition's, and there is no swap.
pub(super) fn amend_sysinfo(address: u64) -> Result<(), Errno> {
    let machine = ask::machine()?;
    // Total, free, shared, buffers, total swap, free swap; then the number of processes, and so on.
    let words = [machine.total_bytes, machine.free_bytes, 0, 0, 0, 0];
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    window::write(address.wrapping_add(TOTAL_RAM_AT), &bytes)?;
    // Bytes are the unit from now on: `mem_unit`, behind processes, padding and high memory.
    window::write(
        address.wrapping_add(TOTAL_RAM_AT + 6 * 8 + 24),
        &1_u32.to_le_bytes(),
    )
}

#[cfg(test)]
mod tests {
    use super::meminfo_of;
    use ihk_ikc::view::MachineView;

    #[test]
    fn memory_is_the_partitions() {
        let machine = MachineView {
            total_bytes: 64 << 20,
            free_bytes: 16 << 20,
            cached_bytes: 1 << 20,
            ..MachineView::default()
        };
        let text = "MemTotal:       99 kB\nMemFree:  9 kB\nCached:  9 kB\nHugePages_Total:       7\nHugepagesize:       2048 kB\n";
        let shown = String::from_utf8(meminfo_of(&machine, text)).unwrap();
        assert_eq!(
            shown,
            "MemTotal:          65536 kB\nMemFree:           15360 kB\nCached:             1024 kB\nHugePages_Total:       0\nHugepagesize:       2048 kB\n"
        );
    }
}
