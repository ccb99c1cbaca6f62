// SPDX-License-Identifier: GPL-2.0
//! The files that have a text of ours: which they are, and where their text comes from.

use std::fs;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;

use super::subject::Subject;
use super::{machine, memory, process};

/// A file that has a text of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// A file of a process.
    Process(Subject, ProcessFile),
    /// A file about the machine.
    Machine(MachineFile),
}

/// Files of `/proc/PID` and `/proc/PID/task/TID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessFile {
    Maps,
    Smaps,
    SmapsRollup,
    Status,
    Stat,
    Statm,
    Limits,
}

/// Files of `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineFile {
    Cpuinfo,
    Stat,
    Meminfo,
}

impl View {
    /// Returns the view of the file at `path`, in which no symbolic links may be.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let mut names = path
            .strip_prefix("/proc")
            .ok()?
            .components()
            .map(|part| match part {
                Component::Normal(name) => name.to_str(),
                _ => None,
            });
        let first = names.next()??;
        let Ok(pid) = first.parse() else {
            let file = match first {
                "cpuinfo" => MachineFile::Cpuinfo,
                "stat" => MachineFile::Stat,
                "meminfo" => MachineFile::Meminfo,
                _ => return None,
            };
            return names.next().is_none().then_some(Self::Machine(file));
        };
        let mut name = names.next()??;
        let mut thread = None;
        if name == "task" {
            thread = Some(names.next()??.parse().ok()?);
            name = names.next()??;
        }
        let file = match name {
            "maps" => ProcessFile::Maps,
            "smaps" => ProcessFile::Smaps,
            "smaps_rollup" => ProcessFile::SmapsRollup,
            "status" => ProcessFile::Status,
            "stat" => ProcessFile::Stat,
            "statm" => ProcessFile::Statm,
            "limits" => ProcessFile::Limits,
            _ => return None,
        };
        let subject = Subject { pid, thread };
        names
            .next()
            .is_none()
            .then_some(Self::Process(subject, file))
    }

    /// Returns the path at which Linux's text is.
    fn path(self) -> PathBuf {
        let file = match self {
            Self::Machine(MachineFile::Cpuinfo) => return "/proc/cpuinfo".into(),
            Self::Machine(MachineFile::Stat) => return "/proc/stat".into(),
            Self::Machine(MachineFile::Meminfo) => return "/proc/meminfo".into(),
            Self::Process(_, ProcessFile::Maps) => "maps",
            Self::Process(_, ProcessFile::Smaps) => "smaps",
            Self::Process(_, ProcessFile::SmapsRollup) => "smaps_rollup",
            Self::Process(_, ProcessFile::Status) => "status",
            Self::Process(_, ProcessFile::Stat) => "stat",
            Self::Process(_, ProcessFile::Statm) => "statm",
            Self::Process(_, ProcessFile::Limits) => "limits",
        };
        let Self::Process(subject, _) = self else {
            return PathBuf::new();
        };
        match subject.thread {
            Some(tid) => format!("/proc/{}/task/{tid}/{file}", subject.pid).into(),
            None => format!("/proc/{}/{file}", subject.pid).into(),
        }
    }

    /// Returns Linux's text.
    fn original(self) -> Result<String, Errno> {
        fs::read_to_string(self.path())
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }

    /// Returns our text.
    ///
    /// # Errors
    ///
    /// The file is none of a program of the co-kernel, or has gone.
    pub(crate) fn text(self) -> Result<Vec<u8>, Errno> {
        match self {
            Self::Machine(MachineFile::Cpuinfo) => machine::cpuinfo(),
            Self::Machine(MachineFile::Stat) => machine::stat(&self.original()?),
            Self::Machine(MachineFile::Meminfo) => machine::meminfo(&self.original()?),
            Self::Process(subject, file) => self.process_text(subject, file),
        }
    }

    fn process_text(self, subject: Subject, file: ProcessFile) -> Result<Vec<u8>, Errno> {
        let lines = || memory::lines(subject.question());
        let known = || process::Known::of(subject);
        Ok(match file {
            ProcessFile::Maps => memory::maps(&lines()?),
            ProcessFile::Smaps => memory::smaps(&lines()?),
            ProcessFile::SmapsRollup => memory::rollup(&lines()?),
            ProcessFile::Statm => process::statm(&known()?),
            ProcessFile::Status => process::status(&known()?, &self.original()?),
            ProcessFile::Stat => process::stat(&known()?, subject, &self.original()?),
            ProcessFile::Limits if subject.question() == 0 => process::limits(&self.original()?),
            ProcessFile::Limits => return Err(Errno::ESRCH),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{MachineFile, ProcessFile, Subject, View};
    use std::path::Path;

    #[test]
    fn files_with_a_text_of_ours_are_known_by_their_path() {
        let view = |path| View::of(Path::new(path));
        let subject = |pid, thread| Subject { pid, thread };
        let maps = View::Process(subject(12, None), ProcessFile::Maps);
        assert_eq!(view("/proc/12/maps"), Some(maps));
        let stat = View::Process(subject(12, Some(13)), ProcessFile::Stat);
        assert_eq!(view("/proc/12/task/13/stat"), Some(stat));
        assert_eq!(view("/proc/stat"), Some(View::Machine(MachineFile::Stat)));
        for path in [
            "/proc",
            "/proc/12",
            "/proc/12/task",
            "/proc/12/comm",
            "/x/12/maps",
            "/proc/stat/x",
            "/proc/12/net/stat",
        ] {
            assert_eq!(view(path), None, "{path}");
        }
    }

    #[test]
    fn linuxs_text_is_found_again() {
        for path in [
            "/proc/12/maps",
            "/proc/12/task/13/smaps",
            "/proc/cpuinfo",
            "/proc/1/limits",
        ] {
            assert_eq!(View::of(Path::new(path)).unwrap().path(), Path::new(path));
        }
    }
}
