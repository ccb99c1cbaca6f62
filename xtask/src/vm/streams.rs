// SPDX-License-Identifier: GPL-2.0
//! The host's ends of the guest's streams.

use anyhow::Result;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{channel, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Where the command's stdin comes from.
pub enum Input {
    /// Nothing: the command reads the end at once.
    Empty,
    /// Bytes, then the end.
    From(Box<dyn Read + Send>),
}

/// A stream between host and guest: our end, and the one that QEMU inherits.
pub(super) struct Link {
    pub(super) name: &'static str,
    pub(super) ours: UnixStream,
    pub(super) theirs: OwnedFd,
}

impl Link {
    pub(super) fn new(name: &'static str) -> Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok(Self {
            name,
            ours,
            theirs: theirs.into(),
        })
    }
}

/// Copies guest output to `sink` as it arrives, on a thread; joining gives the sink back.
pub(super) fn receive<W: Write + Send + 'static>(
    mut stream: UnixStream,
    mut sink: W,
) -> JoinHandle<W> {
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        let mut open = true;
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            // A reader that went away must not stop the guest: the rest is read and dropped.
            open = open
                && sink
                    .write_all(&buffer[..count])
                    .and_then(|()| sink.flush())
                    .is_ok();
        }
        sink
    })
}

/// What one of the guest's streams carries, kept until it is asked for by the number of bytes.
pub(super) struct Chunks {
    arriving: Receiver<Vec<u8>>,
    kept: Vec<u8>,
}

impl Chunks {
    /// Begins to read; there is no more when the guest is gone.
    pub(super) fn of(mut stream: UnixStream) -> Self {
        let (sender, arriving) = channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            arriving,
            kept: Vec::new(),
        }
    }

    /// The next `count` bytes, or what there is of them when the guest goes or is silent for `limit`.
    pub(super) fn take(&mut self, count: usize, limit: Duration) -> Vec<u8> {
        while self.kept.len() < count {
            let Ok(bytes) = self.arriving.recv_timeout(limit) else {
                break;
            };
            self.kept.extend(bytes);
        }
        let rest = self.kept.split_off(count.min(self.kept.len()));
        std::mem::replace(&mut self.kept, rest)
    }
}

/// Feeds the guest on a thread that is left behind if the command ends first. Half-closing says the end; a full close
/// would lose what is still on its way, so the stream is returned to be kept open.
pub(super) fn send(stream: UnixStream, mut source: Box<dyn Read + Send>) -> Result<UnixStream> {
    let keep = stream.try_clone()?;
    thread::spawn(move || {
        let mut stream = stream;
        let _ = io::copy(&mut source, &mut stream);
        let _ = stream.shutdown(Shutdown::Write);
    });
    Ok(keep)
}

#[cfg(test)]
mod tests {
    use super::Chunks;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    #[test]
    fn streams_are_cut_where_the_guest_says() {
        let (ours, mut theirs) = UnixStream::pair().expect("sockets");
        let mut chunks = Chunks::of(ours);
        theirs.write_all(b"firstsec").expect("write");
        assert_eq!(chunks.take(5, Duration::MAX), b"first");
        theirs.write_all(b"ond").expect("write");
        assert_eq!(chunks.take(6, Duration::MAX), b"second");
        assert_eq!(chunks.take(0, Duration::MAX), b"");
        theirs.write_all(b"last words").expect("write");
        drop(theirs);
        assert_eq!(chunks.take(usize::MAX, Duration::MAX), b"last words");
    }
}
