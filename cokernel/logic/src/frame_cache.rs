// SPDX-License-Identifier: GPL-2.0
//! The frames that one CPU keeps ready: the last one in is the first one out, and half of them go
//! back when there are too many.

/// Frames taken from the allocator, or given back to it, at a time.
pub const BATCH: usize = 32;
const CAPACITY: usize = 2 * BATCH;

/// The numbers of the frames.
pub struct FrameCache {
    frames: [u32; CAPACITY],
    count: usize,
}

impl FrameCache {
    /// No frame.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            frames: [0; CAPACITY],
            count: 0,
        }
    }

    /// One of the frames; if there is none, `refill` calls its argument with up to [`BATCH`] new ones.
    #[inline]
    pub fn take(&mut self, refill: impl FnOnce(&mut dyn FnMut(u32))) -> Option<u32> {
        if self.count == 0 {
            refill(&mut |frame| self.push(frame));
        }
        self.count = self.count.checked_sub(1)?;
        Some(self.frames[self.count])
    }

    /// Keeps `frame`; `give_back` gets what becomes too much, the oldest ones.
    #[inline]
    pub fn put(&mut self, frame: u32, give_back: impl FnOnce(&[u32])) {
        if self.count == CAPACITY {
            give_back(&self.frames[..BATCH]);
            self.frames.copy_within(BATCH.., 0);
            self.count -= BATCH;
        }
        self.push(frame);
    }

    /// Hands all frames to `give_back`, if there are any.
    pub fn drain(&mut self, give_back: impl FnOnce(&[u32])) {
        if self.count != 0 {
            give_back(&self.frames[..self.count]);
            self.count = 0;
        }
    }

    fn push(&mut self, frame: u32) {
        self.frames[self.count] = frame;
        self.count += 1;
    }
}

impl Default for FrameCache {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn none(_: &mut dyn FnMut(u32)) {}

    fn nothing_is_too_much(frames: &[u32]) {
        panic!("{frames:?} went back");
    }

    #[test]
    fn the_last_frame_in_is_the_first_one_out() {
        let mut cache = FrameCache::new();
        for frame in [7, 8] {
            cache.put(frame, nothing_is_too_much);
        }
        assert_eq!(cache.take(none), Some(8), "it is still in the CPU's cache");
        assert_eq!(cache.take(none), Some(7));
        assert_eq!(cache.take(none), None);
    }

    #[test]
    fn an_empty_cache_is_refilled_by_a_batch_and_not_before() {
        let mut cache = FrameCache::new();
        let batch = u32::try_from(BATCH).expect("few");
        assert_eq!(cache.take(|add| (0..batch).for_each(add)), Some(batch - 1));
        for frame in (0..batch - 1).rev() {
            let taken = cache.take(|_| panic!("there are frames"));
            assert_eq!(taken, Some(frame));
        }
        assert_eq!(cache.take(none), None);
    }

    #[test]
    fn of_too_many_the_older_half_goes_back() {
        let mut cache = FrameCache::new();
        let capacity = u32::try_from(CAPACITY).expect("few");
        for frame in 0..capacity {
            cache.put(frame, nothing_is_too_much);
        }
        let mut back = Vec::new();
        cache.put(capacity, |frames| back.extend_from_slice(frames));
        assert!(back.iter().copied().eq(0..capacity / 2));
        assert_eq!(cache.take(none), Some(capacity));
        assert_eq!(cache.take(none), Some(capacity - 1));
    }

    #[test]
    fn a_drained_cache_is_empty_and_an_empty_one_is_not_drained() {
        let mut cache = FrameCache::new();
        cache.drain(nothing_is_too_much);
        cache.put(3, nothing_is_too_much);
        let mut back = Vec::new();
        cache.drain(|frames| back.extend_from_slice(frames));
        assert_eq!(back, [3]);
        assert_eq!(cache.take(none), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Take(usize),
        Put,
        Drain,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            20 => (0..=BATCH).prop_map(Step::Take),
            20 => Just(Step::Put),
            1 => Just(Step::Drain),
        ]
    }

    proptest! {
        /// Against sets of the frames that are free and that are in use: none is lost, and none is
        /// given out twice.
        #[test]
        fn no_frame_is_lost_or_doubled(steps in proptest::collection::vec(step(), 0..400)) {
            let all: BTreeSet<u32> = (0..200).collect();
            let mut free = all.clone();
            let mut used = Vec::new();
            let mut cache = FrameCache::new();
            for step in steps {
                match step {
                    Step::Take(most) => {
                        let taken = cache.take(|add| {
                            for _ in 0..most {
                                if let Some(frame) = free.pop_first() {
                                    add(frame);
                                }
                            }
                        });
                        if let Some(frame) = taken {
                            prop_assert!(!used.contains(&frame) && !free.contains(&frame));
                            used.push(frame);
                        }
                    }
                    Step::Put => {
                        if let Some(frame) = used.pop() {
                            cache.put(frame, |frames| free.extend(frames));
                        }
                    }
                    Step::Drain => cache.drain(|frames| free.extend(frames)),
                }
            }
            cache.drain(|frames| {
                assert!(frames.iter().all(|frame| free.insert(*frame)), "a frame came back twice");
            });
            for frame in used {
                prop_assert!(free.insert(frame));
            }
            prop_assert_eq!(free, all);
        }
    }
}
