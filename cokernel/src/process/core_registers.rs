// SPDX-License-Identifier: GPL-2.0
//! The end of a process that leaves a core: its threads keep their registers as they end, and the
//! proxy, which writes the core, asks for them.

use alloc::vec;
use alloc::vec::Vec;

use ihk_ikc::process::op;
use ihk_ikc::view::{FXSAVE_WORDS, REGISTER_WORDS, VIEW_WORDS, XCR0_AT};

use crate::arch::time::Deadline;
use crate::arch::{fpu, relax, UserFrame};
use crate::task::core_registers::ThreadRegisters;
use crate::task::process::Process;
use crate::task::sched;
use crate::task::signal::Info;
use crate::task::thread::Registers;
use crate::{delegate, ikc};

/// The longest time that the other threads may take to end; one that is late is missing in the core.
const THREADS_END_TIMEOUT_US: u64 = 1_000_000;

/// The current thread ends at `frame`: keeps its registers, if they are wanted.
pub fn record(process: &Process, frame: &UserFrame) {
    let core_registers = &process.core_registers;
    if !core_registers.is_wanted() {
        return;
    }
    let tid = sched::current().data.tid;
    let registers = ThreadRegisters {
        tid,
        frame: *frame,
        bases: Registers::bases_of_current(),
        fpu: fpu_words(),
    };
    core_registers.add(registers);
}

fn fpu_words() -> Vec<u64> {
    let mut bytes = vec![0; fpu::bytes().max(8 * FXSAVE_WORDS)];
    sched::with_fpu(|fpu| fpu.save_to(&mut bytes));
    let mut words: Vec<u64> = bytes
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
        .collect();
    match fpu::features() {
        Some(xcr0) if words.len() <= VIEW_WORDS - REGISTER_WORDS => words[XCR0_AT] = xcr0,
        _ => words.truncate(FXSAVE_WORDS),
    }
    words
}

/// The process ends by the signal of `info`, which hit the current thread at `frame`, with a core if
/// the proxy finds that there shall be one. The current thread ends on its way to user mode.
pub fn end_with_core(process: &Process, frame: &UserFrame, info: &Info) {
    let args = [
        info.signal.into(),
        1,
        u64::from_ne_bytes(i64::from(info.code).to_ne_bytes()),
        info.first,
        info.second,
    ];
    process.core_registers.want();
    process.end_after(
        || {
            record(process, frame);
            let deadline = Deadline::after_us(THREADS_END_TIMEOUT_US);
            while process.threads().len() > 1 && !deadline.passed() {
                relax();
                ikc::poll();
                sched::let_all_run();
            }
        },
        || delegate::report_exit_with(op::DIE, args),
    );
}
