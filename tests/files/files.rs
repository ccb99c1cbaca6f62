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

mod demand {
    //! Claims of a program about pages that come when they are touched, natively and then under mcexec.

    use crate::script::{claims, linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> =
        LazyLock::new(|| Reports::of(linux_only(), "programs", &["demand"]));

    claims!(REPORTS:
        pages_come_in_any_order,
        cuts_keep_their_place,
        dropped_pages_come_back,
        dropped_pages_of_constant_files_come_back,
        growth_continues_in_the_file,
        shorter_files_have_fewer_pages,
        advice_brings_pages,
        calls_find_untouched_pages,
        a_file_is_written_from_its_own_mapping,
        changes_are_seen_where_nothing_was_touched,
        children_touch_what_parents_did_not,
        children_of_vfork_touch_and_map,
        threads_touch_at_once,
        early_writes_are_kept,
        files_in_memory_come_page_by_page,
        words_of_untouched_pages_are_compared,
        large_mappings_may_be_written,
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
        what_is_not_touched_is_not_read,
        what_is_unmapped_is_closed,
    );
}
