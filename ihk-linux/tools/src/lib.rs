// SPDX-License-Identifier: GPL-2.0
//! The node's tools: what ihkconfig, ihkosctl, mcreboot and mcstop share.
//!
//! | module | what lives there |
//! |---|---|
//! | [`failure`] | `TOOL: WHAT VALUE: REASON`, exit statuses, and the frame of every `main` |
//! | [`list`], [`memory`], [`operand`] | the notations LIST, SIZE and SPEC |
//! | [`device`] | typed calls on `/dev/mcd0` and `/dev/mcosN`; the only unsafe code |
//! | [`reasons`] | what an errno of such a call means, in plain words |
//! | [`ikc_map`] | which Linux CPU serves which co-kernel CPU |
//! | [`image`] | checks of a co-kernel image before it is loaded |
//! | [`kmsg`], [`dump`] | the co-kernel's log and memory, to read |
//! | [`status`] | the state of an instance in one word |
//! | [`topology`] | what Linux says of its cores and nodes |
//! | [`instance`], [`partition`] | the steps of an instance's life, and all of them in one go |
//! | [`views`], [`place`] | what programs see of the machine in `/sys` and `/proc/cpuinfo` |
//! | [`record`], [`undo`] | what was asked for last time, and how to take steps back |
//! | [`modules`], [`group`] | modprobe and `/etc/group` |
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "ioctl")]
pub mod device;
pub mod dump;
pub mod failure;
pub mod group;
pub mod ikc_map;
pub mod image;
pub mod instance;
pub mod kmsg;
pub mod list;
pub mod memory;
pub mod modules;
pub mod operand;
pub mod partition;
pub mod place;
pub mod reasons;
pub mod record;
pub mod status;
pub mod topology;
pub mod undo;
pub mod views;
