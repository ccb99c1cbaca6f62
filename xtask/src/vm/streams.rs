// SPDX-License-Identifier: GPL-2.0
//! The host's ends of the guest's streams.

use anyhow::Result;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

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
