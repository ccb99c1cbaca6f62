// SPDX-License-Identifier: GPL-2.0
//! A profile of the instructions executed between marks, by block of code.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use qemu_plugin::TranslationBlock;

use crate::board::Board;

/// Most blocks; those beyond share the last counter.
const MOST_BLOCKS: usize = 1 << 18;

#[derive(Default)]
struct Sums {
    /// Address of a block → its counter.
    counters: HashMap<u64, usize>,
    marks: u64,
    /// By vCPU, then by counter: at the last odd mark.
    before: Vec<Vec<u64>>,
    /// The same: between odd and even marks.
    between: Vec<Vec<u64>>,
}

/// See the module documentation.
pub(crate) struct Profile {
    file: PathBuf,
    board: Board,
    sums: Mutex<Sums>,
}

impl Profile {
    /// Nothing counted yet; [`Self::write`] fills `file`.
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            board: Board::new(MOST_BLOCKS),
            sums: Mutex::default(),
        }
    }

    /// Counts `block`, which has `count` instructions.
    pub(crate) fn count(&self, block: &TranslationBlock<'_>, count: u64) {
        let Ok(mut sums) = self.sums.lock() else {
            return;
        };
        let next = sums.counters.len().min(MOST_BLOCKS - 1);
        let counter = *sums.counters.entry(block.vaddr()).or_insert(next);
        if let Some(first) = block.instructions().next() {
            self.board.count_instruction(first, counter, count);
        }
    }

    /// A mark was executed.
    pub(crate) fn mark(&self, vcpus: u32) {
        let Ok(mut sums) = self.sums.lock() else {
            return;
        };
        let used = sums.counters.len().min(MOST_BLOCKS);
        let now: Vec<Vec<u64>> = (0..vcpus)
            .map(|vcpu| {
                (0..used)
                    .map(|counter| self.board.get(vcpu, counter))
                    .collect()
            })
            .collect();
        sums.marks += 1;
        if sums.marks % 2 == 1 {
            sums.before = now;
            return;
        }
        let before = std::mem::take(&mut sums.before);
        sums.between.resize_with(now.len(), Vec::new);
        for ((sum, now), before) in sums.between.iter_mut().zip(&now).zip(&before) {
            sum.resize(used, 0);
            for (index, (sum, now)) in sum.iter_mut().zip(now).enumerate() {
                *sum += now - before.get(index).copied().unwrap_or(0);
            }
        }
    }

    /// Writes what was counted.
    pub(crate) fn write(&self) {
        let Ok(sums) = self.sums.lock() else { return };
        let Ok(file) = File::create(&self.file) else {
            eprintln!(
                "instruction-counter: {}: cannot be written",
                self.file.display()
            );
            return;
        };
        let mut out = BufWriter::new(file);
        for (address, counter) in &sums.counters {
            for (vcpu, counts) in sums.between.iter().enumerate() {
                if let Some(count) = counts.get(*counter).filter(|count| **count > 0) {
                    let _ = writeln!(out, "{vcpu} {address:#x} {count}");
                }
            }
        }
    }
}
