#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about taking a machine apart: doorbells, rights, several instances, what stays readable, many at once."""

import os
import re
import socket
import subprocess
import time

from scene import (CPUS, MEMORY, available_kib, check, claim, hello_works, is_one_clear_line, mcreboot,
                   memory_is_back, online_cpus, program, run,
                   run_all, start, status)

GROUP = 100  # "users" in every Debian
USER = 1000


def doorbell(cpu):
    """Linux's number of the line of `cpu` and its counts per online core."""
    with open("/proc/interrupts") as file:
        for line in file:
            fields = line.split()
            if fields[-1] == f"ihk-doorbell{cpu}":
                counts = [int(field) for field in fields[1:] if field.isdigit()]
                return fields[0].rstrip(":"), counts
    raise AssertionError(f"no doorbell of CPU {cpu}")


def doorbells_rung():
    return sum(sum(doorbell(cpu)[1]) for cpu in range(4))


def rings_linux():
    """A program whose calls come when its worker has gone to sleep."""
    before = doorbells_rung()
    check("mcexec", "/bin/sleep", "0.3")
    assert doorbells_rung() > before, "nobody rang"


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read().strip()


def boot_one(number, cpu, memory):
    check("ihkosctl", number, "assign", "cpu", cpu)
    check("ihkosctl", number, "assign", "mem", memory)
    check("ihkosctl", number, "load")
    check("ihkosctl", number, "boot")


def reserve_by_hand():
    check("mcstop", "-f")
    check("modprobe", "mcctrl")
    check("ihkconfig", "0", "reserve", "cpu", CPUS)
    check("ihkconfig", "0", "reserve", "mem", MEMORY)


def release_by_hand():
    check("ihkconfig", "0", "release", "cpu", "all")
    check("ihkconfig", "0", "release", "mem", "all")
    check("rmmod", "mcctrl", "ihk")


@claim
def doorbell_follows_its_affinity():
    mcreboot()
    irq, _ = doorbell(0)
    for mask, core in (("2", 1), ("1", 0), ("2", 1)):
        write(f"/proc/irq/{irq}/smp_affinity", mask)
        for _ in range(3):
            check("taskset", "-c", "0", "mcexec", "/bin/sleep", "0.2")
        before = doorbell(0)[1]
        check("taskset", "-c", "0", "mcexec", "/bin/sleep", "0.2")
        grown = [new - old for new, old in zip(doorbell(0)[1], before)]
        assert grown[core] > 0 and sum(grown) == grown[core], (mask, grown)
    write(f"/proc/irq/{irq}/smp_affinity", "1")


@claim
def doorbell_leaves_a_core_that_goes_and_comes_back_with_it():
    mcreboot()
    irq, _ = doorbell(1)
    try:
        write("/sys/devices/system/cpu/cpu1/online", "0")
        assert read(f"/proc/irq/{irq}/effective_affinity").lstrip("0,") == "1"
        rings_linux()
    finally:
        write("/sys/devices/system/cpu/cpu1/online", "1")
    rings_linux()
    assert read(f"/proc/irq/{irq}/effective_affinity").lstrip("0,") == "2"


@claim
def linux_does_not_sleep_while_a_cokernel_runs():
    mcreboot()
    refused = run("sh", "-c", "echo mem >/sys/power/state")
    assert refused.returncode != 0, "Linux slept"
    hello_works()


@claim
def group_may_run_programs_and_nothing_else():
    check("mcstop", "-f")
    mcreboot("--group", "users")
    node = os.stat("/dev/mcos0")
    assert (node.st_uid, node.st_gid, node.st_mode & 0o777) == (0, GROUP, 0o660), node
    member = {"user": USER, "group": GROUP, "extra_groups": []}
    assert run("mcexec", program("greet_static"), **member).returncode == 1, "a member cannot run programs"
    for order in ("shutdown", "boot", "kmsg", "clear_kmsg"):
        refused = run("ihkosctl", "0", order, **member)
        assert refused.returncode == 1 and is_one_clear_line("ihkosctl", refused.stderr), (order, refused)
    refused = run("ihkconfig", "0", "release", "cpu", "all", **member)
    assert refused.returncode == 1 and is_one_clear_line("ihkconfig", refused.stderr), refused
    assert status() == "RUNNING", status()
    stranger = run("mcexec", program("greet_static"), user=USER, group=USER, extra_groups=[])
    assert stranger.stdout == "" and is_one_clear_line("mcexec", stranger.stderr), stranger


