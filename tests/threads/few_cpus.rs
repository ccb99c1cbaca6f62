// SPDX-License-Identifier: GPL-2.0
//! Few CPUs of Linux for many threads, and no CPU time for nothing.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static FEW_CPUS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "few_cpus", &[]));

static RATE: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "few_cpus", &["rate"]));

claims!(FEW_CPUS:
    computing_programs_use_no_time_of_linux,
    blocked_calls_use_no_time_of_linux,
);

#[test]
#[ignore = "long: measures time, and wants a host that does nothing else"]
fn eight_threads_on_one_linux_cpu_are_served_like_one() {
    RATE.holds("eight_threads_on_one_linux_cpu_are_served_like_one");
}
