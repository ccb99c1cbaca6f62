// SPDX-License-Identifier: GPL-2.0
//! The CPUs a thread may run on, as programs state them.

use ihk_ikc::layout::MAX_CPUS;

const WORDS: usize = MAX_CPUS / 64;

/// A set of co-kernel CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity([u64; WORDS]);

impl Affinity {
    /// No CPU.
    pub const NONE: Self = Self([0; WORDS]);
    /// Any CPU.
    pub const ALL: Self = Self([u64::MAX; WORDS]);

    /// From the bytes of a `cpu_set_t`.
    pub fn from_bytes(bytes: [u8; WORDS * 8]) -> Self {
        let mut words = [0; WORDS];
        for (word, eight) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(core::array::from_fn(|index| eight[index]));
        }
        Self(words)
    }

    /// Returns the bytes of the `cpu_set_t` that says the same.
    pub fn bytes(self) -> [u8; WORDS * 8] {
        core::array::from_fn(|index| self.0[index / 8].to_le_bytes()[index % 8])
    }

    /// Without what is not below `cpus`.
    pub fn within(self, cpus: u32) -> Self {
        let mut set = Self::NONE;
        for cpu in (0..cpus).filter(|&cpu| self.contains(cpu)) {
            set.0[cpu as usize / 64] |= 1 << (cpu % 64);
        }
        set
    }

    /// Whether `cpu` is in the set.
    pub fn contains(self, cpu: u32) -> bool {
        self.0
            .get(cpu as usize / 64)
            .is_some_and(|word| word & 1 << (cpu % 64) != 0)
    }

    /// The lowest CPU of the set.
    pub fn first(self) -> Option<u32> {
        (0..)
            .zip(self.0)
            .find(|(_, word)| *word != 0)
            .map(|(index, word): (u32, u64)| index * 64 + word.trailing_zeros())
    }
}
