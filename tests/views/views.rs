// SPDX-License-Identifier: GPL-2.0
//! The views that programs have of themselves and of the machine in `/proc` and `/sys`.

use crate::script::{linux_only, Reports};
use std::sync::LazyLock;
use tests::{run, Examine, VmOptions};

static VIEWS: LazyLock<Reports> = LazyLock::new(|| Reports::of(linux_only(), "views", &[]));

claims!(VIEWS: "views.py");

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
