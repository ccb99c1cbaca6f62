// SPDX-License-Identifier: GPL-2.0
//! Commands of the distribution give the same bytes under mcexec as natively; the rows are in `commands.txt`.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::{run, Examine, VmOptions};

static TABLE: LazyLock<Reports> = LazyLock::new(|| {
    let patient = VmOptions {
        timeout: Some(1200),
        ..linux_only()
    };
    Reports::of(patient, "commands", &["commands.txt"])
});

#[test]
fn every_row_of_the_table_is_the_same_under_mcexec() {
    TABLE.rows_pass("");
}

#[test]
fn linux_says_nothing_unwanted_while_commands_run() {
    TABLE.ended_well(&[]);
}

#[test]
fn file_of_1_gib_passes_through_cat_and_sha256sum() {
    let script =
        "perl -e 'my $b = join q(), map { pack q(N), $_ * 2654435761 % 4294967296 } 0 .. 262143;
                           for (1 .. 1024) { print pack q(N), $_; print substr $b, 4 }' >/root/large
        expected=$(sha256sum <large)
        [ \"$(mcexec cat /root/large | sha256sum)\" = \"$expected\" ] && echo cat
        [ \"$(cat /root/large | mcexec sha256sum)\" = \"$expected\" ] && echo pipe
        [ \"$(mcexec sha256sum </root/large)\" = \"$expected\" ] && echo file
        stat -c %s /root/large";
    let outcome = run(VmOptions::default(), &["bash", "-c", script]);
    assert_eq!(outcome.succeeded().out(), "cat\npipe\nfile\n1073741824\n");
}
