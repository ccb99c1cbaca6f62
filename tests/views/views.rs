// SPDX-License-Identifier: GPL-2.0
//! What programs see of themselves and of the machine in `/proc` and `/sys`.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;
use tests::{run, Examine, VmOptions};

static VIEWS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "views", &[]));

claims!(VIEWS:
    maps_list_the_programs_own_areas_with_file_names,
    maps_follow_what_the_program_maps,
    memory_numbers_are_the_programs_own,
    threads_are_the_programs_own,
    python_does_not_warn_of_fork,
    every_form_of_a_path_leads_to_the_same_view,
    views_behave_like_files_of_proc,
    reading_from_the_beginning_again_tells_the_present,
    command_line_and_environment_are_the_programs,
    auxiliary_vector_is_the_programs,
    natively_a_program_is_seen_under_its_own_name,
    other_programs_of_the_cokernel_are_seen_as_they_are,
    processor_and_memory_files_are_the_cokernels,
    processors_in_sys_are_the_cokernels,
    cpu_time_is_the_time_on_the_cokernel,
    a_core_is_left_where_and_when_linux_leaves_one,
    a_core_can_be_opened_by_a_debugger,
    tracing_is_refused_or_harmless,
);

#[test]
fn hwloc_shows_the_cokernels_cores_and_memory() {
    let options = VmOptions {
        install: vec!["hwloc-nox".into()],
        ..VmOptions::default()
    };
    let script = "
        mcexec lstopo-no-graphics --of console --no-io | head -1
        mcexec hwloc-calc --number-of pu machine:0
        mcexec hwloc-calc --number-of core machine:0
        mcexec hwloc-bind pu:1 -- nproc";
    let outcome = run(options, &["bash", "-c", script]);
    assert_eq!(
        outcome.succeeded().out(),
        "Machine (512MB total)\n2\n2\n1\n"
    );
}
