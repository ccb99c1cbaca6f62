// SPDX-License-Identifier: GPL-2.0
//! Two operations with one number would be taken for each other, and no compiler says so.

use std::collections::HashSet;

const SOURCE: &str = include_str!("../src/proto/process.rs");

#[test]
fn each_operation_has_a_number_of_its_own() {
    let numbers: Vec<&str> = SOURCE
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';')?.split_once("= BASE + "))
        .map(|(_, number)| number)
        .collect();
    let different: HashSet<&str> = numbers.iter().copied().collect();
    assert!(
        numbers.len() > 20,
        "the operations are written otherwise now"
    );
    assert_eq!(numbers.len(), different.len(), "{numbers:?}");
}
