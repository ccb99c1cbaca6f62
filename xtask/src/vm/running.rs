// SPDX-License-Identifier: GPL-2.0
//! A QEMU that runs: waiting for the guest's reports, its end, and what can be found out about one that is silent.

use anyhow::{bail, Result};
use guest_init::Report;
use std::error::Error;
use std::fmt;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use crate::vm::monitor;
use crate::vm::reports::Reports;

/// The status of a run that `--timeout` ended.
pub const TIMED_OUT: u8 = 124;

/// How long Linux may take to come up: 2 s on a quiet host, 20 s on a busy one.
pub(super) const BOOT_TIME: Duration = Duration::from_secs(150);

/// How long the guest may take from reporting the status to being off.
const POWER_OFF_TIME: Duration = Duration::from_secs(20);

/// A running QEMU; dropping it kills it.
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) reports: Reports,
    /// When the run must be over.
    pub(super) deadline: Option<Instant>,
    /// How long Linux may take to come up, if that is limited.
    pub(super) boot_time: Option<Duration>,
    pub(super) monitor: UnixStream,
    pub(super) files: Files,
}

/// Files of one run.
pub(super) struct Files {
    /// The job disk; removed at the end.
    pub(super) job: PathBuf,
    /// The log of the serial console.
    pub(super) console: PathBuf,
    /// What QEMU complained about.
    pub(super) errors: PathBuf,
    /// The processors' registers, if the guest fell silent.
    pub(super) registers: PathBuf,
}

impl Files {
    /// Those of a run whose logs lie in `folder`.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            job: folder.join("job.tar"),
            console: folder.join("console.log"),
            errors: folder.join("qemu.log"),
            registers: folder.join("registers.log"),
        }
    }
}

impl Running {
    /// Waits for Linux to come up; false if it does not. A guest that has gone down, or whose time is over, is
    /// [`Self::finish`]'s to report.
    pub(super) fn comes_up(&mut self) -> bool {
        let limits = [self.boot_time, self.left()];
        let limit = limits.into_iter().flatten().min();
        self.reports.come_up(limit) || self.left() == Some(Duration::ZERO)
    }

    /// Waits for the guest's last report and its power-off.
    pub(super) fn finish(mut self, timeout_s: u64) -> Result<(u8, PathBuf)> {
        let console = self.files.console.clone();
        match self.report(timeout_s)? {
            None => Ok((TIMED_OUT, console)),
            Some(Report::Exited(status)) => {
                self.wait_for_power_off()?;
                Ok((status, console))
            }
            Some(other) => bail!("guest: {other:?} at its end: see {}", console.display()),
        }
    }

    /// Waits for the report of an end; None, and the registers are logged, if it does not come before the deadline.
    ///
    /// # Errors
    /// The guest could not do its job, or went down.
    pub(super) fn report(&mut self, timeout_s: u64) -> Result<Option<Report>> {
        match self.reports.last(self.left()) {
            Err(RecvTimeoutError::Timeout) => {
                eprintln!(
                    "xtask: timed out after {timeout_s} s: see {}",
                    self.files.console.display()
                );
                self.whereabouts();
                Ok(None)
            }
            Ok(report @ (Report::Exited(_) | Report::Ended { .. } | Report::Restored { .. })) => {
                Ok(Some(report))
            }
            Ok(Report::Failed(reason)) => {
                self.wait_for_power_off()?;
                bail!("guest: {reason}: see {}", self.files.console.display())
            }
            Ok(Report::Began) | Err(RecvTimeoutError::Disconnected) => {
                self.wait_for_power_off()?;
                let reason = format!(
                    "the guest went down before the command ended{}: see {}",
                    self.last_words(),
                    self.files.console.display()
                );
                let text =
                    |log| fs::read(log).map(|text| String::from_utf8_lossy(&text).into_owned());
                let errors = text(&self.files.errors).unwrap_or_default();
                let console = text(&self.files.console).unwrap_or_default();
                if failed_assertion(&errors).is_some() || met_half_a_change(&console) {
                    bail!(EmulatorFailed(reason));
                }
                bail!(reason)
            }
        }
    }

