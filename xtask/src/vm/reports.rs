// SPDX-License-Identifier: GPL-2.0
//! The guest's reports on its status port: that Linux is up, and how the command ended.

use guest_init::Report;
use std::io::{BufRead, BufReader, Read};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// The reports of one guest, in order.
pub(super) struct Reports {
    arriving: Receiver<Report>,
    /// One that came instead of [`Report::Began`].
    early: Option<Report>,
}

impl Reports {
    /// Those that arrive on the status port; there are no more when the guest is off.
    pub(super) fn from(status: impl Read + Send + 'static) -> Self {
        let (sender, arriving) = channel();
        thread::spawn(move || {
            for line in BufReader::new(status).split(b'\n').map_while(Result::ok) {
                let Ok(report) = serde_json::from_slice(&line) else {
                    return;
                };
                if sender.send(report).is_err() {
                    return;
                }
            }
        });
        Self {
            arriving,
            early: None,
        }
    }

    /// Waits, at most `limit`, until Linux is up; false if the guest says nothing. One that failed or went down is
    /// [`Self::last`]'s to report.
    pub(super) fn come_up(&mut self, limit: Option<Duration>) -> bool {
        match self.next(limit) {
            Err(RecvTimeoutError::Timeout) => false,
            Ok(Report::Began) | Err(RecvTimeoutError::Disconnected) => true,
            Ok(other) => {
                self.early = Some(other);
                true
            }
        }
    }

    /// The report of the end, if it comes before `limit`.
    pub(super) fn last(&mut self, limit: Option<Duration>) -> Result<Report, RecvTimeoutError> {
        match self.early.take() {
            Some(report) => Ok(report),
            None => self.next(limit),
        }
    }

    fn next(&self, limit: Option<Duration>) -> Result<Report, RecvTimeoutError> {
        match limit {
            Some(limit) => self.arriving.recv_timeout(limit),
            None => Ok(self.arriving.recv()?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use std::os::unix::net::UnixStream;

    const MOMENT: Option<Duration> = Some(Duration::from_millis(20));

    #[test]
    fn silent_guest_does_not_come_up() {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        let mut reports = Reports::from(ours);
        assert!(!reports.come_up(MOMENT));
        drop(theirs);
        assert!(reports.come_up(None));
        assert_eq!(reports.last(None), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn failure_before_the_beginning_is_reported_at_the_end() {
        let mut reports = Reports::from(Cursor::new(b"{\"Failed\":\"mount\"}\n".to_vec()));
        assert!(reports.come_up(None));
        assert_eq!(reports.last(None), Ok(Report::Failed("mount".into())));
    }

    #[test]
    fn the_end_follows_the_beginning() {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        let mut reports = Reports::from(ours);
        theirs.write_all(b"\"Began\"\n").expect("report");
        assert!(reports.come_up(None));
        assert_eq!(reports.last(MOMENT), Err(RecvTimeoutError::Timeout));
        theirs.write_all(b"{\"Exited\":3}\n").expect("report");
        assert_eq!(reports.last(None), Ok(Report::Exited(3)));
    }
}
