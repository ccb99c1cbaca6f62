// SPDX-License-Identifier: GPL-2.0
//! Memory of two NUMA nodes: policies, and moving pages.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::VmOptions;

static NODES: LazyLock<Reports> = LazyLock::new(|| {
    let two_nodes = VmOptions {
        numa: 2,
        ..linux_only()
    };
    Reports::of(two_nodes, "nodes", &[])
});

claims!(NODES: "nodes.py");