    /// Ends the machine at once.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What is left of the run's time.
    fn left(&self) -> Option<Duration> {
        let now = Instant::now();
        self.deadline.map(|end| end.saturating_duration_since(now))
    }

    fn wait_for_power_off(&mut self) -> Result<()> {
        let deadline = Instant::now() + POWER_OFF_TIME;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                crate::ui::warn(&format!(
                    "the guest did not power off: see {}",
                    self.files.console.display()
                ));
                self.whereabouts();
                return Ok(());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Logs where the processors of a silent guest are, twice with a second between, and quotes it in a line.
    pub(super) fn whereabouts(&mut self) -> String {
        let first = monitor::registers(&mut self.monitor);
        thread::sleep(Duration::from_secs(1));
        let text = first + &monitor::registers(&mut self.monitor);
        let _ = fs::write(&self.files.registers, &text);
        let places = monitor::places(&text).join("; ");
        format!("{places}: see {}", self.files.console.display())
    }

    /// What QEMU itself complained about, or the kernel's panic line.
    fn last_words(&self) -> String {
        let qemu = fs::read_to_string(&self.files.errors).unwrap_or_default();
        let console = fs::read(&self.files.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let panic = console.lines().find(|line| line.contains("Kernel panic"));
        let line = qemu.lines().last().or(panic).unwrap_or_default().trim();
        if line.is_empty() {
            String::new()
        } else {
            format!(" ({line})")
        }
    }
}

/// QEMU found a mistake of its own and ended itself, which says nothing about the guest
/// (docs/rig.md, "QEMU ends itself").
#[derive(Debug)]
pub(super) struct EmulatorFailed(String);

impl fmt::Display for EmulatorFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for EmulatorFailed {}

/// The line of an assertion of QEMU that did not hold.
fn failed_assertion(errors: &str) -> Option<&str> {
    let is_one = |line: &&str| {
        line.starts_with("qemu-system")
            && line.ends_with("failed.")
            && line.contains(": Assertion ")
    };
    errors.lines().find(is_one)
}

/// Whether Linux died before it had loaded a module, of a breakpoint that it had put into its own code for the time of
/// a change (`smp_text_poke_batch_finish`) and taken out again: the emulator executed what it had translated in between.
fn met_half_a_change(console: &str) -> bool {
    let (_, death) = console.split_once("Oops: int3").unwrap_or_default();
    let mut lines = death.lines().filter_map(|line| line.split_once("] "));
    lines.any(|(_, line)| line.trim_end() == "Modules linked in:")
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_file(&self.files.job);
    }
}

#[cfg(test)]
mod tests {
    use super::{failed_assertion, met_half_a_change};

    #[test]
    fn a_breakpoint_counts_as_the_emulators_only_before_there_are_modules() {
        let died = |modules: &str| {
            format!(
                "[    1.261364] Oops: int3: 0000 [#1] SMP NOPTI\r\n[    1.261824] RIP: 0010:set_next_task_fair+0x609/0x780\r\n\
                 [    1.261824] Modules linked in:{modules}\r\n"
            )
        };
        assert!(met_half_a_change(&died("")));
        assert!(!met_half_a_change(&died(" mcctrl(O) ihk(O)")));
        assert!(!met_half_a_change(
            &died("").replace("int3", "general protection fault")
        ));
        assert!(!met_half_a_change("[    1.261824] Modules linked in:\n"));
    }

    #[test]
    fn only_assertions_of_the_emulator_are_its_failures() {
        let failed = "qemu-system-x86_64: system/physmem.c:2671: iotlb_to_section: Assertion `section_index < \
                      d->map.sections_nb' failed.";
        assert_eq!(
            failed_assertion(&format!("a warning\n{failed}\n")),
            Some(failed)
        );
        assert_eq!(
            failed_assertion("qemu-system-x86_64: warning: no such device\n"),
            None
        );
        assert_eq!(failed_assertion(""), None);
    }
}
