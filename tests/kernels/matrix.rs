// SPDX-License-Identifier: GPL-2.0
//! The same short pass on every kind of machine: one boot per test.

use crate::script::{linux_only, Reports};
use tests::VmOptions;

#[track_caller]
fn everything_works(options: VmOptions, cpus: &str, memory: &str) {
    let reports = Reports::of(options, "smoke", &["-c", cpus, "-m", memory]);
    let claims = names!("smoke.py");
    for claim in claims {
        reports.holds(claim);
    }
    reports.ended_well(&claims);
}

#[test]
fn works_with_x2apic() {
    let options = VmOptions {
        x2apic: true,
        ..linux_only()
    };
    everything_works(options, "2-3", "512M@0");
}

#[test]
fn works_without_5_level_paging() {
    let options = VmOptions {
        cpu: "max,-erms,-fsrm,-la57".into(),
        ..linux_only()
    };
    everything_works(options, "2-3", "512M@0");
}

#[test]
fn works_with_every_feature_of_the_cpu() {
    let options = VmOptions {
        cpu: "max".into(),
        ..linux_only()
    };
    everything_works(options, "3", "512M@0");
}

#[test]
fn works_with_one_linux_and_one_cokernel_core() {
    let options = VmOptions {
        smp: 2,
        ..linux_only()
    };
    everything_works(options, "1", "256M@0");
}

#[test]
fn works_with_four_cokernel_cores() {
    let options = VmOptions {
        smp: 6,
        ..linux_only()
    };
    everything_works(options, "2-5", "512M@0");
}

#[test]
fn works_with_broadcast_interrupts() {
    let options = VmOptions {
        append: Some("no_ipi_broadcast=0".into()),
        ..linux_only()
    };
    everything_works(options, "2-3", "512M@0");
}

#[test]
fn works_with_memory_of_two_nodes() {
    let options = VmOptions {
        numa: 2,
        ..linux_only()
    };
    everything_works(options, "1,3", "256M@0,256M@1");
}

#[test]
fn works_on_the_compressed_kernel() {
    let options = VmOptions {
        bzimage: true,
        ..linux_only()
    };
    everything_works(options, "2-3", "512M@0");
}

#[test]
#[ignore = "long: x2APIC, two nodes and four co-kernel cores together"]
fn works_with_everything_unusual_at_once() {
    let options = VmOptions {
        x2apic: true,
        numa: 2,
        smp: 8,
        mem: 4 << 30,
        bzimage: true,
        append: Some("no_ipi_broadcast=0".into()),
        ..linux_only()
    };
    everything_works(options, "2-3,6-7", "512M@0,512M@1");
}
