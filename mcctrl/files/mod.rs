// SPDX-License-Identifier: GPL-2.0
//! Bytes that programs get by copying: pages of files, and what moves between mcexec's memory and the
//! program's.

#[expect(unsafe_code, reason = "copies from and to pinned memory")]
pub(crate) mod copy;
#[expect(
    unsafe_code,
    reason = "reads a file into frames that the co-kernel lends"
)]
pub(crate) mod load;
pub(crate) mod mapped;
pub(crate) mod versions;
