// SPDX-License-Identifier: GPL-2.0
//! The first stack of a program, byte for byte as Linux builds it.
//!
//! ```text
//!  stack_top - 8   zero
//!                  path of the program, environment strings, argument strings (downwards)
//!                  random gap, platform string, 16 random bytes
//!                  auxiliary vector, environment pointers, argument pointers
//!  stack pointer   argument count, 16-byte aligned
//! ```

use std::ffi::{CStr, CString};

use nix::errno::Errno;

use crate::error::ExecError;

/// Longest single string, its NUL included (`MAX_ARG_STRLEN`).
const MAX_STRING: usize = 32 * 4096;
/// Strings and pointers may always take this much (`ARG_MAX`).
const MIN_STRINGS: u64 = 128 << 10;
/// Strings and pointers may never take more than this, three quarters of Linux's default stack.
const MAX_STRINGS: u64 = 6 << 20;
/// Most bytes beyond strings and pointers: auxiliary vector, gap, alignment.
const OVERHEAD: u64 = 16 << 10;
/// Range of the random gap, bytes.
const RANDOM_GAP: u64 = 8192;

/// Keys of the auxiliary vector whose values are addresses on the stack.
mod key {
    pub(super) const NULL: u64 = 0;
    pub(super) const PLATFORM: u64 = 15;
    pub(super) const RANDOM: u64 = 25;
    pub(super) const EXECFN: u64 = 31;
}

/// A value of the auxiliary vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A number.
    Plain(u64),
    /// Address of the platform string.
    Platform,
    /// Address of the random bytes.
    Random,
    /// Address of the program's path.
    Path,
}

/// The contents of a stack that is to be built.
#[derive(Clone, Debug)]
pub(crate) struct Contents<'a> {
    /// Arguments.
    pub argv: &'a [CString],
    /// Environment.
    pub environment: &'a [CString],
    /// Path of the program, as it was executed.
    pub path: &'a CStr,
    /// `AT_PLATFORM`.
    pub platform: &'a CStr,
    /// `AT_RANDOM`.
    pub random: [u8; 16],
    /// Auxiliary vector without its end, in order.
    pub auxv: &'a [(u64, Value)],
    /// A random number for the gap, or 0 for none.
    pub gap: u64,
}

/// A built stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// The stack pointer, where `bytes` go.
    pub pointer: u64,
    /// Everything from there to the top.
    pub bytes: Vec<u8>,
    /// First address of the argument strings, and one past their last.
    pub arguments: (u64, u64),
    /// First address of the environment strings, and one past their last.
    pub environment: (u64, u64),
    /// Range of the auxiliary vector in `bytes`, its end included.
    pub auxv: std::ops::Range<usize>,
}

impl Contents<'_> {
    /// Most bytes the stack will take.
    #[must_use]
    pub(crate) fn most_bytes(&self) -> u64 {
        self.string_bytes() + self.pointer_bytes() + OVERHEAD
    }

    fn string_bytes(&self) -> u64 {
        let all = self
            .argv
            .iter()
            .chain(self.environment)
            .map(|text| text.as_bytes_with_nul().len());
        (all.sum::<usize>() + self.path.to_bytes_with_nul().len() + 8) as u64
    }

    fn pointer_bytes(&self) -> u64 {
        (self.argv.len() + self.environment.len()) as u64 * 8
    }

    /// Refuses what is too long for a stack of `stack_limit` bytes, as Linux does.
    ///
    /// # Errors
    ///
    /// `E2BIG`.
    pub(crate) fn check_size(&self, stack_limit: u64) -> Result<(), ExecError> {
        let limit = (stack_limit / 4).clamp(MIN_STRINGS, MAX_STRINGS);
        let mut strings = self.argv.iter().chain(self.environment);
        if strings.any(|text| text.as_bytes_with_nul().len() > MAX_STRING)
            || self.string_bytes() + self.pointer_bytes() > limit
        {
            return Err(Errno::E2BIG.into());
        }
        Ok(())
    }

    /// Builds the stack below `top`.
    #[must_use]
    pub(crate) fn build(&self, top: u64) -> Stack {
        let mut memory = Downwards {
            top,
            bytes: Vec::new(),
        };
        memory.push(&[0; 8]);
        let path = memory.push(self.path.to_bytes_with_nul());
        let strings_end = memory.pointer();
        let environment = push_all(&mut memory, self.environment);
        let environment_start = memory.pointer();
        let argv = push_all(&mut memory, self.argv);
        let arguments_start = memory.pointer();
        memory.align_down(self.gap % RANDOM_GAP, 16);
        let platform = memory.push(self.platform.to_bytes_with_nul());
        let random = memory.push(&self.random);
        let mut words = vec![self.argv.len() as u64];
        words.extend(argv.into_iter().chain([0]));
        words.extend(environment.into_iter().chain([0]));
        let auxv_start = words.len() * 8;
        for (key, value) in self.auxv {
            let value = match value {
                Value::Plain(value) => *value,
                Value::Platform => platform,
                Value::Random => random,
                Value::Path => path,
            };
            words.extend([*key, value]);
        }
        words.extend([key::NULL, 0]);
        memory.align_down(words.len() as u64 * 8, 16);
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        Stack {
            pointer: memory.pointer(),
            arguments: (arguments_start, environment_start),
            environment: (environment_start, strings_end),
            auxv: auxv_start..bytes.len(),
            bytes: memory.overwrite(&bytes),
        }
    }
}

