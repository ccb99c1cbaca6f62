// SPDX-License-Identifier: GPL-2.0
//! The list of delegable calls is the co-kernel's table's.

use ihk_ikc::delegable::is_delegable;

#[test]
fn the_list_is_what_the_table_calls_delegate() {
    let table = include_str!("../../cokernel/src/syscall/table.rs");
    let mut rows = 0;
    for line in table.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [number, name, route] = words[..] else {
            continue;
        };
        let (Ok(number), true) = (number.parse::<u64>(), route.ends_with(';')) else {
            continue;
        };
        rows += 1;
        assert_eq!(
            is_delegable(number),
            route == "Delegate;",
            "{number} {name}"
        );
    }
    assert!(rows > 300, "{rows} rows");
    assert!(!is_delegable(337) && !is_delegable(473) && !is_delegable(u64::MAX));
}
