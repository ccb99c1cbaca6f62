// SPDX-License-Identifier: GPL-2.0
//! Signal stacks of threads, and `stack_t` of Linux.

/// `SS_ONSTACK`.
const ON_STACK: u32 = 1;
/// `SS_DISABLE`.
const DISABLE: u32 = 2;
/// `SS_AUTODISARM`.
const AUTODISARM: u32 = 1 << 31;
/// Linux's `MINSIGSTKSZ`.
const SMALLEST: u64 = 2048;

/// The reason why a signal stack was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadStack {
    /// Smaller than any frame.
    TooSmall,
    /// Flags that Linux does not know.
    UnknownFlags,
}

/// The signal stack; `size` 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalStack {
    /// Lowest address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// Disarmed while a handler runs on it.
    pub autodisarm: bool,
}

impl SignalStack {
    /// Whether a stack pointer is on it.
    #[must_use]
    pub const fn contains(&self, sp: u64) -> bool {
        !self.autodisarm && sp > self.start && sp - self.start <= self.size
    }

    /// From the words of a `stack_t` that a program hands over.
    ///
    /// # Errors
    ///
    /// Too small, or with flags that Linux does not know.
    pub const fn from_words([start, flags, size]: [u64; 3]) -> Result<Self, BadStack> {
        let flags = low_half(flags);
        let autodisarm = flags & AUTODISARM != 0;
        match flags & !AUTODISARM {
            DISABLE => Ok(Self {
                start: 0,
                size: 0,
                autodisarm,
            }),
            0 | ON_STACK if size < SMALLEST => Err(BadStack::TooSmall),
            0 | ON_STACK => Ok(Self {
                start,
                size,
                autodisarm,
            }),
            _ => Err(BadStack::UnknownFlags),
        }
    }

    /// From the words of the `stack_t` in a signal frame, which were a valid one once.
    #[must_use]
    pub const fn from_frame([start, flags, size]: [u64; 3]) -> Self {
        let flags = low_half(flags);
        Self {
            start,
            size: if flags & DISABLE != 0 { 0 } else { size },
            autodisarm: flags & AUTODISARM != 0,
        }
    }

    /// As the words of a `stack_t`, for a thread whose stack pointer is `sp`.
    #[must_use]
    pub const fn words(&self, sp: u64) -> [u64; 3] {
        let state = match self.size {
            0 => DISABLE,
            _ if self.contains(sp) => ON_STACK,
            _ => 0,
        };
        let flags = state | if self.autodisarm { AUTODISARM } else { 0 };
        [self.start, flags as u64, self.size]
    }
}

/// The lower half, where `stack_t` has its flags; padding follows.
#[allow(
    clippy::cast_possible_truncation,
    reason = "what is cut off is padding"
)]
const fn low_half(word: u64) -> u32 {
    word as u32
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STACK: SignalStack = SignalStack {
        start: 0x1000,
        size: 0x2000,
        autodisarm: false,
    };

    #[test]
    fn an_empty_stack_ends_where_the_pointer_may_begin() {
        assert!(!STACK.contains(0x0fff));
        assert!(
            !STACK.contains(0x1000),
            "nothing fits below its lowest byte"
        );
        assert!(STACK.contains(0x1001));
        assert!(STACK.contains(0x3000), "a push would write into it");
        assert!(!STACK.contains(0x3001));
    }

    #[test]
    fn nobody_is_on_a_stack_that_disarms_itself() {
        let stack = SignalStack {
            autodisarm: true,
            ..STACK
        };
        assert!(!stack.contains(0x2000));
        assert_eq!(stack.words(0x2000), [0x1000, 1 << 31, 0x2000]);
    }

    #[test]
    fn the_flags_say_what_linux_says() {
        assert_eq!(SignalStack::default().words(0x2000), [0, 2, 0]);
        assert_eq!(STACK.words(0x2000), [0x1000, 1, 0x2000]);
        assert_eq!(STACK.words(0x8000), [0x1000, 0, 0x2000]);
    }

    #[test]
    fn a_small_stack_is_refused_unless_it_is_none() {
        let sized = |flags, size| SignalStack::from_words([0x1000, flags, size]);
        assert_eq!(sized(0, 2047), Err(BadStack::TooSmall));
        assert_eq!(sized(1, 0), Err(BadStack::TooSmall));
        assert_eq!(sized(0, 2048).map(|stack| stack.size), Ok(2048));
        assert_eq!(sized(2, 0), Ok(SignalStack::default()));
        assert_eq!(sized(2, 9999), Ok(SignalStack::default()));
    }

    #[test]
    fn unknown_flags_are_refused_but_padding_is_not_looked_at() {
        for flags in [3, 4, 1 << 30, 1 << 31 | 3] {
            assert_eq!(
                SignalStack::from_words([0, flags, 4096]),
                Err(BadStack::UnknownFlags)
            );
        }
        assert!(SignalStack::from_words([0, 0xdead_beef_0000_0000, 4096]).is_ok());
    }

    proptest! {
        #[test]
        fn what_a_frame_says_of_a_stack_brings_it_back(
            start in any::<u64>(),
            size in prop_oneof![Just(0), 2048..=u64::MAX],
            autodisarm in any::<bool>(),
            sp in any::<u64>(),
        ) {
            let stack = SignalStack { start, size, autodisarm };
            prop_assert_eq!(SignalStack::from_frame(stack.words(sp)), stack);
        }

        #[test]
        fn what_a_program_reads_it_may_hand_back(
            start in any::<u64>(),
            size in 2048..=u64::MAX,
            autodisarm in any::<bool>(),
            sp in any::<u64>(),
        ) {
            let stack = SignalStack { start, size, autodisarm };
            prop_assert_eq!(SignalStack::from_words(stack.words(sp)), Ok(stack));
        }
    }
}
