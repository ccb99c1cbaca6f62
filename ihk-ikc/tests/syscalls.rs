// SPDX-License-Identifier: GPL-2.0
//! Lookups of system calls by number agree with the rows of the table.

use ihk_ikc::syscalls::{class, is_delegable, number, Class, Route, CALLS, NUMBERS};

#[test]
fn the_list_is_what_the_table_calls_delegate() {
    assert!(CALLS.len() > 300, "{} rows", CALLS.len());
    for number in 0..512 {
        let row = CALLS.iter().find(|call| call.number == number);
        let is_delegated = row.is_some_and(|call| call.route == Route::Delegated);
        assert_eq!(is_delegable(number), is_delegated, "{number}");
    }
    assert!(!is_delegable(337) && !is_delegable(NUMBERS as u64) && !is_delegable(u64::MAX));
}

#[test]
fn facts_are_found_by_number() {
    assert!(class(number::openat).has(Class::PATH_AT));
    assert!(!class(number::openat).has(Class::PATH_FIRST.and(Class::DESCRIPTOR_FIRST)));
    assert!(class(number::fchroot).has(Class::DESCRIPTOR_FIRST));
    for nothing in [337, NUMBERS as u64, u64::MAX] {
        assert_eq!(class(nothing), Class::NONE);
    }
}

#[test]
fn a_call_on_the_caller_itself_cannot_be_delegated() {
    for call in CALLS {
        assert_eq!(call.contradiction(), None, "{}", call.name);
    }
    let mut dangerous = *CALLS
        .iter()
        .find(|call| call.number == number::mmap)
        .expect("mmap");
    for route in [Route::Delegated, Route::Inherited] {
        dangerous.route = route;
        assert!(dangerous.contradiction().is_some());
    }
}
