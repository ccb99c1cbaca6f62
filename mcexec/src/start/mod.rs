// SPDX-License-Identifier: GPL-2.0
//! Starts programs: from the command line to the first instruction, and from one program to the
//! next.
//!
//! [`entry`] is where the C library enters, [`fixed_address`] lets it link. [`inherited`] takes what the
//! program is to inherit; [`cli`] or, after an exec, [`resume`] says which program it is. [`prepare`] finds
//! out everything about it ([`auxv`] among that) before anything is changed, and [`launch`] brings
//! it to the co-kernel, which [`command_line`] then shows to Linux. [`by_linux`] has Linux execute what
//! only Linux can, and [`spare`] finds descriptors for
//! all that where the program has none.

#[expect(unsafe_code, reason = "prctl")]
pub(crate) mod auxv;
#[expect(unsafe_code, reason = "fgetxattr")]
pub(crate) mod by_linux;
pub(crate) mod cli;
#[expect(unsafe_code, reason = "prctl")]
pub(crate) mod command_line;
#[cfg_attr(not(test), expect(unsafe_code, reason = "the C entry point"))]
mod entry;
#[cfg_attr(
    fixed_address,
    expect(unsafe_code, reason = "symbols that the C library refers to")
)]
mod fixed_address;
#[expect(unsafe_code, reason = "environ and queries of signal dispositions")]
pub(crate) mod inherited;
pub(crate) mod launch;
pub(crate) mod prepare;
pub(crate) mod resume;
#[expect(unsafe_code, reason = "clone and close_range")]
pub(crate) mod spare;
