// SPDX-License-Identifier: GPL-2.0
//! Children that do not outlive what started them, and what CPU time they took.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{waitid, Id, WaitPidFlag};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Has Linux kill what `command` starts when the thread that starts it ends, however it ends. What the child starts in
/// turn does not inherit that, nor does sudo or another program that changes the user.
pub(crate) fn ends_with_us(command: &mut Command) -> &mut Command {
    let in_child = || Ok(set_pdeathsig(Signal::SIGKILL)?);
    // SAFETY: the closure makes one system call and allocates nothing, as code between fork and exec must.
    unsafe { command.pre_exec(in_child) }
}

/// A child that is killed and reaped unless it has ended by then.
#[derive(Debug)]
pub(crate) struct Reaped(pub(crate) Child);

impl Reaped {
    /// Waits for its end, and says what CPU time it took together with all that it has waited for in turn.
    pub(crate) fn wait_and_measure(&mut self) -> io::Result<(ExitStatus, Duration)> {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        // Its figures can be read until it is reaped. If that cannot be waited for, they are too small, no more.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        Ok((self.0.wait()?, cpu_time(&stat)))
    }
}

/// The CPU time in the text of a `/proc/PID/stat`: in user mode and in the kernel, its own and that of what it has
/// waited for.
fn cpu_time(stat: &str) -> Duration {
    /// What proc(5) measures time in, on each architecture that we know.
    const TICK: Duration = Duration::from_millis(10);
    // The second field is the program's name in brackets, which may have anything in it.
    let fields = stat.rsplit_once(") ").map_or("", |it| it.1);
    let times = fields.split(' ').skip(11).take(4);
    times
        .filter_map(|ticks| Some(TICK * ticks.parse().ok()?))
        .sum()
}

impl Deref for Reaped {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Reaped {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail if it has been waited for. sudo, which we may not kill, ends when nobody reads what it says.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_any_name() {
        let stat = "7 (a) R (b) S 1 7 7 0 -1 4194560 1 2 0 0 150 25 1000 25 20 0 1 0 3 4 5";
        assert_eq!(cpu_time(stat), Duration::from_secs(12));
        assert_eq!(cpu_time(""), Duration::ZERO);
    }

    #[test]
    fn cpu_time_of_a_childs_children_counts() {
        let busy = "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done'; :";
        let child = Command::new("sh").args(["-c", busy]).spawn().unwrap();
        let (status, cpu) = Reaped(child).wait_and_measure().unwrap();
        assert!(
            status.success() && cpu >= Duration::from_millis(20),
            "{cpu:?}"
        );
    }
}
