// SPDX-License-Identifier: GPL-2.0
//! An address space: its page table, its areas, and what fills them without asking Linux.

pub mod cow;
pub mod page_table;
pub mod populate;
pub mod shootdown;
pub mod space;
pub mod stack_growth;
