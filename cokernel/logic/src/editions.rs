// SPDX-License-Identifier: GPL-2.0
//! Which frame holds which page of which edition of a file: the index of the pages that all
//! processes share. An edition is the content that a file had at some time, by a number.
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

/// The pages [`number` × 1024, + 1024) of an edition.
struct Chunk {
    edition: u64,
    number: u64,
    /// When it was last looked for; no two chunks have the same.
    used: u64,
    /// Entries of `frames` that are not [`NONE`].
    count: u32,
    frames: Box<[u32]>,
}

impl Chunk {
    const fn key(&self) -> (u64, u64) {
        (self.edition, self.number)
    }

    fn take(&mut self, place: usize) -> u32 {
        self.count -= 1;
        core::mem::replace(&mut self.frames[place], NONE)
    }
}

/// What became of a page that was to be kept.
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
pub struct Editions {
    /// By edition and number.
    chunks: Vec<Chunk>,
    most: usize,
    clock: u64,
    pages: u64,
}

impl Editions {
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

    /// Whether page `page` of `edition` cannot be kept because there are as many chunks as there may be.
    #[must_use]
    pub fn is_full_for(&self, edition: u64, page: u64) -> bool {
        self.chunks.len() >= self.most && self.search(edition, page / PAGES).is_err()
    }

