// SPDX-License-Identifier: GPL-2.0
//! Pure logic of the co-kernel: no instruction, no address is touched here, and all of it is
//! tested on the host.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod addr;
pub mod affinity;
mod area;
pub mod argument;
pub mod atomic;
mod block;
pub mod cpu_queue;
pub mod cpu_timers;
pub mod file_versions;
pub mod frame_cache;
pub mod frame_counts;
pub mod frame_runs;
pub mod frames;
pub mod futex_queue;
mod giants;
pub mod kargs;
pub mod lock;
pub mod memory_map;
pub mod open_questions;
pub mod page_table;
pub mod pending;
pub mod pi_chain;
pub mod pi_word;
pub mod placement;
pub mod policy;
pub mod poll_time;
pub mod posix_timers;
pub mod proxy_rights;
pub mod pte;
pub mod robust_list;
pub mod run_state;
pub mod runqueue;
pub mod sched_entity;
pub mod signal_action;
pub mod signal_frame;
pub mod signal_room;
pub mod signal_stack;
pub mod signal_state;
pub mod signals;
pub mod sources;
pub mod stack_growth;
pub mod syscall;
pub mod timers;
pub mod vma;
pub mod wake_op;
pub mod watermark;
pub mod worker_places;
pub mod worker_pool;
