// SPDX-License-Identifier: GPL-2.0
//! Programs with threads as they come, and what is left of them.

use crate::script::{claims, linux_only, Reports};
use std::sync::LazyLock;

static THREADS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "threads", &[]));

claims!(THREADS:
    openmp_uses_exactly_the_cokernels_cores,
    python_threads_work_and_few_workers_stay,
    a_crowd_of_threads_leaves_nothing_behind,
    killed_with_many_threads_leaves_nothing_behind,
);