    /// Calls `visit` with the number and the frame of each page of `pages` that it knows.
    pub fn visit(&mut self, edition: u64, pages: Range<u64>, mut visit: impl FnMut(u64, u32)) {
        let mut page = pages.start;
        while page < pages.end {
            let number = page / PAGES;
            let end = pages.end.min((number + 1) * PAGES);
            if let Ok(at) = self.search(edition, number) {
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

    /// Keeps `frame` as page `page` of `edition`, unless it has one.
    pub fn insert(&mut self, edition: u64, page: u64, frame: u32) -> Inserted {
        let number = page / PAGES;
        let at = match self.search(edition, number) {
            Ok(at) => at,
            Err(_) if self.chunks.len() >= self.most => return Inserted::Full,
            Err(at) => {
                let chunk = Chunk {
                    edition,
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

    /// Forgets all pages of `edition`; `gone` gets their frames.
    pub fn forget(&mut self, edition: u64, mut gone: impl FnMut(u32)) {
        let start = self.chunks.partition_point(|chunk| chunk.edition < edition);
        let end = self
            .chunks
            .partition_point(|chunk| chunk.edition <= edition);
        for chunk in self.chunks.drain(start..end) {
            self.pages -= u64::from(chunk.count);
            let known = chunk.frames.iter().filter(|frame| **frame != NONE);
            known.for_each(|frame| gone(*frame));
        }
    }

    /// Forgets up to `count` pages for whose frames `is_idle` holds, those first that were not looked
    /// for longest; `gone` gets the frames. How many it were.
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

    /// Where the chunk lies that was not looked for longest, among those used later than `after`.
    fn oldest_after(&self, after: u64) -> Option<(usize, u64)> {
        let later = |(_, chunk): &(usize, &Chunk)| chunk.used > after;
        let chunks = self.chunks.iter().enumerate().filter(later);
        let oldest = chunks.min_by_key(|(_, chunk)| chunk.used);
        oldest.map(|(at, chunk)| (at, chunk.used))
    }

    fn search(&self, edition: u64, number: u64) -> Result<usize, usize> {
        self.chunks
            .binary_search_by_key(&(edition, number), Chunk::key)
    }

    const fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// Where in its chunk a page is.
fn place(page: u64) -> usize {
    (page % PAGES).try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Editions, Inserted};
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn all_of(editions: &mut Editions, edition: u64) -> Vec<(u64, u32)> {
        let mut found = Vec::new();
        editions.visit(edition, 0..5000, |page, frame| found.push((page, frame)));
        found
    }

    #[test]
    fn a_page_is_kept_once_and_found_in_its_edition_only() {
        let mut editions = Editions::new(8);
        assert_eq!(editions.insert(7, 1023, 10), Inserted::New);
        assert_eq!(editions.insert(7, 1024, 11), Inserted::New);
        assert_eq!(editions.insert(7, 1023, 12), Inserted::There(10));
        assert_eq!(editions.insert(8, 1023, 13), Inserted::New);
        assert_eq!(all_of(&mut editions, 7), [(1023, 10), (1024, 11)]);
        assert_eq!(all_of(&mut editions, 9), []);
        assert_eq!((editions.pages(), editions.chunks()), (3, 3));
    }

    #[test]
    fn a_stale_edition_gives_back_all_its_frames() {
        let mut editions = Editions::new(8);
        for page in [0, 5, 1024, 4096_u32] {
            editions.insert(3, page.into(), page);
        }
        editions.insert(4, 0, 9);
        let mut gone = Vec::new();
        editions.forget(3, |frame| gone.push(frame));
        assert_eq!(gone, [0, 5, 1024, 4096]);
        assert_eq!(all_of(&mut editions, 3), []);
        assert_eq!((editions.pages(), editions.chunks()), (1, 1));
    }

    #[test]
    fn what_was_not_looked_for_longest_goes_first_and_what_is_used_stays() {
        let mut editions = Editions::new(8);
        for (edition, frame) in [(1, 100), (2, 200), (3, 300)] {
            editions.insert(edition, 0, frame);
            editions.insert(edition, 1, frame + 1);
        }
        all_of(&mut editions, 1);
        let mut gone = Vec::new();
        let taken = editions.shrink(3, |frame| frame != 200, |frame| gone.push(frame));
        assert_eq!((taken, gone.as_slice()), (3, [201, 300, 301].as_slice()));
        assert_eq!(editions.chunks(), 2);
        let rest = editions.shrink(u64::MAX, |frame| frame != 200, |_| ());
        assert_eq!((rest, editions.pages()), (2, 1));
    }

    #[test]
    fn there_is_an_end_to_chunks() {
        let mut editions = Editions::new(2);
        assert_eq!(editions.insert(1, 0, 1), Inserted::New);
        assert_eq!(editions.insert(2, 0, 2), Inserted::New);
        assert!(editions.is_full_for(3, 0));
        assert!(!editions.is_full_for(2, 1));
        assert_eq!(editions.insert(3, 0, 3), Inserted::Full);
        assert_eq!(editions.insert(2, 1, 3), Inserted::New);
    }

    proptest! {
        #[test]
        fn behaves_like_one_entry_per_page(
            steps in proptest::collection::vec((0u8..8, 1u64..4, 0u64..3000), 1..200)
        ) {
            let mut editions = Editions::new(64);
            let mut model = BTreeMap::new();
            for (next, (kind, edition, page)) in (0u32..).zip(steps) {
                match kind {
                    0..=5 => {
                        let expected = match model.get(&(edition, page)) {
                            Some(frame) => Inserted::There(*frame),
                            None => Inserted::New,
                        };
                        prop_assert_eq!(editions.insert(edition, page, next), expected);
                        model.entry((edition, page)).or_insert(next);
                    }
                    6 => {
                        let mut gone = 0;
                        editions.forget(edition, |_| gone += 1);
                        let before = model.len();
                        model.retain(|(other, _), _| *other != edition);
                        prop_assert_eq!(gone, before - model.len());
                    }
                    _ => {
                        let mut gone = Vec::new();
                        editions.shrink(3, |frame| frame % 2 == 0, |frame| gone.push(frame));
                        prop_assert!(gone.iter().all(|frame| frame % 2 == 0));
                        model.retain(|_, frame| !gone.contains(frame));
                    }
                }
                prop_assert_eq!(editions.pages(), model.len() as u64);
                let mut found = BTreeMap::new();
                for edition in 1..4 {
                    editions.visit(edition, 0..3000, |page, frame| {
                        found.insert((edition, page), frame);
                    });
                }
                prop_assert_eq!(&found, &model);
            }
        }
    }
}
