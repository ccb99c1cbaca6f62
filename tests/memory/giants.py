#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about pages of 1 GiB, on a machine of 5 GiB of which Linux gives half."""

import os
import re
import signal
import time

import scene
from scene import check, claim, claims_of, hello_works, idle_usage, kmsg, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, start

scene.MEMORY = "2560M@0"


def under_mcexec(name):
    def checked():
        before = idle_usage()
        result = run("mcexec", program("giants"), name)
        assert result.returncode == 0, f"status {result.returncode}: {result.stdout + result.stderr}"
        nothing_is_left_of(before)

    return checked


def free_giants():
    return int(check("mcexec", program("giants"), "count"))


def told_giants():
    return int(re.findall(r"(\d+) times 1 GiB in one piece", kmsg())[-1])


@claim
def linux_hands_over_whole_gibs():
    """Of two and a half GiB one at least: what Linux has in it has to move out of the way."""
    print(f"{told_giants()} times 1 GiB", flush=True)
    assert told_giants() >= 1
    assert free_giants() == told_giants()


claims_of("giants", under_mcexec)


@claim
def kills_bring_giant_pages_back():
    before, giants = idle_usage(), free_giants()
    for delay_s in (0, 0.05, 0.1, 0.2, None):
        holder = start("mcexec", program("giants"), "hold")
        if delay_s is None:
            assert holder.stdout.readline() == "held\n"
        else:
            time.sleep(delay_s)
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=60)
        nothing_is_left_of(before)
    assert free_giants() == giants


@claim
def small_programs_leave_giant_pages_whole():
    giants = free_giants()
    bystander = start("mcexec", "/bin/sleep", "60")
    for _ in range(5):
        hello_works()
        check("mcexec", "/bin/bash", "-c", "ls -lR /etc | sort | cksum")
    assert free_giants() == giants
    bystander.kill()
    bystander.communicate()


@claim
def instances_get_whole_gibs_first():
    """Of what is reserved an instance that wants 1 GiB and a bit gets the bit from elsewhere."""
    check("mcstop", "--keep-modules")
    check("ihkconfig", "0", "reserve", "cpu", scene.CPUS)
    check("ihkconfig", "0", "reserve", "mem", scene.MEMORY)
    check("ihkconfig", "0", "create")
    for order in ("assign cpu all", "assign mem 1088M@0", "load", "boot"):
        check("ihkosctl", "0", *order.split())
    assert told_giants() == 1, kmsg()
    result = run("mcexec", program("giants"), "huge_pages_are_giant_if_asked_for")
    assert result.returncode == 0, result
    check("ihkosctl", "0", "shutdown")
    check("ihkconfig", "0", "destroy", "0")
    check("ihkconfig", "0", "release", "mem", "all")
    check("ihkconfig", "0", "release", "cpu", "all")
    mcreboot()
    assert told_giants() >= 1


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
