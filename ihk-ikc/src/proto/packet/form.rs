// SPDX-License-Identifier: GPL-2.0
//! The form of all packets: a kind and up to seven words, and how an enum of messages becomes that and back.

use super::super::errno::{self, SyscallResult};

/// 64-bit words of a packet.
pub const PACKET_WORDS: usize = 8;

/// A message as it lies in a ring: word 0 = kind, words 1–7 = arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Packet([u64; PACKET_WORDS]);

impl Packet {
    /// The words as they are stored.
    #[must_use]
    pub const fn words(&self) -> [u64; PACKET_WORDS] {
        self.0
    }

    /// A packet from stored words.
    #[must_use]
    pub const fn from_words(words: [u64; PACKET_WORDS]) -> Self {
        Self(words)
    }
}

/// Conversion of a word of a packet to a field and back. Narrow fields are cut, so a lying peer can
/// produce a wrong value but no other harm.
pub(super) trait Word: Copy {
    fn to_word(self) -> u64;
    fn from_word(word: u64) -> Self;
}
macro_rules! impl_word {
    ($($t:ty),*) => {$(
        impl Word for $t {
            #[allow(clippy::cast_lossless, reason = "some fields are as wide as a word, or signed")]
            fn to_word(self) -> u64 { self as u64 }
            #[allow(clippy::cast_possible_truncation, reason = "narrow fields are cut, see Word")]
            fn from_word(word: u64) -> Self { word as Self }
        }
    )*};
}
impl_word!(u32, i32, u64);

impl Word for SyscallResult {
    fn to_word(self) -> u64 {
        errno::encode(self)
    }
    fn from_word(word: u64) -> Self {
        errno::decode(word)
    }
}

/// Generates an enum of messages with `encode` and `decode`.
macro_rules! messages {
    (
        $(#[$emeta:meta])* pub enum $name:ident {
            $( $(#[$vmeta:meta])* $variant:ident = $kind:literal {
                $( $(#[$fmeta:meta])* $field:ident : $ty:ty ),* $(,)?
            } ),* $(,)?
        }
    ) => {
        $(#[$emeta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$vmeta])* $variant { $( $(#[$fmeta])* $field: $ty ),* } ),* }

        impl $name {
            /// The packet that carries this message.
            #[must_use]
            pub fn encode(&self) -> Packet {
                let mut words = [0; PACKET_WORDS];
                match *self {
                    $( Self::$variant { $($field),* } => {
                        words[0] = $kind;
                        let fields: &[u64] = &[$(Word::to_word($field)),*];
                        words[1..=fields.len()].copy_from_slice(fields);
                    } )*
                }
                Packet::from_words(words)
            }

            /// The message in `packet`; `None` if its kind is unknown.
            #[must_use]
            pub fn decode(packet: &Packet) -> Option<Self> {
                let [kind, fields @ ..] = packet.words();
                let mut fields = fields.into_iter();
                match kind {
                    $( $kind => Some(Self::$variant {
                        $($field: Word::from_word(fields.next().unwrap_or(0))),*
                    }), )*
                    _ => None,
                }
            }
        }
    };
}
pub(super) use messages;
