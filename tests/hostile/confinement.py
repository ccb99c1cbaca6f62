#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What confines who starts a program confines the calls that Linux makes for it."""

import contextlib
import os

from scene import check, claim, make_healthy, mcreboot, program, run, run_all

GROUP = "/sys/fs/cgroup/confined"


def ends_as_natively(before, after, **options):
    """Runs `before… after…` natively and `before… mcexec after…`; how both ended."""
    natively = run(*before, *after, **options)
    result = run(*before, "mcexec", *after, **options)
    ends = [(each.returncode, each.stdout, each.stderr) for each in (natively, result)]
    assert ends[0] == ends[1], ends
    return natively


def control(what):
    with open("/sys/fs/cgroup/cgroup.subtree_control", "w") as file:
        file.write(what)


@contextlib.contextmanager
def control_group(**limits):
    """A control group with `limits`, each CONTROLLER_FILE=VALUE; gives what moves the calling process there."""
    control("+memory +pids")
    os.mkdir(GROUP)
    for name, value in limits.items():
        with open(f"{GROUP}/{name.replace('_', '.')}", "w") as file:
            file.write(value)

    def enter():
        with open(f"{GROUP}/cgroup.procs", "w") as file:
            file.write("0")

    try:
        yield enter
    finally:
        os.rmdir(GROUP)
        control("-memory -pids")


@claim
def a_filter_of_system_calls_refuses_delegated_ones():
    ended = ends_as_natively([program("confine"), "errno"], ["mkdir", "/tmp/refused"])
    assert "Inappropriate ioctl" in ended.stderr and not os.path.exists("/tmp/refused"), ended


@claim
def a_filter_of_system_calls_kills_who_delegates_a_forbidden_one():
    ended = ends_as_natively([program("confine"), "kill"], ["mkdir", "/tmp/refused"])
    assert ended.returncode == -31 and not os.path.exists("/tmp/refused"), ended


@claim
def capabilities_that_are_out_of_bounds_stay_there():
    open("/tmp/owned", "w").close()
    ended = ends_as_natively(["setpriv", "--bounding-set=-chown"], ["chown", "1001", "/tmp/owned"])
    assert ended.returncode == 1 and "Operation not permitted" in ended.stderr, ended


@claim
def a_network_of_its_own_is_the_only_one_seen():
    ended = ends_as_natively(["unshare", "--net"], ["cat", "/proc/self/net/dev"])
    assert ended.stdout.count(":") == 1 and "lo:" in ended.stdout, ended


@claim
def mounts_that_are_read_only_stay_read_only():
    check("mkdir", "-p", "/tmp/readonly")
    mount = "mount --bind /tmp/readonly /tmp/readonly && mount -o remount,ro,bind /tmp/readonly && exec \"$@\""
    ended = ends_as_natively(["unshare", "--mount", "sh", "-c", mount, "sh"], ["touch", "/tmp/readonly/file"])
    assert ended.returncode == 1 and "Read-only file system" in ended.stderr, ended


@claim
def a_control_group_limits_processes():
    with control_group(pids_max="40") as enter:
        ended = ends_as_natively([], [program("confine"), "crowd"], preexec_fn=enter)
    assert ended.stdout == "Resource temporarily unavailable\n", ended


@claim
def memory_that_linux_takes_for_a_program_is_charged_to_its_control_group():
    fill = ["dd", "if=/dev/zero", "of=/dev/shm/filled", "bs=1M", "count=32", "status=none"]
    for launcher in ([], ["mcexec"]):
        with control_group(memory_max=str(256 << 20)) as enter:
            run(*launcher, *fill, preexec_fn=enter)
            with open(f"{GROUP}/memory.stat") as file:
                charged = dict(line.split() for line in file)
            check("rm", "/dev/shm/filled")
        assert 32 << 20 <= int(charged["shmem"]) < 40 << 20, (launcher, charged)


mcreboot()
run_all(make_healthy)
