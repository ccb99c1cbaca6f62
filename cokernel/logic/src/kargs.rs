// SPDX-License-Identifier: GPL-2.0
//! Boot arguments of the co-kernel (`ihkosctl OS kargs "…"`): the complete list, and how they are read.
//!
//! | argument | meaning |
//! |---|---|
//! | `poll_us=N` | how many microseconds a waiting thread, or an idle CPU, polls before it gives up and sleeps (0–1000000; default 100) |
//! | `test_panic=boot\|syscall\|timer\|nmi` | test: panic during boot, in the first system call, in a timer interrupt after boot, in a non-maskable interrupt after boot |
//! | `test_hang=syscall\|mirror` | test: the first system call, or the first order to give pages back to Linux, never ends |
//!
//! An argument that is not on the list refuses the boot.

use core::fmt;
use core::str::FromStr;

/// Longest time to poll, µs.
const MAX_POLL_US: u64 = 1_000_000;

/// The place at which a test wants a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the instance says that it runs.
    Boot,
    /// In the first system call.
    Syscall,
    /// In a timer interrupt shortly after boot.
    Timer,
    /// In a non-maskable interrupt shortly after boot.
    Nmi,
    /// The moment at which Linux takes back pages it has shown.
    Mirror,
}

/// The values of the boot arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kargs {
    /// `poll_us`.
    pub poll_us: u64,
    /// `test_panic`.
    pub test_panic: Option<Place>,
    /// `test_hang`.
    pub test_hang: Option<Place>,
}

impl Kargs {
    /// The values without any argument.
    pub const DEFAULT: Self = Self {
        poll_us: 100,
        test_panic: None,
        test_hang: None,
    };
}

/// The reason why the arguments were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKarg<'a> {
    /// They are not text.
    NotUtf8,
    /// Not on the list.
    Unknown(&'a str),
    /// On the list, but not with this value.
    BadValue(&'a str),
}

impl fmt::Display for BadKarg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => write!(f, "kargs: not UTF-8"),
            Self::Unknown(word) => write!(f, "kargs: {word}: unknown argument"),
            Self::BadValue(word) => write!(f, "kargs: {word}: bad value"),
        }
    }
}

/// Reads `bytes`: words between white space or zero bytes. The last word of a name counts.
///
/// # Errors
///
/// See [`BadKarg`]: the boot is to be refused.
pub fn parse(bytes: &[u8]) -> Result<Kargs, BadKarg<'_>> {
    let text = core::str::from_utf8(bytes).map_err(|_| BadKarg::NotUtf8)?;
    parse_text(text)
}

fn parse_text(text: &str) -> Result<Kargs, BadKarg<'_>> {
    let mut kargs = Kargs::DEFAULT;
    let words = text.split(|c: char| c.is_whitespace() || c == '\0');
    for word in words.filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').ok_or(BadKarg::Unknown(word))?;
        let bad = BadKarg::BadValue(word);
        match name {
            "poll_us" => {
                let number = u64::from_str(value).ok().filter(|us| *us <= MAX_POLL_US);
                kargs.poll_us = number.ok_or(bad)?;
            }
            "test_panic" => {
                kargs.test_panic = Some(place(value).filter(|at| *at != Place::Mirror).ok_or(bad)?)
            }
            "test_hang" => {
                let known = |at: &Place| matches!(at, Place::Syscall | Place::Mirror);
                kargs.test_hang = Some(place(value).filter(known).ok_or(bad)?);
            }
            _ => return Err(BadKarg::Unknown(word)),
        }
    }
    Ok(kargs)
}

