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
    /// The flags that the program gave.
    pub flags: u32,
}

impl SignalStack {
    /// That of a new thread, and of a handler on a stack that disarms itself.
    pub const DISABLED: Self = Self {
        start: 0,
        size: 0,
        flags: DISABLE,
    };

    /// Whether it is disarmed while a handler runs on it.
    #[must_use]
    pub const fn disarms_itself(&self) -> bool {
        self.flags & AUTODISARM != 0
    }

    /// Whether a stack pointer is on it.
    #[must_use]
    pub const fn contains(&self, sp: u64) -> bool {
        !self.disarms_itself() && sp > self.start && sp - self.start <= self.size
    }

    /// From the words of a `stack_t` that a program hands over.
    ///
    /// # Errors
    ///
    /// Too small, or with flags that Linux does not know.
    pub const fn from_words([start, flags, size]: [u64; 3]) -> Result<Self, BadStack> {
        let flags = low_half(flags);
        match flags & !AUTODISARM {
            DISABLE => Ok(Self {
                start: 0,
                size: 0,
                flags,
            }),
            0 | ON_STACK if size < SMALLEST => Err(BadStack::TooSmall),
            0 | ON_STACK => Ok(Self { start, size, flags }),
            _ => Err(BadStack::UnknownFlags),
        }
    }

    /// The stack after a handler that returns with stack pointer `sp`, and whose frame has these words: as if
    /// the handler had set it. It stays as it is if that is refused.
    #[must_use]
    pub fn restored(self, words: [u64; 3], sp: u64) -> Self {
        if self.size != 0 && self.contains(sp) {
            return self;
        }
        Self::from_words(words).unwrap_or(self)
    }

    /// As the words of a `stack_t`, for a thread whose stack pointer is `sp`.
    #[must_use]
    pub const fn words(&self, sp: u64) -> [u64; 3] {
        let state = match self.size {
            0 => DISABLE,
            _ if self.contains(sp) => ON_STACK,
            _ => 0,
        };
        let flags = state | self.flags & AUTODISARM;
        [self.start, flags as u64, self.size]
    }

    /// As the words of the `stack_t` in a signal frame: as they were given.
    #[must_use]
    pub const fn as_given(&self) -> [u64; 3] {
        [self.start, self.flags as u64, self.size]
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

    const STACK: SignalStack = stack(0);

    const fn stack(flags: u32) -> SignalStack {
        SignalStack {
            start: 0x1000,
            size: 0x2000,
            flags,
        }
    }

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
        let stack = stack(AUTODISARM);
        assert!(!stack.contains(0x2000));
        assert_eq!(stack.words(0x2000), [0x1000, 1 << 31, 0x2000]);
    }

    #[test]
    fn the_flags_say_what_linux_says() {
        assert_eq!(SignalStack::default().words(0x2000), [0, 2, 0]);
        assert_eq!(STACK.words(0x2000), [0x1000, 1, 0x2000]);
        assert_eq!(STACK.words(0x8000), [0x1000, 0, 0x2000]);
        assert_eq!(stack(ON_STACK).words(0x8000), [0x1000, 0, 0x2000]);
    }

    /// `__save_altstack` of Linux.
    #[test]
    fn a_frame_has_the_flags_as_they_were_given() {
        for flags in [0, ON_STACK, AUTODISARM, AUTODISARM | ON_STACK] {
            assert_eq!(stack(flags).as_given(), [0x1000, flags.into(), 0x2000]);
        }
        assert_eq!(SignalStack::DISABLED.as_given(), [0, 2, 0]);
    }

    /// `restore_altstack` of Linux: what sigaltstack(2) refuses is passed over.
    #[test]
    fn a_handler_that_returns_sets_the_stack_if_it_may() {
        let other = [0x9000, 0, 0x4000];
        assert_eq!(STACK.restored(other, 0x8000).as_given(), other);
        assert_eq!(STACK.restored(other, 0x2000), STACK, "it is still on it");
        assert_eq!(SignalStack::DISABLED.restored(other, 0x2000).start, 0x9000);
        assert_eq!(STACK.restored([0x9000, 0, 1], 0x8000), STACK);
        assert_eq!(STACK.restored([0x9000, 4, 0x4000], 0x8000), STACK);
    }

    #[test]
    fn a_small_stack_is_refused_unless_it_is_none() {
        let sized = |flags, size| SignalStack::from_words([0x1000, flags, size]);
        assert_eq!(sized(0, 2047), Err(BadStack::TooSmall));
        assert_eq!(sized(1, 0), Err(BadStack::TooSmall));
        assert_eq!(sized(0, 2048).map(|stack| stack.size), Ok(2048));
        assert_eq!(sized(2, 0), Ok(SignalStack::DISABLED));
        assert_eq!(sized(2, 9999), Ok(SignalStack::DISABLED));
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
            size in 2048..=u64::MAX,
            flags in prop_oneof![Just(0), Just(ON_STACK), Just(AUTODISARM)],
            sp in any::<u64>(),
        ) {
            let stack = SignalStack { start, size, flags };
            prop_assert_eq!(SignalStack::DISABLED.restored(stack.as_given(), sp), stack);
        }

        #[test]
        fn what_a_program_reads_it_may_hand_back(
            start in any::<u64>(),
            size in 2048..=u64::MAX,
            flags in prop_oneof![Just(0), Just(AUTODISARM)],
            sp in any::<u64>(),
        ) {
            let stack = SignalStack { start, size, flags };
            let read = SignalStack::from_words(stack.words(sp));
            prop_assert_eq!(read.map(|read| read.words(sp)), Ok(stack.words(sp)));
        }
    }
}
