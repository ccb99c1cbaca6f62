// SPDX-License-Identifier: GPL-2.0
//! Programs and the proxies that stand for them: who exists, how one comes to life, sleeps, wakes, is
//! asked about, and ends.

pub(crate) mod adopt;
pub(crate) mod answer;
pub(crate) mod births;
pub(crate) mod control;
pub(crate) mod create;
mod elf_head;
pub(crate) mod execution;
pub(crate) mod heartbeat;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod instances;
mod limits;
pub(crate) mod permit;
pub(crate) mod proxy;
pub(crate) mod query;
mod reaper;
pub(crate) mod reaper_state;
pub(crate) mod requests;
mod vdso;
pub(crate) mod waiting;
