// SPDX-License-Identifier: GPL-2.0
//! Counts the guest's instructions per vCPU; loaded by QEMU for `cargo xtask bench --instructions`.
//!
//! `out=FILE` gets one line per *mark*, which is the instruction `xchg %bx,%bx` (a program brackets with two of them
//! what it wants counted; without the plugin they do nothing): for each vCPU the instructions so far, those spent
//! waiting not counted. A vCPU waits as long as it executes a PAUSE every few instructions, which all spin loops do.
//!
//! `profile=FILE` gets, at the end, lines `VCPU ADDRESS COUNT`: the instructions executed between an odd and the next
//! even mark, by block of code.
//!
//! `cache=FILE` gets one line per even mark: how many lines of the vCPU's caches were replaced since the odd one before,
//! data, code and second level of a model (`model.rs`). For `cargo xtask bench --cache`.
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "QEMU's scoreboards are plain pointers")]
mod board;
mod caches;
mod model;
mod profile;

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use qemu_plugin::install::{Args, Info};
use qemu_plugin::{
    qemu_plugin_num_vcpus, qemu_plugin_register_atexit_cb, register, HasCallbacks, PluginId,
    Register, TranslationBlock, VCPUIndex,
};

use board::Board;
use caches::Caches;
use profile::Profile;

const MARK: [u8; 3] = [0x66, 0x87, 0xdb];
const PAUSE: [u8; 2] = [0xf3, 0x90];
/// Fewer instructions than this between two PAUSEs are one turn of a waiting loop.
const LONGEST_TURN: u64 = 256;
const MOST_VCPUS: usize = 256;

/// Instructions a vCPU has spent waiting.
#[derive(Default)]
struct Waiting {
    spent: AtomicU64,
    last_pause: AtomicU64,
}

struct Counter {
    executed: Board,
    waiting: Vec<Waiting>,
    marks: Mutex<File>,
    profile: Option<Profile>,
    caches: Option<Arc<Caches>>,
}

impl Counter {
    fn pause(&self, vcpu: VCPUIndex) {
        let now = self.executed.get(vcpu, 0);
        let waiting = &self.waiting[vcpu as usize % MOST_VCPUS];
        let turn = now.wrapping_sub(waiting.last_pause.swap(now, Ordering::Relaxed));
        if turn < LONGEST_TURN {
            waiting.spent.fetch_add(turn, Ordering::Relaxed);
        }
    }

    fn mark(&self, vcpu: VCPUIndex) {
        if let Some(caches) = &self.caches {
            caches.mark(vcpu);
        }
        let Ok(mut marks) = self.marks.lock() else {
            return;
        };
        let vcpus = u32::try_from(qemu_plugin_num_vcpus().unwrap_or(0)).unwrap_or(0);
        let words: Vec<String> = (0..vcpus)
            .map(|vcpu| {
                let waited = self.waiting[vcpu as usize % MOST_VCPUS]
                    .spent
                    .load(Ordering::Relaxed);
                self.executed.get(vcpu, 0).wrapping_sub(waited).to_string()
            })
            .collect();
        if let Some(profile) = &self.profile {
            profile.mark(vcpus);
        }
        // Who reads it misses the mark.
        let _ = writeln!(marks, "{}", words.join(" "));
    }
}

#[derive(Default)]
struct Plugin(Option<Arc<Counter>>);

impl HasCallbacks for Plugin {
    fn on_translation_block_translate(
        &mut self,
        _: PluginId,
        block: TranslationBlock<'_>,
    ) -> qemu_plugin::Result<()> {
        let Some(counter) = &self.0 else {
            return Ok(());
        };
        let count = block.size() as u64;
        for instruction in block.instructions() {
            let bytes = instruction.data();
            let counter = counter.clone();
            if bytes == MARK {
                instruction.register_execute_callback(move |vcpu| counter.mark(vcpu));
            } else if bytes == PAUSE {
                instruction.register_execute_callback(move |vcpu| counter.pause(vcpu));
            }
        }
        if let Some(profile) = &counter.profile {
            profile.count(&block, count);
        }
        if let Some(caches) = &counter.caches {
            caches.watch(&block);
        }
        counter.executed.count_block(block, count);
        Ok(())
    }
}

impl Register for Plugin {
    fn register(&mut self, id: PluginId, args: &Args, _: &Info) -> qemu_plugin::Result<()> {
        let named = |key: &str| args.raw.iter().find_map(|word| word.strip_prefix(key));
        let Some(Ok(marks)) = named("out=").map(File::create) else {
            eprintln!("instruction-counter: out=FILE: missing, or cannot be written");
            return Ok(());
        };
        let caches = match named("cache=").map(File::create) {
            Some(Err(error)) => {
                eprintln!("instruction-counter: cache=FILE: {error}");
                return Ok(());
            }
            other => other
                .and_then(Result::ok)
                .map(|file| Arc::new(Caches::new(file))),
        };
        let counter = Arc::new(Counter {
            executed: Board::new(1),
            waiting: (0..MOST_VCPUS).map(|_| Waiting::default()).collect(),
            marks: Mutex::new(marks),
            profile: named("profile=").map(Profile::new),
            caches,
        });
        self.0 = Some(counter.clone());
        qemu_plugin_register_atexit_cb(id, move |_| {
            if let Some(profile) = &counter.profile {
                profile.write();
            }
        })
    }
}

register!(Plugin::default());
