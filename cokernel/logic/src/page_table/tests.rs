// SPDX-License-Identifier: GPL-2.0
//! Page tables in a model memory, compared with a map of their leaves.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;

use ihk_ikc::layout::PAGE_BYTES;
use proptest::prelude::*;

use super::*;
use crate::pte::Flags;

/// A memory with room for a number of tables, none of which is ever given back.
struct Memory {
    tables: Vec<Table>,
    used: Cell<usize>,
}

impl Memory {
    fn with_room_for(tables: usize) -> Self {
        let empty = || [const { AtomicU64::new(0) }; TABLE_LENGTH];
        Self {
            tables: (0..tables).map(|_| empty()).collect(),
            used: Cell::new(0),
        }
    }
}

impl TableMemory for &Memory {
    fn table(&self, address: PhysAddr) -> &Table {
        let number = address.as_u64() / PAGE_BYTES - 1;
        &self.tables[usize::try_from(number).unwrap()]
    }

    fn new_table(&self) -> Option<PhysAddr> {
        let number = self.used.get();
        self.used.set(number + 1);
        (number < self.tables.len()).then(|| PhysAddr::new((number as u64 + 1) * PAGE_BYTES))
    }
}

/// Leaves by their first address.
type Leaves = BTreeMap<u64, Mapping>;

/// Page tables, and what they should contain.
struct Pair<'a> {
    memory: &'a Memory,
    tables: Tables<&'a Memory>,
    model: Leaves,
    gone: Vec<PhysAddr>,
}

const END: u64 = 4 << 30;

impl<'a> Pair<'a> {
    fn in_memory(memory: &'a Memory) -> Self {
        let root = memory.new_table().unwrap();
        Self {
            memory,
            tables: Tables::new(root, memory),
            model: Leaves::new(),
            gone: Vec::new(),
        }
    }

    fn overlapping(&self, range: Range<u64>) -> Vec<(u64, Mapping)> {
        let reaches = |(at, leaf): &(&u64, &Mapping)| {
            **at < range.end && **at + leaf.size.bytes() > range.start
        };
        let leaves = self.model.iter().filter(reaches);
        leaves.map(|(at, leaf)| (*at, *leaf)).collect()
    }

    fn containing(&self, va: u64) -> Option<(u64, Mapping)> {
        self.overlapping(va..va + 1).pop()
    }

    fn enter(&mut self, va: u64, new: Mapping) {
        let Mapping { pa, size, flags } = new;
        let entered = self.tables.enter(va, pa, size, flags);
        if self.overlapping(va..va + size.bytes()).is_empty() {
            self.gone.extend(entered.unwrap());
            self.model.insert(va, new);
        } else {
            assert_eq!(entered, Err(MapError::Occupied));
        }
    }

    fn protect(&mut self, va: u64, flags: Flags) {
        self.tables.protect(va, flags);
        if let Some((at, leaf)) = self.containing(va) {
            self.model.insert(at, Mapping { flags, ..leaf });
        }
    }

    fn split_model(&mut self, va: u64) {
        if let Some((at, leaf)) = self.containing(va).filter(|(_, leaf)| leaf.size.is_large()) {
            self.insert_pieces(at, leaf, leaf.size.below());
        }
    }

    fn insert_pieces(&mut self, at: u64, leaf: Mapping, size: PageSize) {
        for offset in (0..leaf.size.bytes() / size.bytes()).map(|piece| piece * size.bytes()) {
            let pa = leaf.pa + offset;
            self.model.insert(at + offset, Mapping { pa, size, ..leaf });
        }
    }

    fn cut_model(&mut self, va: u64) {
        while self.containing(va).is_some_and(|(at, _)| at != va) {
            self.split_model(va);
        }
    }

    fn erase(&mut self, range: Range<u64>) {
        let mut taken = Leaves::new();
        let _: ControlFlow<()> = self.tables.visit(range.clone(), |at, slot, size| {
            taken.insert(at, Mapping::of(slot.swap(0, Ordering::SeqCst), size));
            ControlFlow::Continue(())
        });
        let expected = self.overlapping(range);
        for (at, _) in &expected {
            self.model.remove(at);
        }
        assert!(
            taken == expected.into_iter().collect(),
            "other leaves were taken"
        );
    }

    fn relocate(&mut self, from: Range<u64>, to: u64, flags: Flags) {
        let bytes = from.end - from.start;
        let moved = self
            .tables
            .relocate(from.clone(), to, flags, &mut self.gone);
        let overlap = to < from.end && from.start < to + bytes;
        if overlap || !self.overlapping(to..to + bytes).is_empty() {
            assert_eq!(moved, Err(MapError::Occupied));
            return;
        }
        assert_eq!(moved, Ok(()));
        self.cut_model(from.start);
        self.cut_model(from.end);
        for (at, leaf) in self.overlapping(from.clone()) {
            self.model.remove(&at);
            let target = to + (at - from.start);
            let fits = |size: &PageSize| *size <= leaf.size && target % size.bytes() == 0;
            let sizes = [PageSize::Giant, PageSize::Large, PageSize::Small];
            let size = sizes.into_iter().find(fits).unwrap();
            self.insert_pieces(target, Mapping { flags, ..leaf }, size);
        }
    }

