// SPDX-License-Identifier: GPL-2.0
//! An address space: its page table, its areas, and what fills them without asking Linux.

pub mod cow;
#[expect(unsafe_code, reason = "page tables: what entries lead to and have")]
pub mod page_table;
pub mod populate;
#[expect(unsafe_code, reason = "CPUs leave page tables that go")]
pub mod shootdown;
pub mod space;
pub mod stack_growth;
