// SPDX-License-Identifier: GPL-2.0
//! Memory policies: which node the next page comes from, as `set_mempolicy` and `mbind` say.

use crate::frames::Place;

/// The ways of choosing nodes; the numbers are Linux's `MPOL_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The node of the CPU that asks, as far as it goes.
    #[default]
    Default = 0,
    /// One node, as far as it goes.
    Preferred = 1,
    /// These nodes and no other.
    Bind = 2,
    /// These nodes in turn.
    Interleave = 3,
    /// As `Default`, but said.
    Local = 4,
    /// These nodes, as far as they go.
    PreferredMany = 5,
    /// These nodes in turn, by weights; all weights are 1.
    WeightedInterleave = 6,
}

/// The node mask means what it says, whatever nodes there are.
const STATIC_NODES: u32 = 1 << 15;
/// The node mask counts from the first node there is.
const RELATIVE_NODES: u32 = 1 << 14;
/// A hint to Linux's balancing.
const NUMA_BALANCING: u32 = 1 << 13;

/// A policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The way of choosing.
    pub mode: Mode,
    /// Flags as they were given.
    pub flags: u32,
    /// Bit n = node n; those that have memory, at least one unless the mode needs none.
    pub nodes: u64,
    /// The node that comes first, of [`Mode::Bind`] and [`Mode::PreferredMany`]; otherwise the nearest does.
    pub home: Option<u32>,
}

/// The error of a request that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

impl Policy {
    /// The policy that `mode`, a number with flags, and `nodes` ask for where the nodes `available`
    /// have memory.
    ///
    /// # Errors
    ///
    /// [`Invalid`] where Linux says `EINVAL`.
    pub fn new(mode: u32, nodes: u64, available: u64) -> Result<Self, Invalid> {
        let flags = mode & (STATIC_NODES | RELATIVE_NODES | NUMA_BALANCING);
        let fixed = flags & (STATIC_NODES | RELATIVE_NODES);
        let mode = mode_of(mode & !flags).ok_or(Invalid)?;
        if fixed == STATIC_NODES | RELATIVE_NODES
            || flags & NUMA_BALANCING != 0 && !matches!(mode, Mode::Bind | Mode::PreferredMany)
        {
            return Err(Invalid);
        }
        match mode {
            Mode::Default | Mode::Local if nodes != 0 => return Err(Invalid),
            Mode::Local if fixed != 0 => return Err(Invalid),
            Mode::Default | Mode::Local => {
                return Ok(Self {
                    mode,
                    flags,
                    nodes,
                    home: None,
                })
            }
            Mode::Preferred if nodes == 0 && fixed == 0 => {
                return Ok(Self {
                    mode: Mode::Local,
                    flags,
                    nodes,
                    home: None,
                })
            }
            _ => {}
        }
        let usable = if flags & RELATIVE_NODES != 0 {
            fold(nodes, available)
        } else {
            nodes & available
        };
        if usable == 0 {
            return Err(Invalid);
        }
        Ok(Self {
            mode,
            flags,
            nodes: usable,
            home: None,
        })
    }

    /// The same policy with `home` as its first node.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the mode knows no such thing.
    pub fn at_home(self, home: u32) -> Result<Self, Invalid> {
        match self.mode {
            Mode::Bind | Mode::PreferredMany => Ok(Self {
                home: Some(home),
                ..self
            }),
            _ => Err(Invalid),
        }
    }

    fn has_node(&self, node: u32) -> bool {
        self.nodes & 1_u64.checked_shl(node).unwrap_or(0) != 0
    }

    /// Whether neighbouring pages are meant to come from different nodes.
    #[must_use]
    pub fn spreads_pages(&self) -> bool {
        matches!(self.mode, Mode::Interleave | Mode::WeightedInterleave)
    }

