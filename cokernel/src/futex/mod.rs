// SPDX-License-Identifier: GPL-2.0
//! futex: waiting on words of the partition, which Linux knows nothing of. Where a word is in a mirrored
//! area, Linux's own queue is everybody's: the worker waits, or wakes, there.
//!
//! [`queue`] keeps who waits, [`several`] lets a thread wait at many words, [`pi`] the futexes that
//! have an owner, [`robust`] what a thread leaves behind, [`time`] the limits.
//!
//! Lock order: buckets by their index, then the address space (reading the word may need a page).

pub mod pi;
pub mod queue;
pub mod robust;
pub mod several;
pub mod time;
pub mod wake_op;
