// SPDX-License-Identifier: GPL-2.0
//! Where programs of each kind lie, under each kind of limit.

use super::{choose, Conditions, FilePart, MOVABLE_BASE};
use crate::image::elf::{Executable, Segment};
use crate::image::random::Randomness;
use ihk_ikc::layout::WINDOW_END;
use ihk_ikc::process::{range_kind, VdsoArgs};

fn executable(movable: bool, segments: &[(u64, u64, u64, u64, u32)]) -> Executable {
    let segments = segments.iter().map(
        |&(address, memory_bytes, file_offset, file_bytes, prot)| Segment {
            address,
            memory_bytes,
            file_offset,
            file_bytes,
            prot,
        },
    );
    Executable {
        movable,
        entry: 0x1000,
        segments: segments.collect(),
        interpreter: None,
        executable_stack: false,
        headers_address: 64,
        header_count: 2,
        alignment: 0x1000,
    }
}

fn conditions(randomness: Randomness) -> Conditions {
    Conditions {
        window_start: 0x1_0000,
        stack_limit: 8 << 20,
        stack_needed: 5000,
        randomness,
        vdso: VdsoArgs {
            source: 0x7fff_8000_0000,
            vvar_bytes: 0x6000,
            vdso_bytes: 0x2000,
            target: 0,
        },
    }
}

#[test]
fn a_dynamic_program_is_laid_out_like_in_linux() {
    let program = executable(
        true,
        &[(0, 0x800, 0, 0x800, 5), (0x1f00, 0x3000, 0xf00, 0x200, 6)],
    );
    let loader = executable(true, &[(0, 0x2800, 0, 0x2800, 5)]);
    let layout = choose(&program, Some(&loader), &conditions(Randomness::NONE)).unwrap();
    let base = MOVABLE_BASE;
    let parts = [
        FilePart {
            address: base,
            offset: 0,
            bytes: 0x1000,
        },
        FilePart {
            address: base + 0x1000,
            offset: 0,
            bytes: 0x1100,
        },
    ];
    assert_eq!(layout.program.parts, parts);
    let kinds: Vec<_> = layout.ranges.iter().map(|range| range.kind).collect();
    assert_eq!(kinds, [0, 0, range_kind::HEAP, 0, range_kind::STACK]);
    assert_eq!(layout.ranges[2].start, base + 0x5000);
    assert_eq!(layout.vdso.target, layout.mmap_top - 0x8000);
    assert_eq!(
        layout.interpreter.unwrap().bias,
        layout.vdso.target - 0x3000
    );
    assert_eq!(layout.ranges[4].start, layout.stack_top - (8 << 20));
    assert!(layout.mmap_top <= layout.ranges[4].start - (1 << 20));
    assert_eq!(layout.stack_top, WINDOW_END - 0x1000);
}

#[test]
fn the_vdso_stays_where_linux_put_it() {
    let program = executable(true, &[(0, 0x800, 0, 0x800, 5)]);
    let loader = executable(true, &[(0, 0x2800, 0, 0x2800, 5)]);
    let all = Randomness {
        addresses: true,
        heap: true,
    };
    // Where mmap areas begin with few and many random bits, below the stack, and when they grow upwards.
    for source in [
        0x7fe0_1234_5000,
        0x7000_0000_0000,
        WINDOW_END - (64 << 20),
        WINDOW_END - 0x8000,
        0x2aaa_1234_5000,
    ] {
        let mut conditions = conditions(all);
        conditions.vdso.source = source;
        for limit in [8 << 20, u64::MAX] {
            conditions.stack_limit = limit;
            let layout = choose(&program, Some(&loader), &conditions).unwrap();
            assert_eq!(layout.vdso.target, source);
            let stack = layout.ranges.last().unwrap();
            assert_eq!(stack.kind, range_kind::STACK);
            assert!(layout.mmap_top < stack.start, "{source:x} {layout:x?}");
            if limit != u64::MAX {
                let begins_there = layout.mmap_top == source + 0x8000;
                let is_usual = (0x7000_0000_0000..0x7ff0_0000_0000).contains(&source);
                assert_eq!(begins_there, is_usual, "{source:x}");
            }
        }
    }
}

#[test]
fn everything_moves_and_nothing_ever_overlaps() {
    let program = executable(true, &[(0, 0x800, 0, 0x800, 5)]);
    let all = Randomness {
        addresses: true,
        heap: true,
    };
    let mut bases = Vec::new();
    for limit in [0, 8 << 20, u64::MAX] {
        for _ in 0..200 {
            let conditions = Conditions {
                stack_limit: limit,
                ..conditions(all)
            };
            let layout = choose(&program, Some(&program), &conditions).unwrap();
            let stack = layout
                .ranges
                .iter()
                .find(|range| range.kind == range_kind::STACK)
                .unwrap();
            assert!(layout.mmap_top < stack.start, "{layout:x?}");
            bases.push(layout.program.bias);
        }
    }
    bases.sort_unstable();
    bases.dedup();
    assert!(bases.len() > 590);
}

#[test]
fn a_page_that_two_segments_share_is_the_later_ones() {
    let program = executable(
        false,
        &[
            (0x40_0000, 0x1800, 0, 0x1800, 5),
            (0x40_1900, 0x100, 0x1900, 0x100, 6),
        ],
    );
    let layout = choose(&program, None, &conditions(Randomness::NONE)).unwrap();
    let pages: Vec<_> = layout
        .program
        .ranges
        .iter()
        .map(|range| (range.start, range.bytes, range.prot))
        .collect();
    assert_eq!(pages, [(0x40_0000, 0x1000, 5), (0x40_1000, 0x1000, 6)]);
}

#[test]
fn programs_outside_the_window_or_in_the_way_are_refused() {
    for address in [0, 0xf000, WINDOW_END - 0x2000] {
        let program = executable(false, &[(address, 0x1000, 0, 0x1000, 5)]);
        assert!(
            choose(&program, None, &conditions(Randomness::NONE)).is_err(),
            "{address:#x}"
        );
    }
    let huge = executable(true, &[(0, WINDOW_END / 2, 0, 0x1000, 5)]);
    assert!(choose(&huge, None, &conditions(Randomness::NONE)).is_err());
    let many: Vec<_> = (0..40)
        .map(|n| (0x40_0000 + n * 0x1000, 0x1000, 0, 0x1000, 5))
        .collect();
    assert!(choose(
        &executable(false, &many),
        None,
        &conditions(Randomness::NONE)
    )
    .is_err());
}
