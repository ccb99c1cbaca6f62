// SPDX-License-Identifier: GPL-2.0
//! Counters of which each vCPU has its own, raised by code that QEMU puts into the translated blocks.

use qemu_plugin::sys::{qemu_plugin_op, qemu_plugin_scoreboard_new};
use qemu_plugin::{
    qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu,
    qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu, qemu_plugin_u64_get, Instruction, PluginU64,
    TranslationBlock, VCPUIndex,
};

/// Counters 0 to n − 1 of each vCPU. It stays as long as QEMU runs.
pub(crate) struct Board(usize);

impl Board {
    /// All 0.
    pub(crate) fn new(counters: usize) -> Self {
        // SAFETY: any size will do; called while the plugin is installed, as QEMU asks.
        Self(unsafe { qemu_plugin_scoreboard_new(counters * size_of::<u64>()) }.expose_provenance())
    }

    fn entry(&self, counter: usize) -> PluginU64 {
        PluginU64 {
            score: std::ptr::with_exposed_provenance_mut(self.0),
            offset: counter * size_of::<u64>(),
        }
    }

    /// Adds `count` to counter 0 whenever `block` is executed.
    pub(crate) fn count_block(&self, block: TranslationBlock<'_>, count: u64) {
        let add = qemu_plugin_op::QEMU_PLUGIN_INLINE_ADD_U64;
        qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(block, add, self.entry(0), count);
    }

    /// Adds `count` to counter `counter` whenever `instruction` is executed.
    pub(crate) fn count_instruction(
        &self,
        instruction: Instruction<'_>,
        counter: usize,
        count: u64,
    ) {
        let add = qemu_plugin_op::QEMU_PLUGIN_INLINE_ADD_U64;
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            instruction,
            add,
            self.entry(counter),
            count,
        );
    }

    /// Counter `counter` of `vcpu`.
    pub(crate) fn get(&self, vcpu: VCPUIndex, counter: usize) -> u64 {
        qemu_plugin_u64_get(self.entry(counter), vcpu)
    }
}
