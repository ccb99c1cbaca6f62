// SPDX-License-Identifier: GPL-2.0
//! QEMU's command line.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use crate::setup::{buildroot, Environment};
use crate::vm::options::VmOptions;
use crate::vm::streams::Link;

/// Linux's command line. `no_ipi_broadcast`: Linux must not send its IPIs to cores it does not own;
/// `cryptomgr.notests`: self-tests would disturb the first seconds; `panic=-1` with -no-reboot ends QEMU on a panic.
/// `tsc=nowatchdog`: Linux 7.2 may hang at boot otherwise (docs/rig.md, "Linux hangs at boot").
const KERNEL_ARGUMENTS: &str =
    "rdinit=/init console=ttyS0 quiet loglevel=4 panic=-1 no_ipi_broadcast=1 cryptomgr.notests=1 tsc=nowatchdog";

/// The files of one run.
pub(super) struct Disks<'a> {
    pub(super) root: &'a Path,
    pub(super) job: &'a Path,
    pub(super) console: &'a Path,
    pub(super) kmsg: &'a Path,
}

/// The command that boots the machine.
pub(super) fn command(
    environment: &Environment,
    options: &VmOptions,
    disks: &Disks<'_>,
    links: &[Link],
    monitor: &Link,
    shell: bool,
) -> Command {
    let mut qemu = buildroot::native(&environment.build_root, "/usr/bin/qemu-system-x86_64");
    for folder in ["qemu", "seabios", "ipxe/qemu"] {
        qemu.arg("-L")
            .arg(environment.build_root.join("usr/share").join(folder));
    }
    qemu.args("-nodefaults -no-user-config -display none -no-reboot".split(' '));
    processor(&mut qemu, options);
    memory(&mut qemu, options);
    kernel(&mut qemu, environment, options);
    storage(&mut qemu, environment, disks);
    serial(&mut qemu, disks, links, shell);
    device_memory(&mut qemu);
    qemu.arg("-chardev").arg(socket(monitor));
    qemu.args(["-mon", &format!("chardev={},mode=readline", monitor.name)]);
    for plugin in &options.plugin {
        qemu.arg("-plugin").arg(plugin);
    }
    qemu
}

fn processor(qemu: &mut Command, options: &VmOptions) {
    if options.x2apic {
        qemu.args([
            "-machine",
            "q35",
            "-device",
            "intel-iommu,intremap=on,eim=on",
        ]);
    } else {
        qemu.args(["-machine", "pc"]);
    }
    if options.icount {
        qemu.args([
            "-accel",
            "tcg,thread=single",
            "-icount",
            "shift=0,sleep=off",
        ]);
    } else {
        qemu.args(["-accel", "tcg,thread=multi"]);
    }
    // A node is a socket of its own: Linux warns of cores that share caches across nodes.
    let (sockets, cores) = (options.numa, options.smp / options.numa);
    qemu.args([
        "-cpu",
        &options.cpu,
        "-smp",
        &format!("{},sockets={sockets},cores={cores},threads=1", options.smp),
    ]);
}

fn memory(qemu: &mut Command, options: &VmOptions) {
    qemu.args(["-m", &format!("{}B", options.mem)]);
    if options.numa == 1 {
        return;
    }
    let cpus = options.smp / options.numa;
    let bytes = options.mem / u64::from(options.numa);
    for node in 0..options.numa {
        let (first, last) = (node * cpus, (node + 1) * cpus - 1);
        qemu.args([
            "-object",
            &format!("memory-backend-ram,id=mem{node},size={bytes}B"),
        ]);
        qemu.args([
            "-numa",
            &format!("node,nodeid={node},cpus={first}-{last},memdev=mem{node}"),
        ]);
    }
}

fn kernel(qemu: &mut Command, environment: &Environment, options: &VmOptions) {
    let image = if options.bzimage {
        environment.kernel.bzimage()
    } else {
        environment.kernel.vmlinux()
    };
    let more = options.append.as_deref().unwrap_or_default();
    qemu.arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(environment.kernel.initrd())
        .args(["-append", &format!("{KERNEL_ARGUMENTS} {more}")]);
}

/// The guest knows its disks by their serial numbers (setup/first-init.sh). The root is the only NVMe: two would race for
/// the name nvme0. Changes go to unlinked temporary files.
fn storage(qemu: &mut Command, environment: &Environment, disks: &Disks<'_>) {
    let drive = |path: &Path, rest: &str| {
        let mut option = OsString::from("file=");
        option.push(path.to_string_lossy().replace(',', ",,"));
        option.push(rest);
        option
    };
    qemu.arg("-drive").arg(drive(
        disks.root,
        ",format=raw,if=none,id=root,snapshot=on,cache=unsafe",
    ));
    qemu.args(["-device", "nvme,drive=root,serial=root"]);
    qemu.arg("-drive")
        .arg(drive(disks.job, ",format=raw,if=none,id=job,readonly=on"));
    qemu.args(["-device", "virtio-blk-pci,drive=job,serial=job"]);
    let modules = environment.kernel.modules_disk();
    let rest = ",format=raw,if=none,id=modules,snapshot=on,cache=unsafe";
    qemu.arg("-drive").arg(drive(&modules, rest));
    qemu.args(["-device", "virtio-blk-pci,drive=modules,serial=modules"]);
}

fn serial(qemu: &mut Command, disks: &Disks<'_>, links: &[Link], shell: bool) {
    let file = |start: &str, path: &Path| {
        let mut option = OsString::from(start);
        option.push(path.to_string_lossy().replace(',', ",,"));
        option
    };
    qemu.arg("-chardev")
        .arg(file("file,id=console,path=", disks.console))
        .args(["-serial", "chardev:console"]);
    qemu.args(["-device", "virtio-serial-pci", "-chardev"])
        .arg(file("file,id=kmsg,path=", disks.kmsg));
    qemu.args(["-device", "virtserialport,chardev=kmsg,name=kmsg"]);
    for link in links {
        let name = link.name;
        qemu.arg("-chardev").arg(socket(link));
        qemu.args([
            "-device",
            &format!("virtserialport,chardev={name},name={name}"),
        ]);
    }
    if shell {
        qemu.args([
            "-chardev",
            "stdio,id=terminal,signal=off",
            "-device",
            "virtconsole,chardev=terminal",
        ]);
    }
}

/// A PCI device that is nothing but memory, for programs that map devices.
fn device_memory(qemu: &mut Command) {
    qemu.args([
        "-object",
        "memory-backend-ram,id=device-memory,size=1M,share=on",
        "-device",
        "ivshmem-plain,memdev=device-memory",
    ]);
}

fn socket(link: &Link) -> String {
    format!("socket,id={},fd={}", link.name, link.theirs.as_raw_fd())
}
