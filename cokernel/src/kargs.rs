// SPDX-License-Identifier: GPL-2.0
//! Boot arguments of the co-kernel (`ihkosctl OS kargs "…"`): the complete list.
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

use ihk_ikc::boot::BootParams;
use spin::Once;

/// Longest time to poll, µs.
const MAX_POLL_US: u64 = 1_000_000;

/// Where a test wants a failure.
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
    /// When Linux takes back pages it has shown.
    Mirror,
}

/// What the boot arguments say.
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
    const DEFAULT: Self = Self {
        poll_us: 100,
        test_panic: None,
        test_hang: None,
    };
}

/// Why the arguments were refused.
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

static KARGS: Once<Kargs> = Once::new();

/// What the boot arguments say; the defaults before they were read.
pub fn get() -> &'static Kargs {
    KARGS.get().unwrap_or(&Kargs::DEFAULT)
}

/// How long a waiting thread, or an idle CPU, polls, µs.
pub fn poll_us() -> u64 {
    get().poll_us
}

/// Reads the arguments of `params`. The boot CPU, once.
///
/// # Errors
///
/// See [`BadKarg`]: the boot is to be refused.
pub fn init(params: &'static BootParams) -> Result<(), BadKarg<'static>> {
    let bytes = params
        .kargs
        .get(..params.kargs_bytes as usize)
        .ok_or(BadKarg::NotUtf8)?;
    let text = core::str::from_utf8(bytes).map_err(|_| BadKarg::NotUtf8)?;
    let kargs = parse(text)?;
    KARGS.call_once(|| kargs);
    Ok(())
}

fn parse(text: &str) -> Result<Kargs, BadKarg<'_>> {
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
