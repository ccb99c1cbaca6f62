// SPDX-License-Identifier: GPL-2.0
//! A model of one core's caches: which lines that were there before are replaced by what comes.
//!
//! 32 KiB of data, 32 KiB of code, 256 KiB behind both; 8 ways, lines of 64 bytes, the least recently used line goes.
//! Addresses are virtual ones; page table walks and prefetching are left out.

/// Bytes of a line.
pub(crate) const LINE: u64 = 64;
const WAYS: usize = 8;

/// A line and the period in which it came.
#[derive(Clone, Copy, Default)]
struct Entry {
    /// Number of the line + 1; 0 for none.
    line: u64,
    period: u32,
}

/// One cache.
struct Cache {
    /// The sets, each with its most recently used line first.
    sets: Vec<[Entry; WAYS]>,
    /// Lines of earlier periods that were replaced in this one.
    replaced: u64,
}

impl Cache {
    fn new(bytes: u64) -> Self {
        let sets = bytes / LINE / WAYS as u64;
        Self {
            sets: vec![[Entry::default(); WAYS]; usize::try_from(sets).unwrap_or(0)],
            replaced: 0,
        }
    }

    /// Uses `line`; whether it was there.
    fn use_line(&mut self, line: u64, period: u32) -> bool {
        let index = line % self.sets.len() as u64;
        let Some(set) = self.sets.get_mut(usize::try_from(index).unwrap_or(0)) else {
            return false;
        };
        let place = set.iter().position(|entry| entry.line == line + 1);
        let way = place.unwrap_or(WAYS - 1);
        let mut entry = set[way];
        set.copy_within(..way, 1);
        if place.is_none() {
            self.replaced += u64::from(entry.line != 0 && entry.period != period);
            entry = Entry {
                line: line + 1,
                period,
            };
        }
        set[0] = entry;
        place.is_some()
    }
}

/// The caches of one core.
pub(crate) struct Core {
    data: Cache,
    code: Cache,
    second: Cache,
    period: u32,
}

impl Core {
    /// Nothing is cached.
    pub(crate) fn new() -> Self {
        Self {
            data: Cache::new(32 << 10),
            code: Cache::new(32 << 10),
            second: Cache::new(256 << 10),
            period: 0,
        }
    }

    /// Reads or writes `bytes` at `address`.
    pub(crate) fn use_data(&mut self, address: u64, bytes: u64) {
        for line in address / LINE..=(address + bytes - 1) / LINE {
            if !self.data.use_line(line, self.period) {
                self.second.use_line(line, self.period);
            }
        }
    }

    /// Executes code in line number `line`.
    pub(crate) fn use_code(&mut self, line: u64) {
        if !self.code.use_line(line, self.period) {
            self.second.use_line(line, self.period);
        }
    }

    /// A new period begins. How many lines that were there before the last one were replaced in it: data, code, second
    /// level.
    pub(crate) fn begin_period(&mut self) -> [u64; 3] {
        self.period += 1;
        [&mut self.data, &mut self.code, &mut self.second]
            .map(|it| std::mem::take(&mut it.replaced))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills all caches, as far as data can.
    fn full() -> Core {
        let mut core = Core::new();
        for address in (0..32 << 10).step_by(64) {
            core.use_code((1 << 30) + address / LINE);
        }
        for address in (0..256 << 10).step_by(64) {
            core.use_data(address, 8);
        }
        core.begin_period();
        core
    }

    #[test]
    fn what_is_there_replaces_nothing_and_what_comes_replaces_one_line_each() {
        let mut core = full();
        let resident = (256 << 10) - 64;
        core.use_data(resident, 8);
        assert_eq!(core.begin_period(), [0, 0, 0]);
        core.use_data(1 << 20, 8);
        core.use_data(1 << 20, 8);
        core.use_code(1 << 40);
        assert_eq!(core.begin_period(), [1, 1, 2]);
        core.use_data((1 << 21) - 4, 8);
        assert_eq!(core.begin_period(), [2, 0, 2], "an access over two lines");
    }

    #[test]
    fn only_lines_from_before_count_so_their_number_is_limited() {
        let mut core = full();
        for address in (1 << 30..(1 << 30) + (10 << 20)).step_by(8) {
            core.use_data(address, 8);
        }
        assert_eq!(core.begin_period(), [512, 0, 4096]);
    }

    #[test]
    fn the_least_recently_used_line_of_a_set_goes() {
        let mut core = Core::new();
        let stride = (32 << 10) / WAYS as u64;
        for way in 0..WAYS as u64 {
            core.use_data(way * stride, 1);
        }
        core.begin_period();
        core.use_data(0, 1);
        core.use_data(8 * stride, 1);
        core.use_data(0, 1);
        assert_eq!(
            core.begin_period()[0],
            1,
            "line 1 went, line 0 was used last"
        );
        core.use_data(stride, 1);
        assert_eq!(core.begin_period()[0], 1);
    }
}