    /// The tables have the leaves of the model, and each table that was made is in use or was returned.
    fn check(&self) {
        let mut found = Leaves::new();
        let _: ControlFlow<()> = self.tables.visit(0..END, |at, slot, size| {
            found.insert(at, Mapping::of(slot.load(Ordering::Relaxed), size));
            ControlFlow::Continue(())
        });
        assert!(found == self.model, "other leaves than in the model");
        let mut reachable = vec![self.tables.root];
        self.tables
            .visit_tables(0..TABLE_LENGTH, |table| reachable.push(table));
        assert_eq!(reachable.len() + self.gone.len(), self.memory.used.get());
    }
}

/// Addresses that share tables, lie at the ends of tables, and in several giant pages.
fn addresses() -> impl Strategy<Value = u64> {
    let place = || prop::sample::select(vec![0u64, 1, 2, 511]);
    (0..3u64, place(), place())
        .prop_map(|(giant, large, small)| giant << 30 | large << 21 | small << 12)
}

fn sizes() -> impl Strategy<Value = PageSize> {
    use PageSize::{Giant, Large, Small};
    prop::sample::select(vec![Small, Small, Small, Large, Large, Giant])
}

fn rights() -> impl Strategy<Value = Flags> {
    (any::<[bool; 4]>(), 0..8u64, 0..16u8).prop_map(|([read, write, exec, user], caching, key)| {
        Flags {
            read,
            write,
            exec,
            user,
            caching,
            mirrored: false,
            key,
        }
    })
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u64, PageSize, u64, Flags),
    Protect(u64, Flags),
    Split(u64),
    Cut(u64),
    Erase(u64, u64),
    Relocate(u64, u64, u64, Flags),
}

fn steps() -> impl Strategy<Value = Step> {
    let bytes = || prop::sample::select(vec![PAGE_BYTES, 3 * PAGE_BYTES, 2 << 20, 4 << 20]);
    prop_oneof![
        4 => (addresses(), sizes(), 1..64u64, rights())
            .prop_map(|(va, size, frame, flags)| Step::Enter(va, size, frame, flags)),
        1 => (addresses(), rights()).prop_map(|(va, flags)| Step::Protect(va, flags)),
        1 => addresses().prop_map(Step::Split),
        1 => addresses().prop_map(Step::Cut),
        1 => (addresses(), bytes()).prop_map(|(va, bytes)| Step::Erase(va, bytes)),
        1 => (addresses(), bytes(), addresses(), rights())
            .prop_map(|(va, bytes, to, flags)| Step::Relocate(va, bytes, to, flags)),
    ]
}

impl Pair<'_> {
    fn take(&mut self, step: Step) {
        match step {
            Step::Enter(va, size, number, flags) => {
                let pa = PhysAddr::new(number * size.bytes());
                self.enter(va & !(size.bytes() - 1), Mapping { pa, size, flags });
            }
            Step::Protect(va, flags) => self.protect(va, flags),
            Step::Split(va) => {
                self.tables.split(va).unwrap();
                self.split_model(va);
            }
            Step::Cut(va) => {
                self.tables.cut(va).unwrap();
                self.cut_model(va);
            }
            Step::Erase(va, bytes) => self.erase(va..va + bytes),
            Step::Relocate(va, bytes, to, flags) => self.relocate(va..va + bytes, to, flags),
        }
    }
}

proptest! {
    // Each case compares thousands of leaves.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn tables_have_the_leaves_that_were_entered(steps in prop::collection::vec(steps(), 1..24)) {
        let memory = Memory::with_room_for(100);
        let mut pair = Pair::in_memory(&memory);
        for step in steps {
            pair.take(step);
            pair.check();
        }
    }

    #[test]
    fn what_is_looked_up_is_what_was_entered(
        steps in prop::collection::vec(steps(), 1..20),
        touched in addresses(),
    ) {
        let memory = Memory::with_room_for(100);
        let mut pair = Pair::in_memory(&memory);
        steps.into_iter().for_each(|step| pair.take(step));
        let expected = pair.containing(touched);
        prop_assert_eq!(pair.tables.lookup(touched), expected.map(|(_, leaf)| leaf));
        let after = pair.overlapping(touched..END).into_iter().next();
        prop_assert_eq!(pair.tables.next(touched..END), after);
        prop_assert_eq!(pair.tables.note_use(touched), expected.is_some());
        prop_assert!(!pair.tables.note_use(touched));
        // The mark is none of a leaf's rights.
        pair.check();
    }

    #[test]
    fn without_room_for_tables_nothing_moves(
        steps in prop::collection::vec(steps(), 1..10),
        from in addresses(),
        flags in rights(),
    ) {
        let memory = Memory::with_room_for(100);
        let mut pair = Pair::in_memory(&memory);
        steps.into_iter().for_each(|step| pair.take(step));
        pair.tables.cut(from).unwrap();
        pair.cut_model(from);
        pair.tables.cut(from + PAGE_BYTES).unwrap();
        pair.cut_model(from + PAGE_BYTES);
        let used = memory.used.replace(memory.tables.len());
        let moved = pair.tables.relocate(from..from + PAGE_BYTES, END, flags, &mut pair.gone);
        memory.used.set(used);
        let had_page = pair.containing(from).is_some();
        prop_assert_eq!(moved.is_err(), had_page);
        pair.check();
    }

    #[test]
    fn an_entry_says_what_it_was_made_of(size in sizes(), number in 1..1024u64, flags in rights()) {
        let pa = PhysAddr::new(number * size.bytes());
        let entry = crate::pte::leaf(pa, size, flags);
        prop_assert_eq!(Mapping::of(entry, size), Mapping { pa, size, flags });
        prop_assert!(is_leaf_at(entry, size.level()) && !crate::pte::is_table(entry, size));
    }
}