    /// The nodes that page `index`, counted in its own size from anywhere, shall come from, on a CPU of node
    /// `here`.
    #[must_use]
    pub fn place(&self, here: u32, index: u64) -> Place {
        let first = self.home.unwrap_or(here);
        let near_here = if self.has_node(first) {
            first
        } else {
            self.nodes.trailing_zeros()
        };
        match self.mode {
            Mode::Default | Mode::Local => Place::near(here),
            Mode::Preferred => Place::near(self.nodes.trailing_zeros()),
            Mode::PreferredMany => Place::near(near_here),
            Mode::Interleave | Mode::WeightedInterleave => Place::near(nth(self.nodes, index)),
            Mode::Bind => Place {
                near: near_here,
                allowed: self.nodes,
            },
        }
    }

    /// Whether page `index` is where it should be on node `node`.
    #[must_use]
    pub fn accepts(&self, node: u32, index: u64) -> bool {
        match self.mode {
            Mode::Default | Mode::Local => true,
            Mode::Preferred => self.nodes.trailing_zeros() == node,
            Mode::Interleave | Mode::WeightedInterleave => nth(self.nodes, index) == node,
            Mode::Bind | Mode::PreferredMany => self.has_node(node),
        }
    }
}

const fn mode_of(number: u32) -> Option<Mode> {
    Some(match number {
        0 => Mode::Default,
        1 => Mode::Preferred,
        2 => Mode::Bind,
        3 => Mode::Interleave,
        4 => Mode::Local,
        5 => Mode::PreferredMany,
        6 => Mode::WeightedInterleave,
        _ => return None,
    })
}

/// Node `index` of the non-empty set `nodes`, counted round and round.
fn nth(nodes: u64, index: u64) -> u32 {
    let steps = index % u64::from(nodes.count_ones().max(1));
    let rest = (0..steps).fold(nodes, |left, _| left & left.wrapping_sub(1));
    rest.trailing_zeros()
}

/// `nodes` as numbers of nodes among `available`, counted round and round.
fn fold(nodes: u64, available: u64) -> u64 {
    if available == 0 {
        return 0;
    }
    (0..64)
        .filter(|node| nodes & 1 << node != 0)
        .fold(0, |all, node| all | 1 << nth(available, node))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_linuxs() {
        let new = |mode, nodes| Policy::new(mode, nodes, 0b11);
        assert!(new(0, 0).is_ok() && new(0, 1).is_err());
        assert!(new(4, 0).is_ok() && new(4, 1).is_err());
        assert!(new(2, 0).is_err() && new(2, 0b100).is_err() && new(7, 1).is_err());
        assert_eq!(new(1, 0).unwrap().mode, Mode::Local);
        assert_eq!(new(2, 0b110).unwrap().nodes, 0b10);
        assert!(new(2 | STATIC_NODES | RELATIVE_NODES, 1).is_err());
        assert!(new(3 | NUMA_BALANCING, 1).is_err() && new(2 | NUMA_BALANCING, 1).is_ok());
        let relative = Policy::new(3 | RELATIVE_NODES, 0b10, 0b1100).unwrap();
        assert_eq!(relative.nodes, 0b1000);
    }

    #[test]
    fn pages_come_from_the_nodes_that_were_named() {
        let turns = Policy::new(3, 0b1011, 0b1111).unwrap();
        let nodes = (0..4).map(|index| turns.place(2, index).near);
        assert!(nodes.eq([0, 1, 3, 0]));
        assert!(turns.accepts(3, 2) && !turns.accepts(2, 2));
        let bound = Policy::new(2, 0b10, 0b11).unwrap();
        assert_eq!(
            bound.place(0, 5),
            Place {
                near: 1,
                allowed: 0b10
            }
        );
        assert!(bound.accepts(1, 0) && !bound.accepts(0, 0));
        let preferred = Policy::new(1, 0b10, 0b11).unwrap();
        assert_eq!(preferred.place(0, 0), Place::near(1));
        assert_eq!(Policy::default().place(1, 9), Place::near(1));
        let at_home = Policy::new(2, 0b11, 0b11).unwrap().at_home(1).unwrap();
        assert_eq!(at_home.place(0, 0).near, 1);
        let elsewhere = bound.at_home(0).unwrap();
        assert_eq!(elsewhere.place(0, 0).near, 1);
        assert!(preferred.at_home(1).is_err());
    }
}
