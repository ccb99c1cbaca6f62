#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about giving back: after mcstop Linux has every core and every byte, twenty times in a row."""

import os

from scene import (CPUS, MEMORY, available_kib, check, claim, hello_works, idle_usage, is_one_clear_line, loaded_modules,
                   memory_is_back, mcreboot, nothing_is_left_of, online_cpus, program, run, run_all, start, status, usage, wait_until)

CYCLES = 20


def cores_run_tasks():
    assert online_cpus() == "0-3", online_cpus()
    for cpu in range(os.cpu_count()):
        place = check("taskset", "-c", str(cpu), "awk", '{print $39}', "/proc/self/stat").strip()
        assert place == str(cpu), (cpu, place)


before_kib = available_kib()


@claim
def reserved_cores_and_memory_leave_linux():
    mcreboot()
    assert online_cpus() == "0-1", online_cpus()
    gone_kib = before_kib - available_kib()
    assert gone_kib > 480 * 1024, f"only {gone_kib} kB left Linux"
    refused = run("sh", "-c", "echo 1 >/sys/devices/system/cpu/cpu2/online")
    assert refused.returncode != 0 and online_cpus() == "0-1", online_cpus()


@claim
def mcreboot_with_the_same_arguments_changes_nothing():
    mcreboot()
    buildid, mark = check("ihkosctl", "0", "get", "buildid"), check("ihkosctl", "0", "kmsg")
    mcreboot()
    assert status() == "RUNNING" and check("ihkosctl", "0", "get", "buildid") == buildid
    assert check("ihkosctl", "0", "kmsg").startswith(mark), "booted again"


@claim
def mcreboot_with_other_arguments_rebuilds():
    mcreboot()
    check("mcreboot", "-c", "3", "-m", "256M@0")
    assert check("ihkosctl", "0", "query", "cpu") == "3\n" and check("ihkosctl", "0", "query", "mem") == "256M@0\n"
    assert online_cpus() == "0-2", online_cpus()
    hello_works()


@claim
def mcreboot_dry_run_changes_nothing():
    check("mcstop")
    check("mcreboot", "-c", CPUS, "-m", MEMORY, "--dry-run")
    assert online_cpus() == "0-3" and not os.path.exists("/dev/mcos0")


@claim
def mcreboot_and_mcstop_are_refused_while_a_program_runs():
    mcreboot()
    computing = start("mcexec", program("compute"))
    wait_until(lambda: usage()["processes"] == 1, "the program is there")
    for command in (["mcreboot", "-c", "3", "-m", "256M@0"], ["mcstop"]):
        result = run(*command)
        assert result.returncode == 1 and is_one_clear_line(command[0], result.stderr), result
    assert status() == "RUNNING" and usage()["processes"] == 1, usage()
    check("mcstop", "-f")
    _, error = computing.communicate(timeout=10)
    assert computing.returncode != 0 and is_one_clear_line("mcexec", error), (computing.returncode, error)
    assert online_cpus() == "0-3", online_cpus()


@claim
def stopping_twice_is_no_error():
    check("mcstop")
    check("mcstop")
    assert loaded_modules() == [], loaded_modules()


@claim
def twenty_cycles_give_every_core_and_byte_back():
    for _ in range(CYCLES):
        mcreboot()
        before = idle_usage()
        hello_works()
        assert check("mcexec", "/bin/ls", "/usr/lib/ihk") == "cokernel.elf\n"
        nothing_is_left_of(before)
        check("mcstop")
        assert online_cpus() == "0-3", online_cpus()
    cores_run_tasks()
    memory_is_back(before_kib)


@claim
def cores_go_back_online_and_run_tasks():
    mcreboot()
    check("mcstop")
    cores_run_tasks()


@claim
def memory_goes_back_to_linux():
    mcreboot()
    check("mcexec", "/usr/bin/python3", "-c", "x = bytearray(100 << 20)")
    check("mcstop")
    memory_is_back(before_kib)


run_all()
