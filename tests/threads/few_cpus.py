#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about a Linux with few CPUs: nobody burns CPU time for nothing, and, with the argument `long`, which wants a host
that does nothing else, many threads are served as fast as one.
"""

import os
import subprocess
import time

from scene import check, claim, long, mcreboot, program, run_all, start, status

CALLS = 20000
# Time that the mcexec of a program that asks nothing may use in a second.
QUIET_NS = 2_000_000
# A host that takes CPUs away for a moment spoils a measurement; it does not do so every time.
TRIES = 3


def rate(threads):
    """Delegated calls per second of all threads, whose workers share one CPU of Linux."""
    command = ("taskset", "-c", "0", "mcexec", program("calls"), "rate", str(threads), str(CALLS // threads))
    return float(check(*command))


def cpu_time_ns(pid):
    """CPU time of all threads of a process."""
    times = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat") as file:
            times.append(int(file.read().split()[0]))
    return sum(times)


def used_in_a_second(mode):
    """CPU time of Linux that mcexec uses while its program, which has made many calls, asks nothing for a second."""
    running = start("mcexec", program("calls"), mode, str(CALLS), stdin=subprocess.PIPE)
    try:
        assert running.stdout.readline() == "done\n"
        # The answer to the last write, and the look after it, are not meant.
        time.sleep(0.05)
        before = cpu_time_ns(running.pid)
        time.sleep(1)
        used = cpu_time_ns(running.pid) - before
        assert running.poll() is None, "it ended too early to mean anything"
        return used
    finally:
        running.kill()
        running.communicate(timeout=20)


@long("measures time, and wants a host that does nothing else")
def eight_threads_on_one_linux_cpu_are_served_like_one():
    ratios = []
    for _ in range(TRIES):
        ratios.append(rate(8) / rate(1))
        if ratios[-1] >= 0.7:
            return
    assert False, ratios


@claim
def computing_programs_use_no_time_of_linux():
    used = used_in_a_second("compute")
    assert used < QUIET_NS, used


@claim
def blocked_calls_use_no_time_of_linux():
    used = used_in_a_second("block")
    assert used < QUIET_NS, used


def prepare():
    if status() != "RUNNING":
        mcreboot()


run_all(prepare)
