// SPDX-License-Identifier: GPL-2.0
//! Stacks grow: a fault below an area that grows downwards makes it longer
//! ([`cokernel_logic::stack_growth`] says how far).

use cokernel_logic::stack_growth::{growth, Limits};
use cokernel_logic::vma::Area;

use crate::aspace::space::Inner;

/// The area that contains `address`, which lay in none, if one above may grow so far.
pub fn down_to(inner: &mut Inner, address: u64) -> Option<Area> {
    let limits = Limits {
        stack: inner.stack_limit,
        space: inner.space_limit,
    };
    let (range, what) = growth(&inner.areas, address, limits)?;
    inner.add_area(range, what).ok()?;
    inner.areas.find(address)
}
