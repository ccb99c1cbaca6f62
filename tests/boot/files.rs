// SPDX-License-Identifier: GPL-2.0
//! Pages of files that all processes share.

mod mapping {
    //! Claims of a program about its mappings, natively and then under mcexec.

    use crate::script::{claims, linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> =
        LazyLock::new(|| Reports::of(linux_only(), "programs", &["pages"]));

    claims!(REPORTS:
        writes_stay_in_their_mapping,
        writes_of_calls_stay_in_their_mapping,
        pages_that_linux_has_seen_are_copied,
        children_share_until_they_write,
        files_end_where_they_end,
        parts_are_mapped_over_each_other,
        files_that_are_written_are_seen_as_they_are,
        descriptors_must_be_readable,
    );
}

mod sharing {
    //! Programs of one file at once and one after the other.

    use crate::script::{claims, linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "files", &[]));

    claims!(REPORTS:
        a_second_start_reads_nothing,
        processes_share_one_copy,
        a_changed_program_is_seen_by_the_next_start,
        a_changed_byte_is_seen_by_the_next_start,
        what_one_process_writes_no_other_sees,
        a_hostile_proxy_changes_nobody_elses_pages,
        kept_pages_make_way_for_programs,
        files_of_other_file_systems_are_each_process_own,
    );
}
