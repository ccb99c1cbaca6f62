// SPDX-License-Identifier: GPL-2.0
//! The CPUs a thread may run on, as programs state them.

use ihk_ikc::errno::Errno;
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
    #[must_use]
    pub fn from_bytes(bytes: [u8; WORDS * 8]) -> Self {
        let mut words = [0; WORDS];
        for (word, eight) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(core::array::from_fn(|index| eight[index]));
        }
        Self(words)
    }

    /// Returns the bytes of the `cpu_set_t` that says the same.
    #[must_use]
    pub fn bytes(self) -> [u8; WORDS * 8] {
        core::array::from_fn(|index| self.0[index / 8].to_le_bytes()[index % 8])
    }

    /// Without what is not below `cpus`.
    #[must_use]
    pub fn within(self, cpus: u32) -> Self {
        let mut set = Self::NONE;
        for cpu in (0..cpus).filter(|&cpu| self.contains(cpu)) {
            set.0[cpu as usize / 64] |= 1 << (cpu % 64);
        }
        set
    }

    /// Whether `cpu` is in the set.
    #[inline]
    #[must_use]
    pub fn contains(self, cpu: u32) -> bool {
        self.0
            .get(cpu as usize / 64)
            .is_some_and(|word| word & 1 << (cpu % 64) != 0)
    }

    /// The lowest CPU of the set.
    #[must_use]
    pub fn first(self) -> Option<u32> {
        (0..)
            .zip(self.0)
            .find(|(_, word)| *word != 0)
            .map(|(index, word): (u32, u64)| index * 64 + word.trailing_zeros())
    }
}

/// The number of bytes that `sched_getaffinity` writes of the set for a program that gives it `room` bytes, on a
/// machine of `cpus` CPUs: whole words, and all CPUs that there are.
///
/// # Errors
///
/// `EINVAL`: there is too little room, or no whole number of words.
pub fn bytes_told(room: u64, cpus: u32) -> Result<u64, Errno> {
    let bytes = u64::from(cpus.div_ceil(64)) * 8;
    if room < bytes || room % 8 != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(bytes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(cpus: &BTreeSet<u32>) -> Affinity {
        let mut bytes = Affinity::NONE.bytes();
        for cpu in cpus {
            bytes[*cpu as usize / 8] |= 1 << (cpu % 8);
        }
        Affinity::from_bytes(bytes)
    }

    /// CPU_SET(3): CPU n is bit n % 64 of word n / 64.
    #[test]
    fn a_cpu_is_a_bit_of_a_word_as_in_cpu_set_t() {
        let mut bytes = Affinity::NONE.bytes();
        bytes[8] = 0b100;
        let affinity = Affinity::from_bytes(bytes);
        assert!(affinity.contains(66));
        assert_eq!(affinity.first(), Some(66));
        assert!(!affinity.contains(2) && !affinity.contains(65));
    }

    #[test]
    fn no_cpu_beyond_the_largest_machine_is_in_a_set() {
        let most = u32::try_from(MAX_CPUS).expect("few");
        assert!(Affinity::ALL.contains(most - 1));
        assert!(!Affinity::ALL.contains(most));
        assert!(!Affinity::ALL.contains(u32::MAX));
    }

    #[test]
    fn the_empty_set_has_no_first_cpu() {
        assert_eq!(Affinity::NONE.first(), None);
        assert_eq!(Affinity::ALL.within(0), Affinity::NONE);
    }

    /// sched_setaffinity(2): CPUs that do not exist are ignored, and a set of none that does is EINVAL.
    #[test]
    fn a_set_of_cpus_that_do_not_exist_is_empty_within_the_machine() {
        let wanted = set(&BTreeSet::from([4, 200]));
        assert_eq!(wanted.within(4), Affinity::NONE);
        assert_eq!(wanted.within(5), set(&BTreeSet::from([4])));
    }

    /// SYSCALL_DEFINE3(sched_getaffinity): `len * BITS_PER_BYTE < nr_cpu_ids` or
    /// `len & (sizeof(unsigned long) - 1)` is EINVAL; else the smaller of `len` and the set's size.
    #[test]
    fn getaffinity_wants_room_for_all_cpus_in_whole_words() {
        assert_eq!(bytes_told(8, 2), Ok(8));
        assert_eq!(bytes_told(128, 2), Ok(8));
        assert_eq!(bytes_told(128, 65), Ok(16));
        assert_eq!(bytes_told(8, 65), Err(Errno::EINVAL));
        assert_eq!(bytes_told(12, 2), Err(Errno::EINVAL));
        assert_eq!(bytes_told(0, 1), Err(Errno::EINVAL));
    }

    proptest! {
        #[test]
        fn a_set_of_numbers_says_the_same(
            cpus in proptest::collection::btree_set(0u32..256, 0..20),
            count in 0u32..300,
        ) {
            let affinity = set(&cpus);
            prop_assert_eq!(Affinity::from_bytes(affinity.bytes()), affinity);
            prop_assert_eq!(affinity.first(), cpus.first().copied());
            let within = affinity.within(count.min(256));
            for cpu in 0..300 {
                prop_assert_eq!(affinity.contains(cpu), cpus.contains(&cpu));
                prop_assert_eq!(within.contains(cpu), cpus.contains(&cpu) && cpu < count);
            }
        }
    }
}
