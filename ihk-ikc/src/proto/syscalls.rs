// SPDX-License-Identifier: GPL-2.0
//! The system calls of Linux on x86-64, up to 7.3: where each one is done, why there, and what else
//! has to be known about it.
//!
//! `syscalls/table.rs` has one row for each number. The routes of the co-kernel, the exceptions of
//! mcexec, the filter of functions, the checks of xtask and `docs/syscalls.md` are derived from these
//! rows.

macro_rules! system_calls {
    ($($number:literal $name:ident $route:expr, $why:ident, [$($class:ident)*];)*) => {
        /// All rows, by ascending number.
        pub const CALLS: &[SystemCall] = &[$(SystemCall {
            number: $number,
            name: stringify!($name),
            route: $route,
            why: why::$why,
            class: Class::NONE$(.and(Class::$class))*,
        }),*];

        /// Numbers of system calls, under Linux's names.
        #[allow(non_upper_case_globals, reason = "the names are Linux's")]
        pub mod number {
            $(
                #[doc = concat!("Number of `", stringify!($name), "(2)`.")]
                pub const $name: u64 = $number;
            )*
        }
    };
}

mod table;
#[allow(missing_docs, reason = "each text speaks for itself")]
pub mod why;

pub use table::{number, CALLS};

/// The kernel that does a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// By the co-kernel, perhaps with Linux's help.
    Local,
    /// By the thread's worker on Linux, as it is; possible because pointers mean the same there.
    Delegated,
    /// As `Delegated`; but the call changes what the thread is to Linux and what new threads inherit
    /// (credentials, priorities, namespaces).
    Inherited,
    /// Nowhere: the result is always this error number.
    Refused(u16),
}

/// The facts about a system call besides its route, one bit for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(u16);

impl Class {
    /// Nothing special.
    pub const NONE: Self = Self(0);
    /// The call acts on the caller's address space. Linux would take the proxy's.
    pub const OWN_MEMORY: Self = Self(1);
    /// The call acts on the caller's signal actions, mask, stack or frame. Linux would take the
    /// worker's.
    pub const OWN_SIGNALS: Self = Self(1 << 1);
    /// The call acts on the calling thread or process itself, or on what Linux keeps for it (robust
    /// list, registers, filters of system calls). Linux would take the worker or the proxy.
    pub const OWN_THREAD: Self = Self(1 << 2);
    /// A worker refuses the call, because it would harm mcexec. The co-kernel never asks for it.
    pub const HARMS_PROXY: Self = Self(1 << 3);
    /// The first argument is a path, relative to the current directory.
    pub const PATH_FIRST: Self = Self(1 << 4);
    /// The second argument is a path, relative to the directory that the first argument is.
    pub const PATH_AT: Self = Self(1 << 5);
    /// The first argument is a descriptor that must be open.
    pub const DESCRIPTOR_FIRST: Self = Self(1 << 6);
    /// The call changes the user or the groups that the thread acts for.
    pub const IDENTITY: Self = Self(1 << 7);
    /// The second argument is a buffer that Linux fills, the third argument its length, and the
    /// result says how much was moved.
    pub const FILLS_BUFFER: Self = Self(1 << 8);
    /// The second argument is a buffer that Linux reads, the third argument its length, and the
    /// result says how much was moved.
    pub const TAKES_BUFFER: Self = Self(1 << 9);
    /// A function of the program makes the call at once in mcexec: the call is often made, acts on
    /// what all threads share, and has no exceptions there.
    pub const DIRECT: Self = Self(1 << 10);
    /// No function of the program may make the call: it would end, double or change the thread that
    /// runs the function instead of the program's, or leave the frame that it is made from.
    pub const NOT_IN_FUNCTIONS: Self = Self(1 << 11);
    /// The route is [`Route::Delegated`]. The table leaves this bit to [`BY_NUMBER`].
    const DELEGATED: Self = Self(1 << 15);

    /// The facts that forbid to delegate a call as it is.
    const OWN: Self = Self::OWN_MEMORY
        .and(Self::OWN_SIGNALS)
        .and(Self::OWN_THREAD)
        .and(Self::HARMS_PROXY);

    /// Returns the facts of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether one of the facts `other` holds.
    #[must_use]
    #[inline]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct SystemCall {
    /// Linux's number.
    pub number: u64,
    /// Linux's name.
    pub name: &'static str,
    /// Its route.
    pub route: Route,
    /// The reason why it is done there, or refused.
    pub why: &'static str,
    /// The other facts about it.
    pub class: Class,
}

impl SystemCall {
    /// Returns the place of the call in a list by number.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "both sides have 64-bit addresses"
    )]
    pub const fn index(&self) -> usize {
        self.number as usize
    }

    /// Returns what is wrong with the row in itself, if anything is.
    #[must_use]
    pub const fn contradiction(&self) -> Option<&'static str> {
        let is_delegated = matches!(self.route, Route::Delegated);
        let is_inherited = matches!(self.route, Route::Inherited);
        if (is_delegated || is_inherited) && self.class.has(Class::OWN) {
            return Some("must not be delegated as it is");
        }
        if self.class.has(Class::DIRECT) && !is_delegated {
            return Some("is direct, but not delegated");
        }
        if self.class.has(Class::IDENTITY) && !is_inherited {
            return Some("changes the identity, which new threads inherit");
        }
        None
    }
}

/// One more than the highest number.
pub const NUMBERS: usize = CALLS[CALLS.len() - 1].index() + 1;

/// The facts about each number. A number without a row has none.
static BY_NUMBER: [Class; NUMBERS] = {
    let mut classes = [Class::NONE; NUMBERS];
    let mut index = 0;
    while index < CALLS.len() {
        let call = &CALLS[index];
        assert!(call.contradiction().is_none(), "a row contradicts itself");
        assert!(
            index == 0 || CALLS[index - 1].number < call.number,
            "rows by ascending number"
        );
        classes[call.index()] = match call.route {
            Route::Delegated => call.class.and(Class::DELEGATED),
            _ => call.class,
        };
        index += 1;
    }
    classes
};

/// Returns what is known about system call `number`: nothing, if there is none.
#[must_use]
#[inline]
pub fn class(number: u64) -> Class {
    usize::try_from(number)
        .ok()
        .and_then(|number| BY_NUMBER.get(number))
        .copied()
        .unwrap_or(Class::NONE)
}

/// Returns whether any thread of the proxy may perform `number` as it is, with the same meaning. Only
/// these calls may be posted to a queue, and only these does a function in the proxy make itself.
#[must_use]
#[inline]
pub fn is_delegable(number: u64) -> bool {
    class(number).has(Class::DELEGATED)
}
