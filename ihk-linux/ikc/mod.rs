// SPDX-License-Identifier: GPL-2.0
//! Inter-kernel communication, seen from Linux: what lies in partition memory for both kernels, and the
//! doorbells. It knows no instance: who wants to hear of a packet or a doorbell says so.

#[expect(unsafe_code, reason = "views of partition memory")]
pub(crate) mod channel;
pub(crate) mod doorbell;
#[expect(unsafe_code, reason = "reads the log in partition memory")]
pub(crate) mod kmsg;
#[expect(unsafe_code, reason = "views of partition memory")]
pub(crate) mod shared;
