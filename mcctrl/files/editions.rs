// SPDX-License-Identifier: GPL-2.0
//! Editions: a number for each content of a file that the co-kernel may have kept pages of. What a
//! file is and whether it has changed is for Linux alone to say: mcexec only names a descriptor.

use crate::ffi::source::{Identity, Version};
use kernel::prelude::*;

/// Files known at once. Beyond, all are forgotten: the co-kernel drops pages nobody asks for.
const MOST_KNOWN: usize = 1024;

/// A file, as it was when it was last loaded.
struct Known {
    identity: Identity,
    version: Version,
    edition: u64,
}

/// The editions of one instance.
pub(crate) struct Editions {
    known: KVec<Known>,
    last: u64,
}

/// What the co-kernel is told of a file.
#[derive(Clone, Copy, Default)]
pub(crate) struct Edition {
    /// Its number; 0: its pages are not to be shared.
    pub(crate) number: u64,
    /// The number that it had before it changed; 0: none.
    pub(crate) stale: u64,
}

impl Editions {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            known: KVec::new(),
            last: 0,
        }
    }

    /// The edition of the file `identity` whose content is `version`. ENOMEM.
    pub(crate) fn of(&mut self, identity: Identity, version: Version) -> Result<Edition> {
        let found = self.known.iter_mut().find(|it| it.identity == identity);
        match found {
            Some(known) if known.version == version => Ok(Edition {
                number: known.edition,
                stale: 0,
            }),
            Some(known) => {
                self.last = self.last.saturating_add(1);
                let stale = known.edition;
                known.version = version;
                known.edition = self.last;
                Ok(Edition {
                    number: self.last,
                    stale,
                })
            }
            None => self.add(identity, version),
        }
    }

    fn add(&mut self, identity: Identity, version: Version) -> Result<Edition> {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let edition = self.last.saturating_add(1);
        let known = Known {
            identity,
            version,
            edition,
        };
        self.known.push(known, GFP_KERNEL)?;
        self.last = edition;
        Ok(Edition {
            number: edition,
            stale: 0,
        })
    }
}
