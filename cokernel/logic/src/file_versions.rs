// SPDX-License-Identifier: GPL-2.0
//! The index of the pages of files that all processes share: from a version of a file and a page to the
//! frame that holds it. A version is the content that a file had at some time, by a number.
//!
//! Pages are found by chunks of [`PAGES_PER_CHUNK`]; what was not looked for longest goes first.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// Pages of a chunk: its list of frames is one frame long.
pub const PAGES_PER_CHUNK: usize = 1024;
/// The same as a number of pages in a file.
const PAGES: u64 = PAGES_PER_CHUNK as u64;
/// No frame.
const NONE: u32 = u32::MAX;

/// The pages [`number` × 1024, + 1024) of a version.
struct Chunk {
    version: u64,
    number: u64,
    /// The time at which it was last looked for; no two chunks have the same.
    used: u64,
    /// Entries of `frames` that are not [`NONE`].
    count: u32,
    frames: Box<[u32]>,
}

impl Chunk {
    const fn key(&self) -> (u64, u64) {
        (self.version, self.number)
    }

    fn take(&mut self, place: usize) -> u32 {
        self.count -= 1;
        core::mem::replace(&mut self.frames[place], NONE)
    }
}

/// The outcome for a page that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is kept.
    New,
    /// Somebody was faster: this is the frame that holds the page.
    There(u32),
    /// There are as many chunks as there may be.
    Full,
}

/// The index.
pub struct FileVersions {
    /// By version and number.
    chunks: Vec<Chunk>,
    most: usize,
    clock: u64,
    pages: u64,
}

impl FileVersions {
    /// An empty index that never has more than `most` chunks, and room for all of them now.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            chunks: Vec::with_capacity(most),
            most,
            clock: 0,
            pages: 0,
        }
    }

    /// Pages it knows.
    #[must_use]
    pub const fn pages(&self) -> u64 {
        self.pages
    }

    /// Chunks it has: a frame of memory each.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.chunks.len() as u64
    }

    /// Whether page `page` of `version` cannot be kept because there are as many chunks as there
    /// may be.
    #[must_use]
    pub fn is_full_for(&self, version: u64, page: u64) -> bool {
        self.chunks.len() >= self.most && self.search(version, page / PAGES).is_err()
    }

    /// Calls `visit` with the number and the frame of each page of `pages` that it knows.
    pub fn visit(&mut self, version: u64, pages: Range<u64>, mut visit: impl FnMut(u64, u32)) {
        let mut page = pages.start;
        while page < pages.end {
            let number = page / PAGES;
            let end = pages.end.min((number + 1) * PAGES);
            if let Ok(at) = self.search(version, number) {
                let used = self.tick();
                let chunk = &mut self.chunks[at];
                chunk.used = used;
                for (page, &frame) in (page..end).zip(&chunk.frames[place(page)..]) {
                    if frame != NONE {
                        visit(page, frame);
                    }
                }
            }
            page = end;
        }
    }

    /// Keeps `frame` as page `page` of `version`, unless it has one.
    pub fn insert(&mut self, version: u64, page: u64, frame: u32) -> Inserted {
        let number = page / PAGES;
        let at = match self.search(version, number) {
            Ok(at) => at,
            Err(_) if self.chunks.len() >= self.most => return Inserted::Full,
            Err(at) => {
                let chunk = Chunk {
                    version,
                    number,
                    used: self.tick(),
                    count: 0,
                    frames: vec![NONE; PAGES_PER_CHUNK].into_boxed_slice(),
                };
                self.chunks.insert(at, chunk);
                at
            }
        };
        let chunk = &mut self.chunks[at];
        let entry = &mut chunk.frames[place(page)];
        if *entry != NONE {
            return Inserted::There(*entry);
        }
        *entry = frame;
        chunk.count += 1;
        self.pages += 1;
        Inserted::New
    }

    /// Forgets all pages of `version`; `gone` gets their frames.
    pub fn forget(&mut self, version: u64, mut gone: impl FnMut(u32)) {
        let start = self.chunks.partition_point(|chunk| chunk.version < version);
        let end = self
            .chunks
            .partition_point(|chunk| chunk.version <= version);
        for chunk in self.chunks.drain(start..end) {
            self.pages -= u64::from(chunk.count);
            let known = chunk.frames.iter().filter(|frame| **frame != NONE);
            known.for_each(|frame| gone(*frame));
        }
    }

    /// Forgets up to `count` pages for whose frames `is_idle` holds, those first that were not
    /// looked for longest; `gone` gets the frames. How many it were.
    pub fn shrink(
        &mut self,
        count: u64,
        is_idle: impl Fn(u32) -> bool,
        mut gone: impl FnMut(u32),
    ) -> u64 {
        let mut taken = 0;
        let mut after = 0;
        while taken < count {
            let Some((at, used)) = self.oldest_after(after) else {
                break;
            };
            after = used;
            let chunk = &mut self.chunks[at];
            for place in 0..PAGES_PER_CHUNK {
                let frame = chunk.frames[place];
                if frame != NONE && taken < count && is_idle(frame) {
                    gone(chunk.take(place));
                    taken += 1;
                }
            }
            if chunk.count == 0 {
                self.chunks.remove(at);
            }
        }
        self.pages -= taken;
        taken
    }

    /// The place of the chunk that was not looked for longest, among those used later than `after`.
    fn oldest_after(&self, after: u64) -> Option<(usize, u64)> {
        let later = |(_, chunk): &(usize, &Chunk)| chunk.used > after;
        let chunks = self.chunks.iter().enumerate().filter(later);
        let oldest = chunks.min_by_key(|(_, chunk)| chunk.used);
        oldest.map(|(at, chunk)| (at, chunk.used))
    }

    fn search(&self, version: u64, number: u64) -> Result<usize, usize> {
        self.chunks
            .binary_search_by_key(&(version, number), Chunk::key)
    }

    const fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// The index of a page in its chunk.
