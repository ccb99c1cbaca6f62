// SPDX-License-Identifier: GPL-2.0
//! Which system calls mean the same to whichever thread of the proxy performs them: those the
//! co-kernel's table calls `Delegate` (a test compares). Only these may be posted to a queue, and
//! only these does a function in the proxy make itself.

/// Numbers, in ascending ranges (first, last).
const RANGES: &[(u64, u64)] = &[
    (0, 8),
    (16, 23),
    (29, 29),
    (31, 33),
    (37, 37),
    (40, 55),
    (63, 66),
    (68, 96),
    (99, 99),
    (102, 104),
    (107, 112),
    (115, 115),
    (118, 118),
    (120, 121),
    (124, 125),
    (132, 133),
    (136, 140),
    (143, 143),
    (145, 148),
    (153, 153),
    (155, 155),
    (159, 159),
    (161, 171),
    (175, 176),
    (179, 179),
    (187, 199),
    (201, 201),
    (213, 213),
    (217, 217),
    (220, 227),
    (229, 229),
    (232, 233),
    (235, 235),
    (240, 249),
    (252, 255),
    (257, 269),
    (275, 278),
    (280, 280),
    (283, 288),
    (290, 296),
    (299, 301),
    (303, 307),
    (310, 313),
    (315, 316),
    (318, 321),
    (326, 328),
    (332, 332),
    (424, 434),
    (436, 439),
    (442, 445),
    (451, 452),
    (457, 461),
    (463, 470),
    (472, 472),
];

/// Whether any thread of the proxy may perform `number` as it is.
#[must_use]
pub fn is_delegable(number: u64) -> bool {
    RANGES
        .iter()
        .any(|&(first, last)| first <= number && number <= last)
}

/// The ranges of numbers for which [`is_delegable`] holds, ascending.
#[must_use]
pub fn ranges() -> &'static [(u64, u64)] {
    RANGES
}
