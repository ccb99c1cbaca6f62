// SPDX-License-Identifier: GPL-2.0
//! Resumes in the mcexec that the last one has executed, for the next program.
//!
//! The last one leaves its message in one environment entry that no program sees. Arguments and
//! environment are the program's own already. Signals, ids and descriptors are inherited through
//! Linux.

use std::ffi::{CString, OsStr};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use ihk_ikc::process::RLIMITS;

use super::cli::{Run, Transport};
use super::inherited;
use super::prepare::Inheritance;
use crate::device;

/// The begin of the entry.
const MARKER: &[u8] = b"MCEXEC_RESUME=";

/// The message that mcexec leaves for itself over an exec.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    /// Instance number.
    pub os: u32,
    /// Number of our descriptor of the device.
    pub device: RawFd,
    /// Limits that the co-kernel keeps, by Linux's number.
    pub limits: [Option<[u64; 2]>; RLIMITS],
    /// Path of the next program.
    pub path: PathBuf,
}

impl Resume {
    /// Returns the entry: `os;device;number,soft,hard;…;;path`.
    #[must_use]
    pub(crate) fn entry(&self) -> Option<CString> {
        let mut text = MARKER.to_vec();
        text.extend(format!("{};{};", self.os, self.device).bytes());
        for (number, limit) in self.limits.iter().enumerate() {
            if let Some([soft, hard]) = limit {
                text.extend(format!("{number},{soft},{hard};").bytes());
            }
        }
        text.push(b';');
        text.extend(self.path.as_os_str().as_bytes());
        CString::new(text).ok()
    }

    fn parse(entry: &[u8]) -> Option<Self> {
        let text = entry.strip_prefix(MARKER)?;
        let end = text.windows(2).position(|pair| pair == b";;")?;
        let (head, path) = (text.get(..end)?, text.get(end + 2..)?);
        let mut fields = OsStr::from_bytes(head).to_str()?.split(';');
        let os = fields.next()?.parse().ok()?;
        let device = fields.next()?.parse().ok()?;
        let mut limits = [None; RLIMITS];
        for field in fields {
            let mut numbers = field.split(',').map(str::parse::<u64>);
            let mut next = || numbers.next()?.ok();
            let (number, soft, hard) = (next()?, next()?, next()?);
            *limits.get_mut(usize::try_from(number).ok()?)? = Some([soft, hard]);
        }
        Some(Self {
            os,
            device,
            limits,
            path: OsStr::from_bytes(path).into(),
        })
    }
}

/// Takes the entry out of what is inherited, if mcexec has executed itself. Returns the program to
/// run.
pub(crate) fn take(inheritance: &mut Inheritance) -> Option<Run> {
    let entries = &mut inheritance.environment;
    let index = entries
        .iter()
        .rposition(|entry| entry.to_bytes().starts_with(MARKER))?;
    let resume = Resume::parse(entries[index].to_bytes())?;
    device::take_over(resume.device).ok()?;
    entries.remove(index);
    for (number, limit) in (0..).zip(resume.limits) {
        if let Some(limit) = limit {
            inheritance.limits[usize::try_from(number).ok()?] = limit;
            inherited::keep_limit(number, limit).ok()?;
        }
    }
    Some(Run {
        os: resume.os,
        path: Some(resume.path),
        cpu: None,
        transport: Transport::default(),
        argv: std::env::args_os().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::Resume;

    #[test]
    fn the_entry_carries_everything() {
        let mut limits = [None; 16];
        limits[3] = Some([8 << 20, u64::MAX]);
        limits[9] = Some([1, 2]);
        let resume = Resume {
            os: 3,
            device: 4095,
            limits,
            path: "/a b;;c\n".into(),
        };
        let entry = resume.entry().unwrap();
        assert_eq!(Resume::parse(entry.to_bytes()), Some(resume));
        for malformed in [
            "",
            "MCEXEC_RESUME=",
            "MCEXEC_RESUME=1;2;3,4;;/x",
            "X=1;2;;/x",
        ] {
            assert_eq!(Resume::parse(malformed.as_bytes()), None);
        }
    }
}
