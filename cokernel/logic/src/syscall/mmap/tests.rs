// SPDX-License-Identifier: GPL-2.0
//! Tests of mmap's arguments and of where it puts things, against mmap(2) and mm/mmap.c of Linux.

use proptest::prelude::*;

use super::*;

const READ_WRITE: u64 = 3;
const ANONYMOUS: u32 = MAP_PRIVATE | MAP_ANONYMOUS;
const WINDOW: Range = Range {
    start: 0x1_0000,
    end: 0x7000_0000_0000,
};
const TOP: u64 = 0x6000_0000_0000;

fn check(bytes: u64, flags: u32) -> Result<MmapArgs, Errno> {
    MmapArgs::check([0, bytes, READ_WRITE, flags.into(), 0, 0])
}

fn at(hint: u64, bytes: u64, flags: u32) -> MmapArgs {
    let args = MmapArgs::check([hint, bytes, READ_WRITE, flags.into(), 0, 0]);
    args.expect("good arguments")
}

fn place(args: &MmapArgs, areas: &mut AreaMap) -> Result<Range, Errno> {
    args.place(areas, WINDOW, TOP)
}

fn range(start: u64, bytes: u64) -> Range {
    Range {
        start,
        end: start + bytes,
    }
}

fn taken(areas: &mut AreaMap, range: Range) {
    let what = Attributes::new(Kind::Anonymous, Protection::default());
    areas.insert(range, what).expect("it is free");
}

/// mmap(2): EINVAL if length was 0, or offset is not a multiple of the page size.
#[test]
fn nothing_and_parts_of_pages_of_files_are_not_mapped() {
    assert_eq!(check(0, ANONYMOUS), Err(Errno::EINVAL));
    let odd = MmapArgs::check([0, 4096, READ_WRITE, MAP_PRIVATE.into(), 3, 100]);
    assert_eq!(odd, Err(Errno::EINVAL));
}

/// mmap(2): ENOMEM if the length exceeds the address space; EOVERFLOW if its end in the file is no number.
#[test]
fn lengths_that_overflow_are_told_from_bad_ones() {
    assert_eq!(check(u64::MAX, ANONYMOUS), Err(Errno::ENOMEM));
    assert_eq!(check(USER_END + 1, ANONYMOUS), Err(Errno::ENOMEM));
    assert!(check(USER_END, ANONYMOUS).is_ok());
    let far = MmapArgs::check([
        0,
        0x2000,
        READ_WRITE,
        MAP_PRIVATE.into(),
        3,
        u64::MAX - 0xfff,
    ]);
    assert_eq!(far, Err(Errno::EOVERFLOW));
}

/// mmap(2): EINVAL if flags contained none of MAP_PRIVATE, MAP_SHARED, or MAP_SHARED_VALIDATE. do_mmap: shared
/// anonymous memory does not grow; MAP_SHARED_VALIDATE and MAP_DROPPABLE are for files and memory only.
#[test]
fn each_mapping_is_of_one_type_that_fits_its_flags() {
    for flags in [MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE] {
        assert!(check(1, flags).is_ok(), "a file: {flags:#x}");
    }
    for good in [
        MAP_PRIVATE,
        MAP_SHARED,
        MAP_DROPPABLE,
        MAP_PRIVATE | MAP_GROWSDOWN,
    ] {
        assert!(check(1, good | MAP_ANONYMOUS).is_ok(), "memory: {good:#x}");
    }
    for bad in [
        0,
        4,
        MAP_SHARED_VALIDATE,
        MAP_SHARED | MAP_GROWSDOWN,
        MAP_DROPPABLE | MAP_LOCKED,
        MAP_DROPPABLE | MAP_GROWSDOWN,
    ] {
        assert_eq!(
            check(1, bad | MAP_ANONYMOUS),
            Err(Errno::EINVAL),
            "{bad:#x}"
        );
    }
    assert_eq!(check(1, MAP_DROPPABLE), Err(Errno::EINVAL), "of a file");
}