fn place(name: &str) -> Option<Place> {
    match name {
        "boot" => Some(Place::Boot),
        "syscall" => Some(Place::Syscall),
        "timer" => Some(Place::Timer),
        "nmi" => Some(Place::Nmi),
        "mirror" => Some(Place::Mirror),
        _ => None,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use alloc::format;
    use alloc::string::{String, ToString};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_said_means_the_defaults() {
        for text in ["", " ", "\0\0", " \t\n\0 "] {
            assert_eq!(parse(text.as_bytes()), Ok(Kargs::DEFAULT));
        }
        assert_eq!(Kargs::DEFAULT.poll_us, 100);
    }

    #[test]
    fn each_argument_sets_its_own_field_only() {
        let with_poll = Kargs {
            poll_us: 7,
            ..Kargs::DEFAULT
        };
        assert_eq!(parse(b"poll_us=7"), Ok(with_poll));
        let with_panic = Kargs {
            test_panic: Some(Place::Timer),
            ..Kargs::DEFAULT
        };
        assert_eq!(parse(b"test_panic=timer"), Ok(with_panic));
        let with_hang = Kargs {
            test_hang: Some(Place::Mirror),
            ..Kargs::DEFAULT
        };
        assert_eq!(parse(b"test_hang=mirror"), Ok(with_hang));
    }

    #[test]
    fn several_arguments_may_stand_in_any_order_and_the_last_one_counts() {
        let all = Ok(Kargs {
            poll_us: 0,
            test_panic: Some(Place::Nmi),
            test_hang: Some(Place::Syscall),
        });
        assert_eq!(
            parse(b" test_hang=syscall\tpoll_us=5\npoll_us=0 test_panic=nmi\0\0"),
            all
        );
        assert_eq!(
            parse(b"test_panic=boot poll_us=0 test_panic=nmi test_hang=syscall"),
            all
        );
    }

    #[test]
    fn a_poll_is_a_second_at_most() {
        let poll = |text: &'static str| parse(text.as_bytes()).map(|kargs| kargs.poll_us);
        assert_eq!(poll("poll_us=1000000"), Ok(1_000_000));
        for bad in [
            "poll_us=1000001",
            "poll_us=18446744073709551616",
            "poll_us=-1",
            "poll_us=",
            "poll_us=1us",
            "poll_us=0x10",
        ] {
            assert_eq!(poll(bad), Err(BadKarg::BadValue(bad)));
        }
    }

    #[test]
    fn a_failure_happens_only_where_it_can() {
        let places = ["boot", "syscall", "timer", "nmi", "mirror"];
        let accepted = |name: &str| {
            let is_good = |place: &&str| parse(format!("{name}={place}").as_bytes()).is_ok();
            places
                .into_iter()
                .filter(is_good)
                .collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(accepted("test_panic"), ["boot", "syscall", "timer", "nmi"]);
        assert_eq!(accepted("test_hang"), ["syscall", "mirror"]);
        assert_eq!(
            parse(b"test_panic=Boot"),
            Err(BadKarg::BadValue("test_panic=Boot"))
        );
    }

    #[test]
    fn what_is_not_on_the_list_is_refused_by_name() {
        for word in ["poll", "poll_us", "Poll_us=1", "=", "=1", "panic=boot"] {
            assert_eq!(parse(word.as_bytes()), Err(BadKarg::Unknown(word)));
        }
        assert_eq!(parse(b"poll_us=1 x y"), Err(BadKarg::Unknown("x")));
        assert_eq!(parse(b"poll_us=1 \xff"), Err(BadKarg::NotUtf8));
    }

    #[test]
    fn a_refusal_names_the_word() {
        let said = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert_eq!(said(b"\xc3"), "kargs: not UTF-8");
        assert_eq!(said(b"speed=9"), "kargs: speed=9: unknown argument");
        assert_eq!(said(b"poll_us=x"), "kargs: poll_us=x: bad value");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much_for_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(kargs) = parse(&bytes) {
                prop_assert!(kargs.poll_us <= MAX_POLL_US);
            }
        }

        #[test]
        fn every_time_that_is_allowed_is_read_back(
            poll_us in 0..=MAX_POLL_US,
            space in "[ \t\n\\x00]{0,4}",
        ) {
            let text: String = format!("{space}poll_us={poll_us}{space}");
            let expected = Kargs { poll_us, ..Kargs::DEFAULT };
            prop_assert_eq!(parse(text.as_bytes()), Ok(expected));
        }

        #[test]
        fn a_refused_word_is_a_word_of_the_text(text in "[a-z_=0-9 ]{0,40}") {
            match parse(text.as_bytes()) {
                Err(BadKarg::Unknown(word) | BadKarg::BadValue(word)) => {
                    prop_assert!(text.split(' ').any(|given| given == word));
                }
                outcome => prop_assert!(outcome.is_ok()),
            }
        }
    }
}
