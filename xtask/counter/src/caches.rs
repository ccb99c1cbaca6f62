// SPDX-License-Identifier: GPL-2.0
//! The caches of all vCPUs, and what is lost of them between marks.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use qemu_plugin::{MemRW, TranslationBlock, VCPUIndex};

use crate::model::{Core, LINE};
use crate::MOST_VCPUS;

/// See the module documentation.
pub(crate) struct Caches {
    cores: Vec<Mutex<Core>>,
    /// Whether a mark was seen: before, nothing has to be modelled.
    began: AtomicBool,
    /// The number of marks.
    file: Mutex<(File, u64)>,
}

impl Caches {
    /// Empty caches; `file` gets a line per even mark.
    pub(crate) fn new(file: File) -> Self {
        Self {
            cores: (0..MOST_VCPUS).map(|_| Mutex::new(Core::new())).collect(),
            began: AtomicBool::new(false),
            file: Mutex::new((file, 0)),
        }
    }

    fn with(&self, vcpu: VCPUIndex, action: impl FnOnce(&mut Core)) {
        if self.began.load(Ordering::Relaxed) {
            if let Ok(mut core) = self.cores[vcpu as usize % MOST_VCPUS].lock() {
                action(&mut core);
            }
        }
    }

    /// Has the accesses of `block` modelled.
    pub(crate) fn watch(self: &Arc<Self>, block: &TranslationBlock<'_>) {
        let mut last = None;
        for instruction in block.instructions() {
            let start = instruction.vaddr();
            for line in start / LINE..=(start + instruction.size() as u64 - 1) / LINE {
                if last.replace(line) != Some(line) {
                    let caches = self.clone();
                    instruction.register_execute_callback(move |vcpu| {
                        caches.with(vcpu, |core| core.use_code(line));
                    });
                }
            }
            let caches = self.clone();
            instruction.register_memory_access_callback(
                move |vcpu, access, address| {
                    let bytes = 1 << access.size_shift();
                    caches.with(vcpu, |core| core.use_data(address, bytes));
                },
                MemRW::QEMU_PLUGIN_MEM_RW,
            );
        }
    }

    /// `vcpu` has executed a mark.
    pub(crate) fn mark(&self, vcpu: VCPUIndex) {
        self.began.store(true, Ordering::Relaxed);
        let Ok(mut file) = self.file.lock() else {
            return;
        };
        file.1 += 1;
        let is_even = file.1 % 2 == 0;
        self.with(vcpu, |core| {
            let [data, code, second] = core.begin_period();
            if is_even {
                // Who reads it misses the line.
                let _ = writeln!(file.0, "{data} {code} {second}");
            }
        });
    }
}
