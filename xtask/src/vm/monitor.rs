// SPDX-License-Identifier: GPL-2.0
//! QEMU's monitor: asked where the processors of a machine are that does not answer any more.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long QEMU may take to print the registers of all processors.
const LIMIT: Duration = Duration::from_secs(5);

/// The registers of all processors as QEMU prints them; what came within five seconds.
pub(super) fn registers(monitor: &mut UnixStream) -> String {
    let mut text = Vec::new();
    let deadline = Instant::now() + LIMIT;
    let asked = monitor.write_all(b"info registers -a\n");
    let silence = monitor.set_read_timeout(Some(Duration::from_millis(500)));
    if asked.is_err() || silence.is_err() {
        return String::new();
    }
    let mut buffer = [0; 1 << 14];
    while Instant::now() < deadline {
        match monitor.read(&mut buffer) {
            Ok(count @ 1..) => text.extend_from_slice(&buffer[..count]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&text).replace('\r', "")
}

/// The lines that say where each processor is: its instruction pointer, flags and whether it is halted.
pub(super) fn places(registers: &str) -> Vec<&str> {
    registers
        .lines()
        .filter(|line| line.starts_with("RIP=") || line.starts_with("EIP="))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::places;

    #[test]
    fn places_are_one_line_per_processor() {
        let text = "\nCPU#0\nRAX=00 RBX=00\nRIP=ffffffff81474028 RFL=00000016 [----AP-] CPL=0 II=0 A20=1 SMM=0 HLT=0\n\
                    CPU#1\nEIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1\n(qemu) ";
        assert_eq!(places(text).len(), 2);
    }
}
