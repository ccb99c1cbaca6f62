// SPDX-License-Identifier: GPL-2.0
//! The kernel's log: lines in the ring that `ihkosctl OS kmsg` reads.

use core::fmt;
use core::fmt::Write;
use core::sync::atomic::Ordering;

use ihk_ikc::kmsg::KmsgRing;
use x86_64::PhysAddr;

use crate::addr::to_usize;
use crate::arch::{self, time};
use crate::params::Params;
use crate::partition;
use crate::sync::SpinLock;

/// The longest time that the panic report waits for the log, in turns of a spin loop.
const BREAK_AFTER: u32 = 10_000_000;

/// Writes one line to the log, with time and CPU before it.
#[macro_export]
macro_rules! klog {
    ($($arg:tt)*) => { $crate::log::line(format_args!($($arg)*)) };
}

/// The ring's text area; the only writer.
struct Log {
    ring: Option<&'static KmsgRing>,
    text: *mut u8,
}

// SAFETY: the pointer is to the log's own memory, which only the holder of the lock writes.
unsafe impl Send for Log {}

static LOG: SpinLock<Log> = SpinLock::new(Log {
    ring: None,
    text: core::ptr::null_mut(),
});

/// Finds the ring. The boot CPU, once; lines before that are lost.
pub fn init(params: Params) {
    let header = size_of::<KmsgRing>() as u64;
    let start = partition::direct_map_ptr(PhysAddr::new(params.kmsg.phys));
    if params.kmsg.bytes <= header
        || !partition::map().contains(params.kmsg.phys, params.kmsg.bytes)
        || params.kmsg.phys % 64 != 0
    {
        return;
    }
    // SAFETY: in the partition and aligned; reserved for the log as long as the instance lives.
    let ring = unsafe { &*start.cast::<KmsgRing>() };
    if ring.capacity != 0 && ring.capacity <= params.kmsg.bytes - header {
        let mut log = LOG.lock();
        log.ring = Some(ring);
        log.text = start.wrapping_add(size_of::<KmsgRing>());
    }
}

/// Writes one line; see [`klog!`].
pub fn line(text: fmt::Arguments<'_>) {
    write_line(&mut LOG.lock(), text);
}

/// Writes one line even if the lock is held for ever: the panic report.
pub fn line_in_panic(text: fmt::Arguments<'_>) {
    // SAFETY: lines are short, so the lock is held by code that failed; any text may be cut off anywhere.
    let mut log = unsafe { LOG.lock_or_break(BREAK_AFTER) };
    write_line(&mut log, text);
}

fn write_line(log: &mut Log, text: fmt::Arguments<'_>) {
    let us = time::uptime_ns() / 1000;
    let (seconds, fraction) = (us / 1_000_000, us % 1_000_000);
    // Writing to the ring cannot fail.
    let _ = writeln!(
        log,
        "[{seconds:5}.{fraction:06}] cpu{}: {text}",
        arch::cpu_index()
    );
}

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Some(ring) = self.ring else {
            return Ok(());
        };
        let mut written = ring.written.load(Ordering::Relaxed);
        for byte in text.bytes() {
            let at = self.text.wrapping_add(to_usize(written % ring.capacity));
            // SAFETY: below the capacity, which `init` checked against the region; Linux only
            // reads, and tolerates bytes that change under it.
            unsafe { at.write_volatile(byte) };
            written += 1;
        }
        ring.written.store(written, Ordering::Release);
        Ok(())
    }
}