/// Returns the standard entry whose value is the address of the random bytes.
#[must_use]
pub(crate) fn entry_random() -> (u64, Value) {
    (key::RANDOM, Value::Random)
}
/// Returns the standard entry whose value is the address of the program's path.
#[must_use]
pub(crate) fn entry_path() -> (u64, Value) {
    (key::EXECFN, Value::Path)
}
/// Returns the standard entry whose value is the address of the platform string.
#[must_use]
pub(crate) fn entry_platform() -> (u64, Value) {
    (key::PLATFORM, Value::Platform)
}

/// Pushes the last string first, and returns the addresses in order.
fn push_all(memory: &mut Downwards, strings: &[CString]) -> Vec<u64> {
    let mut addresses: Vec<_> = strings
        .iter()
        .rev()
        .map(|text| memory.push(text.as_bytes_with_nul()))
        .collect();
    addresses.reverse();
    addresses
}

/// Memory that is filled downwards from `top`; held upside down.
struct Downwards {
    top: u64,
    bytes: Vec<u8>,
}

impl Downwards {
    fn pointer(&self) -> u64 {
        self.top - self.bytes.len() as u64
    }

    fn push(&mut self, bytes: &[u8]) -> u64 {
        self.bytes.extend(bytes.iter().rev());
        self.pointer()
    }

    /// Moves down by `bytes` and further to a multiple of `alignment`.
    fn align_down(&mut self, bytes: u64, alignment: u64) {
        let target = (self.pointer() - bytes) & !(alignment - 1);
        let length = usize::try_from(self.top - target).unwrap_or(self.bytes.len());
        self.bytes.resize(length, 0);
    }

    /// The finished memory with `words` at its lowest address.
    fn overwrite(mut self, words: &[u8]) -> Vec<u8> {
        self.bytes.reverse();
        for (place, byte) in self.bytes.iter_mut().zip(words) {
            *place = *byte;
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{entry_path, entry_platform, entry_random, Contents, Value};
    use std::ffi::CString;

    const TOP: u64 = 0x5550_0000_0000;

    fn strings(texts: &[&str]) -> Vec<CString> {
        texts
            .iter()
            .map(|text| CString::new(*text).unwrap())
            .collect()
    }

    fn word(bytes: &[u8], index: usize) -> u64 {
        u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().unwrap())
    }

    #[test]
    fn the_stack_has_the_layout_of_linux() {
        let (argv, environment) = (strings(&["a", "bc"]), strings(&["X=1"]));
        let auxv = [
            (6, Value::Plain(4096)),
            entry_random(),
            entry_path(),
            entry_platform(),
        ];
        let contents = Contents {
            argv: &argv,
            environment: &environment,
            path: c"/bin/a",
            platform: c"x86_64",
            random: *b"0123456789abcdef",
            auxv: &auxv,
            gap: 0,
        };
        let stack = contents.build(TOP);
        let bytes = &stack.bytes;
        assert_eq!(stack.pointer + bytes.len() as u64, TOP);
        assert_eq!(stack.pointer % 16, 0);
        // strings, from the top: 8 zeroes, "/bin/a", "X=1", "bc", "a"
        assert!(bytes.ends_with(b"a\0bc\0X=1\0/bin/a\0\0\0\0\0\0\0\0\0"));
        let strings_at = TOP - 8 - 7 - 4 - 3 - 2;
        let platform_at = (strings_at & !15) - 7;
        let words: Vec<u64> = (0..16).map(|index| word(bytes, index)).collect();
        assert_eq!(words[..4], [2, strings_at, strings_at + 2, 0]);
        assert_eq!(words[4..6], [strings_at + 5, 0]);
        assert_eq!(words[6..8], [6, 4096]);
        assert_eq!(words[8..10], [25, platform_at - 16]);
        assert_eq!(words[10..12], [31, strings_at + 9]);
        assert_eq!(words[12..14], [15, platform_at]);
        assert_eq!(words[14..16], [0, 0]);
        let at = |address: u64| &bytes[usize::try_from(address - stack.pointer).unwrap()..];
        assert!(at(platform_at).starts_with(b"x86_64\0"));
        assert!(at(platform_at - 16).starts_with(b"0123456789abcdef"));
        assert!(stack.bytes.len() as u64 <= contents.most_bytes());
    }

    #[test]
    fn too_long_arguments_are_refused() {
        let fits = |argv: Vec<CString>, limit: u64| {
            let contents = Contents {
                argv: &argv,
                environment: &[],
                path: c"x",
                platform: c"x",
                random: [0; 16],
                auxv: &[],
                gap: 8191,
            };
            contents.check_size(limit).is_ok()
        };
        let long = |bytes: usize| CString::new(vec![b'x'; bytes]).unwrap();
        assert!(fits(vec![long(131_071)], 8 << 20));
        assert!(!fits(vec![long(131_072)], 8 << 20));
        assert!(fits(vec![long(100_000); 20], 8 << 20));
        assert!(!fits(vec![long(100_000); 21], 8 << 20));
        assert!(!fits(vec![long(100_000); 2], 1 << 16));
    }
}
