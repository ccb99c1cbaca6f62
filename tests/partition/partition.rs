// SPDX-License-Identifier: GPL-2.0
//! Taking a machine apart: doorbells, rights, several instances, what stays readable, many at once.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static PARTITION: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "partition", &[]));

claims!(PARTITION:
    doorbell_follows_its_affinity,
    doorbell_leaves_a_core_that_goes_and_comes_back_with_it,
    linux_does_not_sleep_while_a_cokernel_runs,
    group_may_run_programs_and_nothing_else,
    service_may_go_and_come_back_while_the_cokernel_runs,
    two_instances_run_side_by_side,
    stuck_reader_delays_nobody,
    log_stays_readable_until_the_instance_is_destroyed,
    dump_holds_the_whole_partition,
    core_that_is_offline_is_not_taken,
    workers_run_where_the_map_says,
    servers_of_call_queues_run_wherever_the_map_says,
    programs_see_the_processors_of_the_latest_boot,
    many_steering_at_once_leave_nothing_behind,
);
