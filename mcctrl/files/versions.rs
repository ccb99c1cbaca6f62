// SPDX-License-Identifier: GPL-2.0
//! File versions: a number for each content of a file that the co-kernel may have kept pages of. What a
//! file is and whether it has changed is for Linux alone to say: mcexec only names a descriptor.

use crate::ffi::source::{Fingerprint, Identity};
use kernel::prelude::*;

/// Files known at once. Beyond, all are forgotten: the co-kernel drops pages nobody asks for.
const MOST_KNOWN: usize = 1024;

/// A file, as it was when it was last loaded.
struct Known {
    identity: Identity,
    fingerprint: Fingerprint,
    version: u64,
}

/// The versions of one instance.
pub(crate) struct FileVersions {
    known: KVec<Known>,
    last: u64,
}

/// The version of a file, as the co-kernel is told.
#[derive(Clone, Copy, Default)]
pub(crate) struct FileVersion {
    /// Its number; 0: its pages are not to be shared.
    pub(crate) number: u64,
    /// The number that it had before it changed; 0: none.
    pub(crate) stale: u64,
}

impl FileVersions {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            known: KVec::new(),
            last: 0,
        }
    }

    /// The version of the file `identity` whose content is `fingerprint`. ENOMEM.
    pub(crate) fn of(
        &mut self,
        identity: Identity,
        fingerprint: Fingerprint,
    ) -> Result<FileVersion> {
        let found = self.known.iter_mut().find(|it| it.identity == identity);
        match found {
            Some(known) if known.fingerprint == fingerprint => Ok(FileVersion {
                number: known.version,
                stale: 0,
            }),
            Some(known) => {
                self.last = self.last.saturating_add(1);
                let stale = known.version;
                known.fingerprint = fingerprint;
                known.version = self.last;
                Ok(FileVersion {
                    number: self.last,
                    stale,
                })
            }
            None => self.add(identity, fingerprint),
        }
    }

    fn add(&mut self, identity: Identity, fingerprint: Fingerprint) -> Result<FileVersion> {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let version = self.last.saturating_add(1);
        let known = Known {
            identity,
            fingerprint,
            version,
        };
        self.known.push(known, GFP_KERNEL)?;
        self.last = version;
        Ok(FileVersion {
            number: version,
            stale: 0,
        })
    }
}