@claim
def service_may_go_and_come_back_while_the_cokernel_runs():
    check("mcstop", "-f")
    mcreboot()
    for _ in range(3):
        check("rmmod", "mcctrl")
        refused = run("mcexec", program("greet_static"))
        assert is_one_clear_line("mcexec", refused.stderr), refused
        assert status() == "RUNNING", status()
        check("modprobe", "mcctrl")
        hello_works()


@claim
def two_instances_run_side_by_side():
    reserve_by_hand()
    assert check("ihkconfig", "0", "create") == "0\n" and check("ihkconfig", "0", "create") == "1\n"
    boot_one("0", "2", "256M@0")
    boot_one("1", "3", "128M@0")
    assert check("ihkconfig", "0", "get", "os_instances") == "0,1\n"
    both = [start("mcexec", number, program("greet_static")) for number in ("0", "1")]
    for process in both:
        out, error = process.communicate(timeout=20)
        assert (process.returncode, error) == (1, ""), (process.returncode, out, error)
    check("ihkosctl", "0", "shutdown")
    assert (status("0"), status("1")) == ("SHUTDOWN", "RUNNING")
    assert run("mcexec", "1", program("greet_static")).returncode == 1
    check("ihkosctl", "0", "boot")
    hello_works()
    check("ihkconfig", "0", "destroy", "1")
    check("ihkconfig", "0", "destroy", "0")
    assert check("ihkconfig", "0", "query", "cpu") == "2-3\n"
    assert check("ihkconfig", "0", "query", "mem") == "512M@0\n"
    release_by_hand()


@claim
def stuck_reader_delays_nobody():
    mcreboot()
    reader = start(program("stuck_reader"))
    assert reader.stdout.readline() == "reading\n", reader.communicate()
    time.sleep(0.5)
    assert reader.poll() is None, reader.returncode
    for query in ("cpu", "mem", "usage"):
        asked = run("ihkosctl", "0", "query", query, timeout=10)
        assert asked.returncode == 0, asked
    hello_works()
    reader.kill()
    reader.communicate(timeout=10)
    check("mcstop", "-f")


@claim
def log_stays_readable_until_the_instance_is_destroyed():
    reserve_by_hand()
    check("ihkconfig", "0", "create")
    boot_one("0", CPUS, MEMORY)
    running = check("ihkosctl", "0", "kmsg")
    assert running.strip(), "the co-kernel said nothing"
    check("ihkosctl", "0", "shutdown")
    check("ihkosctl", "0", "release", "mem", "all")
    assert check("ihkosctl", "0", "kmsg").startswith(running)
    check("ihkosctl", "0", "clear_kmsg")
    assert check("ihkosctl", "0", "kmsg") == ""
    check("ihkconfig", "0", "destroy", "0")
    release_by_hand()


@claim
def dump_holds_the_whole_partition():
    mcreboot()
    first_line = check("ihkosctl", "0", "kmsg").splitlines()[0]
    check("ihkosctl", "0", "dump", "/tmp/dump")
    assert os.path.getsize("/tmp/dump") >= 512 << 20
    found = run("grep", "-c", "--text", "--fixed-strings", first_line, "/tmp/dump")
    os.unlink("/tmp/dump")
    assert found.returncode == 0, "the log is not in the dump"


@claim
def core_that_is_offline_is_not_taken():
    check("mcstop", "-f")
    check("modprobe", "ihk")
    try:
        write("/sys/devices/system/cpu/cpu3/online", "0")
        refused = run("ihkconfig", "0", "reserve", "cpu", "2-3")
        assert refused.returncode == 1 and is_one_clear_line("ihkconfig", refused.stderr), refused
        assert online_cpus() == "0-2", online_cpus()
    finally:
        write("/sys/devices/system/cpu/cpu3/online", "1")
    check("rmmod", "ihk")


def worker_of(*command):
    """Where the worker of a program that has made calls may run, and where it last ran; then the program ends."""
    running = start(*command, program("calls"), "block", "100", stdin=subprocess.PIPE)
    try:
        assert running.stdout.readline() == "done\n"
        allowed = re.search(r"Cpus_allowed_list:\s*(\S+)", read(f"/proc/{running.pid}/status"))[1]
        # The 39th field; the second one may have blanks, and ends with a parenthesis.
        last = read(f"/proc/{running.pid}/stat").rpartition(")")[2].split()[39 - 3]
        return allowed, last
    finally:
        running.communicate("", timeout=20)