/// mmap(2), MAP_HUGETLB: the size is the base-2 logarithm in the six bits at MAP_HUGE_SHIFT; the length is
/// rounded up to it.
#[test]
fn huge_pages_have_the_sizes_of_the_machine() {
    let huge = ANONYMOUS | MAP_HUGETLB;
    for (size, unit) in [(0, 2 << 20), (21, 2 << 20), (30, 1 << 30)] {
        let args = check(1, huge | size << 26).expect("there are such pages");
        assert_eq!((args.bytes, args.unit, args.align), (unit, unit, unit));
    }
    assert_eq!(check(1, huge | 16 << 26), Err(Errno::EINVAL), "64 KiB");
    assert_eq!(check(1, MAP_PRIVATE | MAP_HUGETLB), Err(Errno::EINVAL));
}

#[test]
fn an_area_is_what_the_flags_say() {
    let what = |flags| at(0, 1, flags).attributes();
    assert_eq!(what(ANONYMOUS).kind, Kind::Anonymous);
    assert_eq!(what(ANONYMOUS | MAP_STACK).kind, Kind::ThreadStack);
    assert_eq!(what(MAP_PRIVATE | MAP_STACK).kind, Kind::File);
    assert!(what(MAP_SHARED).shared && what(MAP_SHARED_VALIDATE).shared);
    assert!(!what(MAP_PRIVATE).shared);
    assert!(what(ANONYMOUS | MAP_LOCKED).locked && what(ANONYMOUS | MAP_GROWSDOWN).grows_down);
    let droppable = what(MAP_DROPPABLE | MAP_ANONYMOUS);
    assert!(
        droppable.marks.has(Marks::WIPED_BY_FORK) && !droppable.shared,
        "man mmap: VM_WIPEONFORK"
    );
}

/// mmap(2): the kernel picks a nearby page boundary if the hint can be had, and otherwise another place.
#[test]
fn a_hint_is_followed_if_it_is_free() {
    let mut areas = AreaMap::new();
    let args = at(0x2_0001, 0x1000, ANONYMOUS);
    assert_eq!(place(&args, &mut areas), Ok(range(0x2_1000, 0x1000)));
    taken(&mut areas, range(0x2_1000, 0x1000));
    assert_eq!(place(&args, &mut areas), Ok(range(TOP - 0x1000, 0x1000)));
    let low = at(0x1000, 0x1000, ANONYMOUS);
    assert_eq!(
        place(&low, &mut areas),
        Ok(range(TOP - 0x1000, 0x1000)),
        "below the window"
    );
}

#[test]
fn large_mappings_begin_where_large_pages_do() {
    let mut areas = AreaMap::new();
    taken(&mut areas, range(TOP - 0x1000, 0x1000));
    let large = at(0, LARGE_PAGE_BYTES, ANONYMOUS);
    let start = TOP - 2 * LARGE_PAGE_BYTES;
    assert_eq!(
        place(&large, &mut areas),
        Ok(range(start, LARGE_PAGE_BYTES))
    );
    let giant = place(&at(0, GIANT_BYTES, ANONYMOUS), &mut areas);
    assert_eq!(giant.map(|range| range.start % GIANT_BYTES), Ok(0));
}

#[test]
fn what_does_not_fit_below_the_top_goes_above_it() {
    let mut areas = AreaMap::new();
    taken(
        &mut areas,
        Range {
            start: WINDOW.start,
            end: TOP,
        },
    );
    let args = at(0, 0x1000, ANONYMOUS);
    assert_eq!(
        place(&args, &mut areas),
        Ok(range(WINDOW.end - 0x1000, 0x1000))
    );
    taken(
        &mut areas,
        Range {
            start: TOP,
            end: WINDOW.end,
        },
    );
    assert_eq!(place(&args, &mut areas), Err(Errno::ENOMEM));
}

/// mmap(2), MAP_32BIT: the first 2 GiB; on Linux the second of them.
#[test]
fn map_32bit_is_the_second_gib() {
    let mut areas = AreaMap::new();
    let args = at(0, 0x1000, ANONYMOUS | MAP_32BIT);
    assert_eq!(place(&args, &mut areas), Ok(range(0x7fff_f000, 0x1000)));
    taken(&mut areas, LOW);
    assert_eq!(place(&args, &mut areas), Err(Errno::ENOMEM));
}

