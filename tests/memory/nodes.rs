// SPDX-License-Identifier: GPL-2.0
//! Memory of two NUMA nodes: policies, and moving pages.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static NODES: LazyLock<Reports> = LazyLock::new(|| {
    let two_nodes = VmOptions {
        numa: 2,
        ..linux_only()
    };
    Reports::of(two_nodes, "nodes", &[])
});

claims!(NODES:
    memory_comes_from_the_nodes_told,
    interleaved_memory_comes_from_all_nodes_in_turn,
    areas_have_policies_of_their_own,
    misplaced_pages_can_be_moved,
    single_pages_can_be_moved,
    whole_programs_can_be_moved,
    policies_are_inherited,
    policies_are_kept_over_exec,
    bound_areas_have_a_home_node,
    policy_calls_fail_as_on_linux,
    a_binding_is_strict,
    each_node_has_figures_of_its_own,
);
