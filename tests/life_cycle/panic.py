#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about a co-kernel that panics or hangs: Linux goes on, the report can be read, a restart heals everything."""

import os
import re
import time

from scene import (CPUS, MEMORY, check, claim, hello_works, is_one_clear_line, kmsg, mcreboot, online_cpus, program, run, run_all,
                   start, status, wait_until)


def ends_with_a_clear_error(process):
    _, error = process.communicate(timeout=15)
    assert process.returncode not in (0, None), process.returncode
    assert is_one_clear_line("mcexec", error), error


def report_is_readable():
    text = kmsg()
    assert re.search("panic", text, re.IGNORECASE), text[-500:]
    assert len(text.splitlines()) >= 3, text


def restart_heals():
    check("mcstop", "-f")
    assert online_cpus() == "0-3", online_cpus()
    mcreboot()
    hello_works()


def fails_with(karg, expected, *argv):
    mcreboot("-k", karg)
    process = start("mcexec", *argv)
    wait_until(lambda: status() == expected, f"status {expected}, is {status()}", limit_s=20)
    ends_with_a_clear_error(process)
    late = run("mcexec", program("greet_static"))
    assert late.returncode != 0 and is_one_clear_line("mcexec", late.stderr), late


@claim
def panic_during_boot_is_reported_and_leaves_everything_usable():
    check("modprobe", "mcctrl")
    check("ihkconfig", "0", "reserve", "cpu", CPUS)
    check("ihkconfig", "0", "reserve", "mem", MEMORY)
    check("ihkconfig", "0", "create")
    check("ihkosctl", "0", "assign", "cpu", "all")
    check("ihkosctl", "0", "assign", "mem", "all")
    check("ihkosctl", "0", "load")
    check("ihkosctl", "0", "kargs", "test_panic=boot")
    began = time.monotonic()
    boot = run("ihkosctl", "0", "boot")
    assert boot.returncode == 1 and is_one_clear_line("ihkosctl", boot.stderr), boot
    assert time.monotonic() - began < 12, "boot took too long to fail"
    assert status() == "PANIC", status()
    report_is_readable()
    restart_heals()


@claim
def mcreboot_with_a_panicking_cokernel_fails_and_rolls_back():
    check("mcstop")
    result = run("mcreboot", "-c", CPUS, "-m", MEMORY, "-k", "test_panic=boot")
    assert result.returncode == 1 and is_one_clear_line("mcreboot", result.stderr), result
    assert online_cpus() == "0-3", online_cpus()
    restart_heals()


@claim
def panic_in_a_syscall_ends_the_program_with_a_clear_error():
    fails_with("test_panic=syscall", "PANIC", program("wait"), "timer")
    report_is_readable()
    restart_heals()


@claim
def panic_in_the_timer_ends_the_program_with_a_clear_error():
    fails_with("test_panic=timer", "PANIC", program("wait"), "timer")
    report_is_readable()
    restart_heals()


@claim
def panic_in_an_nmi_ends_the_program_with_a_clear_error():
    fails_with("test_panic=nmi", "PANIC", program("wait"), "timer")
    report_is_readable()
    restart_heals()


@claim
def hang_in_a_syscall_is_noticed_and_ends_the_program_with_a_clear_error():
    fails_with("test_hang=syscall", "HUNGUP", program("wait"), "timer")
    restart_heals()


@claim
def hang_while_linux_takes_pages_back_does_not_hold_linux_up():
    path = "/dev/shm/hang"
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    mcreboot("-k", "test_hang=mirror")
    script = ("import mmap, time; f = open('/dev/shm/hang', 'r+b'); m = mmap.mmap(f.fileno(), 0); m[0] = 1; m[5000] = 2; "
              "print('ready', flush=True); time.sleep(60)")
    process = start("mcexec", "/usr/bin/python3", "-c", script)
    assert process.stdout.readline() == "ready\n"
    began = time.monotonic()
    os.truncate(path, 4096)
    assert time.monotonic() - began < 10, "truncating waited for a dead co-kernel"
    wait_until(lambda: status() == "HUNGUP", f"status HUNGUP, is {status()}", limit_s=20)
    ends_with_a_clear_error(process)
    with open(path, "rb") as file:
        assert file.read() == b"\1" + bytes(4095)
    os.unlink(path)
    restart_heals()


@claim
def unknown_boot_arguments_are_refused():
    check("mcstop")
    result = run("mcreboot", "-c", CPUS, "-m", MEMORY, "-k", "no_such_argument=1")
    assert result.returncode == 1 and is_one_clear_line("mcreboot", result.stderr), result
    restart_heals()


def start_clean():
    run("mcstop", "-f")


run_all(start_clean)
