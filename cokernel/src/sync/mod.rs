// SPDX-License-Identifier: GPL-2.0
//! Primitives for many CPUs. Interrupts are off in the kernel, so a lock need not care for them.

mod percpu;
mod spinlock;

pub use percpu::PerCpuArray;
pub use spinlock::SpinLock;