fn place(page: u64) -> usize {
    (page % PAGES).try_into().unwrap_or(0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{FileVersions, Inserted};
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn all_of(versions: &mut FileVersions, version: u64) -> Vec<(u64, u32)> {
        let mut found = Vec::new();
        versions.visit(version, 0..5000, |page, frame| found.push((page, frame)));
        found
    }

    #[test]
    fn a_page_is_kept_once_and_found_in_its_edition_only() {
        let mut versions = FileVersions::new(8);
        assert_eq!(versions.insert(7, 1023, 10), Inserted::New);
        assert_eq!(versions.insert(7, 1024, 11), Inserted::New);
        assert_eq!(versions.insert(7, 1023, 12), Inserted::There(10));
        assert_eq!(versions.insert(8, 1023, 13), Inserted::New);
        assert_eq!(all_of(&mut versions, 7), [(1023, 10), (1024, 11)]);
        assert_eq!(all_of(&mut versions, 9), []);
        assert_eq!((versions.pages(), versions.chunks()), (3, 3));
    }

    #[test]
    fn a_stale_edition_gives_back_all_its_frames() {
        let mut versions = FileVersions::new(8);
        for page in [0, 5, 1024, 4096_u32] {
            versions.insert(3, page.into(), page);
        }
        versions.insert(4, 0, 9);
        let mut gone = Vec::new();
        versions.forget(3, |frame| gone.push(frame));
        assert_eq!(gone, [0, 5, 1024, 4096]);
        assert_eq!(all_of(&mut versions, 3), []);
        assert_eq!((versions.pages(), versions.chunks()), (1, 1));
    }

    #[test]
    fn what_was_not_looked_for_longest_goes_first_and_what_is_used_stays() {
        let mut versions = FileVersions::new(8);
        for (version, frame) in [(1, 100), (2, 200), (3, 300)] {
            versions.insert(version, 0, frame);
            versions.insert(version, 1, frame + 1);
        }
        all_of(&mut versions, 1);
        let mut gone = Vec::new();
        let taken = versions.shrink(3, |frame| frame != 200, |frame| gone.push(frame));
        assert_eq!((taken, gone.as_slice()), (3, [201, 300, 301].as_slice()));
        assert_eq!(versions.chunks(), 2);
        let rest = versions.shrink(u64::MAX, |frame| frame != 200, |_| ());
        assert_eq!((rest, versions.pages()), (2, 1));
    }

    #[test]
    fn there_is_an_end_to_chunks() {
        let mut versions = FileVersions::new(2);
        assert_eq!(versions.insert(1, 0, 1), Inserted::New);
        assert_eq!(versions.insert(2, 0, 2), Inserted::New);
        assert!(versions.is_full_for(3, 0));
        assert!(!versions.is_full_for(2, 1));
        assert_eq!(versions.insert(3, 0, 3), Inserted::Full);
        assert_eq!(versions.insert(2, 1, 3), Inserted::New);
    }

    proptest! {
        #[test]
        fn behaves_like_one_entry_per_page(
            steps in proptest::collection::vec((0u8..8, 1u64..4, 0u64..3000), 1..200)
        ) {
            let mut versions = FileVersions::new(64);
            let mut model = BTreeMap::new();
            for (next, (kind, version, page)) in (0u32..).zip(steps) {
                match kind {
                    0..=5 => {
                        let expected = match model.get(&(version, page)) {
                            Some(frame) => Inserted::There(*frame),
                            None => Inserted::New,
                        };
                        prop_assert_eq!(versions.insert(version, page, next), expected);
                        model.entry((version, page)).or_insert(next);
                    }
                    6 => {
                        let mut gone = 0;
                        versions.forget(version, |_| gone += 1);
                        let before = model.len();
                        model.retain(|(other, _), _| *other != version);
                        prop_assert_eq!(gone, before - model.len());
                    }
                    _ => {
                        let mut gone = Vec::new();
                        versions.shrink(3, |frame| frame % 2 == 0, |frame| gone.push(frame));
                        prop_assert!(gone.iter().all(|frame| frame % 2 == 0));
                        model.retain(|_, frame| !gone.contains(frame));
                    }
                }
                prop_assert_eq!(versions.pages(), model.len() as u64);
                let mut found = BTreeMap::new();
                for version in 1..4 {
                    versions.visit(version, 0..3000, |page, frame| {
                        found.insert((version, page), frame);
                    });
                }
                prop_assert_eq!(&found, &model);
            }
        }
    }
}
