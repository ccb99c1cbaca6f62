// SPDX-License-Identifier: GPL-2.0
//! Tables that the hardware demands for each CPU: segments, task state, and stacks of their own for the
//! exceptions that may strike anywhere.

use alloc::boxed::Box;

use x86_64::structures::tss::TaskStateSegment;
use x86_64::VirtAddr;

use super::gdt::{self, Gdt};
use super::{cpu, idt};

/// Bytes of an interrupt stack. Its two last words are not stack: see [`Stack::top`].
const STACK_BYTES: usize = 16 << 10;

#[repr(C, align(16))]
struct Stack {
    bytes: [u8; STACK_BYTES - 16],
    /// The address of this CPU's words, which `trap_paranoid` finds above its frame.
    cpu_base: u64,
    reserved: u64,
}

impl Stack {
    fn top(&self) -> VirtAddr {
        VirtAddr::from_ptr(&raw const self.cpu_base)
    }
}

struct Tables {
    tss: TaskStateSegment,
    gdt: Gdt,
    stacks: [Stack; idt::PARANOID.len()],
}

/// Builds and loads this CPU's tables; they live for ever.
pub(super) fn init() {
    let (index, node) = (cpu::cpu_index(), cpu::cpu_node());
    let tables = Box::leak(new_tables());
    let base = cpu::base();
    let mut tops = [VirtAddr::zero(); 7];
    for (top, stack) in tops.iter_mut().zip(&mut tables.stacks) {
        stack.cpu_base = base;
        *top = stack.top();
    }
    tables.tss.interrupt_stack_table = tops;
    cpu::this_cpu().set_interrupt_stack((&raw mut tables.tss.privilege_stack_table).cast());
    tables.gdt = Gdt::new(&raw const tables.tss, index, node);
    // SAFETY: leaked above, so it stays; the GS base is loaded again below.
    unsafe { gdt::load(&tables.gdt) };
    // SAFETY: that was this CPU's before the segment registers were loaded.
    unsafe { cpu::load_base(base) };
    idt::load();
}

fn new_tables() -> Box<Tables> {
    let mut tables = Box::<Tables>::new_uninit();
    let first = tables.as_mut_ptr();
    // SAFETY: the allocation has room for one `Tables`; too large for the stack, so filled in place.
    unsafe { first.write_bytes(0, 1) };
    // SAFETY: inside the allocation; the other fields are integers, for which zero is a value.
    unsafe { (&raw mut (*first).tss).write_unaligned(TaskStateSegment::new()) };
    // SAFETY: every field is initialised now.
    unsafe { tables.assume_init() }
}
