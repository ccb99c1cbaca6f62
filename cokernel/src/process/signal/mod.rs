// SPDX-License-Identifier: GPL-2.0
//! Signals at work: delivered on the way to user mode, with the frames of handlers, calls that begin again, and
//! what the proxy blocks.

pub mod deliver;
pub mod frame;
pub mod proxy_mask;
pub mod restart;