/// mmap(2): MAP_FIXED replaces what is there; MAP_FIXED_NOREPLACE fails with EEXIST instead.
#[test]
fn a_fixed_range_replaces_what_is_there_or_does_not() {
    let mut areas = AreaMap::new();
    taken(&mut areas, range(0x5_0000, 0x1000));
    let fixed = at(0x4_f000, 0x2000, ANONYMOUS | MAP_FIXED);
    assert_eq!(place(&fixed, &mut areas), Ok(range(0x4_f000, 0x2000)));
    let careful = at(0x4_f000, 0x2000, ANONYMOUS | MAP_FIXED_NOREPLACE);
    assert_eq!(place(&careful, &mut areas), Err(Errno::EEXIST));
    let beside = at(0x4_f000, 0x1000, ANONYMOUS | MAP_FIXED_NOREPLACE);
    assert_eq!(place(&beside, &mut areas), Ok(range(0x4_f000, 0x1000)));
}

/// In the proxy Linux's own vdso lies at the same addresses, and stays.
#[test]
fn nothing_replaces_the_vdso() {
    let mut areas = AreaMap::new();
    let vdso = Attributes::new(Kind::Special, Protection::default());
    areas
        .insert(range(0x5_0000, 0x1000), vdso)
        .expect("it is free");
    let over = at(0x4_f000, 0x2000, ANONYMOUS | MAP_FIXED);
    assert_eq!(place(&over, &mut areas), Err(Errno::ENOMEM));
    let careful = at(0x5_0000, 0x1000, ANONYMOUS | MAP_FIXED_NOREPLACE);
    assert_eq!(place(&careful, &mut areas), Err(Errno::EEXIST));
    let beside = at(0x4_f000, 0x1000, ANONYMOUS | MAP_FIXED);
    assert!(place(&beside, &mut areas).is_ok());
}

/// get_unmapped_area: ENOMEM beyond TASK_SIZE before EINVAL for a part of a page; security_mmap_addr: EPERM below
/// mmap_min_addr.
#[test]
fn a_fixed_range_must_be_aligned_and_the_programs() {
    let fixed = |hint, bytes| place(&at(hint, bytes, ANONYMOUS | MAP_FIXED), &mut AreaMap::new());
    assert_eq!(fixed(0x4_0001, 0x1000), Err(Errno::EINVAL));
    assert_eq!(fixed(0x1000, 0x1000), Err(Errno::EPERM));
    assert_eq!(fixed(USER_END, 0x1000), Err(Errno::ENOMEM));
    assert_eq!(fixed(u64::MAX, 0x1000), Err(Errno::ENOMEM), "it wraps");
    assert_eq!(
        fixed(WINDOW.end, 0x1000),
        Err(Errno::ENOMEM),
        "not the window's"
    );
    let huge = at(0x4_1000, 1, ANONYMOUS | MAP_FIXED | MAP_HUGETLB);
    assert_eq!(place(&huge, &mut AreaMap::new()), Err(Errno::EINVAL));
}

proptest! {
    /// Whatever lies around, a mapping that is not fixed gets a free range of its length within the window, and
    /// there is none if it gets none.
    #[test]
    fn a_mapping_gets_a_free_range(
        holes in proptest::collection::vec((0u64..6, 1u64..6), 0..20),
        pages in 1u64..8,
        hint in 0u64..100,
    ) {
        let window = range(0x1_0000, 64 * PAGE_BYTES);
        let mut areas = AreaMap::new();
        let mut start = window.start;
        for (hole, used) in holes {
            let area = range(start + hole * PAGE_BYTES, used * PAGE_BYTES);
            start = area.end;
            if window.covers(&area) {
                taken(&mut areas, area);
            }
        }
        let args = at(hint * PAGE_BYTES, pages * PAGE_BYTES, ANONYMOUS);
        let fits = |page: u64| {
            let range = range(window.start + page * PAGE_BYTES, pages * PAGE_BYTES);
            window.covers(&range) && areas.is_free(range)
        };
        let possible = (0..64).any(fits);
        match args.place(&mut areas.clone(), window, window.start + 32 * PAGE_BYTES) {
            Ok(range) => {
                prop_assert_eq!(range.bytes(), pages * PAGE_BYTES);
                prop_assert!(window.covers(&range) && areas.is_free(range));
            }
            Err(errno) => {
                prop_assert_eq!(errno, Errno::ENOMEM);
                prop_assert!(!possible);
            }
        }
    }
}
