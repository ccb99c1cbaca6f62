// SPDX-License-Identifier: GPL-2.0
//! Memory that programs share with files, with each other and with programs of Linux.

mod program {
    //! Claims of a program about itself, natively and then under mcexec.

    use crate::script::{claims, linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> =
        LazyLock::new(|| Reports::of(linux_only(), "programs", &["shared"]));

    claims!(REPORTS:
        signals_keep_no_page_away,
        disk_files_are_coherent,
        dev_shm_is_coherent,
        tmpfs_is_coherent,
        memory_files_are_coherent,
        posix_shared_memory_is_coherent,
        descriptor_may_be_closed,
        offsets_count,
        past_the_end_is_a_bus_error,
        truncating_takes_pages_away,
        punched_holes_are_zero,
        rights_are_honoured,
        protection_can_change,
        calls_use_the_memory,
        synchronising_reaches_the_disk,
        files_can_be_sparse,
        freed_addresses_are_ordinary_memory,
        mappings_move_and_grow,
        advice_and_questions_are_answered,
        children_share_files,
        children_share_memory_files,
        children_share_zeroes,
        children_may_be_denied,
        vfork_children_see_it,
        system_v_memory_is_shared,
        system_v_memory_goes_where_it_is_told,
        shared_code_runs,
        large_private_files_come_by_need,
        no_store_is_lost,
        execution_lets_go,
        processes_share_a_mutex,
        processes_share_a_mutex_in_a_file,
        processes_share_a_mutex_with_owner,
        processes_share_a_mutex_with_owner_in_a_file,
        processes_wake_each_other,
        processes_wake_each_other_in_a_file,
        heirs_learn_of_death,
        heirs_of_a_file_learn_of_death,
        waits_for_processes_end,
        waits_in_files_end,
        one_of_many_words_wakes,
    );
}

mod device {
    //! Claims of a program about devices that it maps, natively and then under mcexec.

    use crate::script::{claims, linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> =
        LazyLock::new(|| Reports::of(linux_only(), "programs", &["devices"]));

    claims!(REPORTS:
        memory_behind_pci_is_one,
        registers_can_be_read,
        firmware_can_be_read,
        rights_are_honoured,
        what_is_not_there_cannot_be_mapped,
        freed_addresses_are_ordinary_memory,
        mappings_move,
        children_share_devices,
        calls_reach_devices,
    );
}

mod both_sides {
    //! Programs on either side.

    use crate::script::{claims, linux_only, Reports};
    use std::sync::LazyLock;

    static REPORTS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "shared", &[]));

    claims!(REPORTS:
        programs_of_both_kernels_take_turns,
        death_is_seen_by_programs_of_the_other_kernel,
        signals_reach_who_waits_for_the_other_kernel,
        a_tree_in_a_file_is_whole,
        reclaim_takes_pages_and_brings_them_back,
        databases_are_shared,
        repositories_are_made_and_cloned,
        devices_are_shared,
        drivers_take_devices_from_programs,
        killed_at_any_moment_leaves_nothing_behind,
        nothing_stays_behind,
    );
}