@claim
def workers_run_where_the_map_says():
    mcreboot()
    everywhere, _ = worker_of("mcexec")
    assert everywhere not in ("0", "1"), everywhere
    for map_text, servers in (("2:1+3:0", "10"), ("2-3:1", "11")):
        check("ihkosctl", "0", "shutdown")
        check("ihkosctl", "0", "set", "ikc_map", map_text)
        check("ihkosctl", "0", "boot")
        for core, server in enumerate(servers):
            # taskset runs on the co-kernel, too: it binds itself to the core and executes the program there.
            place = worker_of("mcexec", "0", "taskset", "-c", str(core))
            assert place == (server, server), (map_text, core, place)
        # Who was told where to be stays there.
        other = "0" if servers[0] == "1" else "1"
        assert worker_of("taskset", "-c", other, "mcexec", "0", "taskset", "-c", "0") == (other, other)
        rings_linux()
    check("mcstop", "-f")


@claim
def servers_of_call_queues_run_wherever_the_map_says():
    mcreboot()
    check("ihkosctl", "0", "shutdown")
    check("ihkosctl", "0", "set", "ikc_map", "2:1+3:0")
    check("ihkosctl", "0", "boot")
    running = start("mcexec", "taskset", "-c", "0", program("webserver"), "0", "1", cwd="/root")
    try:
        port = int(running.stdout.readline().split()[1])
        tasks = [read(f"{task.path}/status") for task in os.scandir(f"/proc/{running.pid}/task")]
        places = [re.search(r"Cpus_allowed_list:\s*(\S+)", task)[1] for task in tasks]
        # Workers have one place each; who serves a queue may go to both, and no further.
        assert "1" in places and "0-1" in places, places
        with socket.create_connection(("127.0.0.1", port), timeout=20) as visitor:
            visitor.sendall(b"GET /missing HTTP/1.0\r\n\r\n")
            assert b" 404 " in visitor.recv(100)
        assert running.wait(timeout=20) == 0
    finally:
        running.kill()
        running.communicate()
    check("mcstop", "-f")


@claim
def programs_see_the_processors_of_the_latest_boot():
    mcreboot()
    seen = ("mcexec", "cat", "/sys/devices/system/cpu/online", "/sys/devices/system/node/node0/meminfo")
    tree = "/run/ihk/os0/sys/devices/system/cpu/online"
    before = check(*seen)
    assert before.split()[0] == "0-1" and before.split()[-2] == str(512 << 10), before
    written = os.stat(tree).st_mtime_ns
    check("ihkosctl", "0", "shutdown")
    check("ihkosctl", "0", "boot")
    # The same tree, not one that was written again.
    assert check(*seen) == before and os.stat(tree).st_mtime_ns == written
    check("ihkosctl", "0", "shutdown")
    check("ihkosctl", "0", "release", "cpu", "3")
    check("ihkosctl", "0", "release", "mem", "128M@0")
    check("ihkosctl", "0", "boot")
    after = check(*seen)
    assert after.split()[0] == "0" and after.split()[-2] == str(384 << 10), after
    check("mcstop", "-f")
    assert not os.path.exists("/run/ihk/os0")


@claim
def many_steering_at_once_leave_nothing_behind():
    check("mcstop", "-f")
    before_kib = available_kib()
    check("modprobe", "mcctrl")
    loops = [
        "ihkconfig 0 reserve cpu 2; ihkconfig 0 release cpu 2",
        "ihkconfig 0 reserve cpu 2-3; ihkconfig 0 release cpu 2-3",
        "ihkconfig 0 reserve mem 64M@0; ihkconfig 0 release mem 64M@0",
        "ihkconfig 0 create; ihkosctl 0 assign cpu all; ihkosctl 0 assign mem all; ihkosctl 0 load; ihkosctl 0 boot",
        "ihkosctl 0 get status; ihkosctl 0 kmsg; ihkosctl 0 shutdown; ihkconfig 0 destroy 0 --force",
    ]
    script = "for i in $(seq 15); do {}; done >/dev/null 2>&1"
    running = [subprocess.Popen(["bash", "-c", script.format(loop)]) for loop in loops]
    for process in running:
        process.wait(timeout=120)
    for number in re.findall(r"\d+", check("ihkconfig", "0", "get", "os_instances")):
        check("ihkconfig", "0", "destroy", number)
    run("ihkconfig", "0", "release", "cpu", "all")
    run("ihkconfig", "0", "release", "mem", "all")
    check("rmmod", "mcctrl", "ihk")
    assert online_cpus() == "0-3", online_cpus()
    memory_is_back(before_kib)


def start_clean():
    if status() != "RUNNING":
        run("mcstop", "-f")


run_all(start_clean)
