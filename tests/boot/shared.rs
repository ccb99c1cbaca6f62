// SPDX-License-Identifier: GPL-2.0
//! Memory that programs share with files, with each other and with programs of Linux.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static SHARED: LazyLock<Reports> =
    LazyLock::new(|| Reports::of(linux_only(), "programs", &["shared"]));

claims!(SHARED:
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
    no_store_is_lost,
    execution_lets_go,
);
