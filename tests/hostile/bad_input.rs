// SPDX-License-Identifier: GPL-2.0
//! Input that makes no sense is refused in one line and changes nothing; the rows are in `bad_input.txt`.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;

static TABLE: LazyLock<Reports> =
    LazyLock::new(|| Reports::of(linux_only(), "bad_input", &["bad_input.txt"]));

#[test]
fn mcexec_refuses_bad_input_in_one_line() {
    TABLE.rows_pass("mcexec");
}

#[test]
fn ihkconfig_refuses_bad_input_in_one_line() {
    TABLE.rows_pass("ihkconfig");
}

#[test]
fn ihkosctl_refuses_bad_input_in_one_line() {
    TABLE.rows_pass("ihkosctl");
}

#[test]
fn mcreboot_refuses_bad_input_in_one_line() {
    TABLE.rows_pass("mcreboot");
}

#[test]
fn mcstop_refuses_bad_input_in_one_line() {
    TABLE.rows_pass("mcstop");
}

#[test]
fn modules_in_use_cannot_be_removed() {
    TABLE.rows_pass("rmmod");
}

#[test]
fn linux_says_nothing_unwanted_about_bad_input() {
    TABLE.ended_well(&[]);
}
