// SPDX-License-Identifier: GPL-2.0
//! One value per CPU, each on cache lines of its own.

use alloc::boxed::Box;
use core::ops::Index;

use crate::arch;

/// Two lines: the adjacent-line prefetcher fetches pairs.
#[repr(align(128))]
struct Line<T>(T);

/// One `T` for each CPU of the instance, indexed by CPU number.
pub struct PerCpuArray<T>(Box<[Line<T>]>);

impl<T> PerCpuArray<T> {
    /// Makes the value of each of `cpus` CPUs.
    pub fn new(cpus: u32, mut make: impl FnMut(u32) -> T) -> Self {
        Self((0..cpus).map(|cpu| Line(make(cpu))).collect())
    }

    /// The value of the CPU this runs on.
    pub fn this(&self) -> &T {
        &self[arch::cpu_index()]
    }

    /// The value of CPU `cpu`, if there is such a CPU.
    pub fn get(&self, cpu: u32) -> Option<&T> {
        self.0.get(cpu as usize).map(|line| &line.0)
    }
}

impl<T> Index<u32> for PerCpuArray<T> {
    type Output = T;

    fn index(&self, cpu: u32) -> &T {
        &self.0[cpu as usize].0
    }
}
