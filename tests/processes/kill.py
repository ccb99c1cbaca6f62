#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about killed programs: nothing of them is left, and the next one runs at once."""

import os
import random
import signal
import time

from scene import (claim, hello_works, idle_usage, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, start,
                   status, usage, wait_until)


def ready(process):
    """Waits for the program's first line."""
    line = process.stdout.readline()
    assert line.startswith("ready "), f"{line!r} {process.stderr.read() if not line else ''}"


def kill_and_check(process, before, signal_number=signal.SIGKILL):
    process.send_signal(signal_number)
    _, error = process.communicate(timeout=10)
    assert process.returncode == -signal_number, (process.returncode, error)
    hello_works(limit_s=10)
    nothing_is_left_of(before)
    assert status() == "RUNNING", status()


@claim
def killed_while_computing_leaves_nothing_behind():
    before = idle_usage()
    for _ in range(3):
        process = start("mcexec", program("compute"))
        wait_until(lambda: usage()["processes"] == before["processes"] + 1, "the program is there")
        time.sleep(0.2)
        kill_and_check(process, before)


@claim
def killed_in_a_delegated_call_leaves_nothing_behind():
    before = idle_usage()
    for _ in range(3):
        process = start("mcexec", program("wait"), "call")
        ready(process)
        time.sleep(0.05)
        kill_and_check(process, before)


@claim
def killed_while_waiting_in_the_cokernel_leaves_nothing_behind():
    before = idle_usage()
    for how in ("futex", "timer"):
        process = start("mcexec", program("wait"), how)
        ready(process)
        time.sleep(0.05)
        kill_and_check(process, before)


@claim
def killed_at_twenty_moments_of_loading_leaves_nothing_behind():
    before = idle_usage()
    moments = random.Random(1)
    for _ in range(20):
        process = start("mcexec", "/usr/bin/python3", "-c", "print('never ends'); import time; time.sleep(1000)")
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        process.communicate(timeout=10)
        assert process.returncode == -signal.SIGKILL, process.returncode
    hello_works(limit_s=10)
    nothing_is_left_of(before)


@claim
def terminated_while_computing_dies_by_sigterm():
    before = idle_usage()
    process = start("mcexec", program("compute"))
    wait_until(lambda: usage()["processes"] == before["processes"] + 1, "the program is there")
    time.sleep(0.2)
    kill_and_check(process, before, signal.SIGTERM)


@claim
def terminated_in_a_delegated_call_dies_by_sigterm():
    before = idle_usage()
    process = start("mcexec", program("wait"), "call")
    ready(process)
    time.sleep(0.1)
    kill_and_check(process, before, signal.SIGTERM)


@claim
def signal_from_outside_runs_the_programs_handler():
    process = start("mcexec", program("wait"), "handler")
    ready(process)
    time.sleep(0.1)
    process.send_signal(signal.SIGUSR1)
    out, error = process.communicate(timeout=10)
    assert (process.returncode, out, error) == (0, f"handled {int(signal.SIGUSR1)}\n", ""), (process.returncode, out, error)


@claim
def eight_killed_at_once_leave_nothing_behind():
    before = idle_usage()
    processes = [start("mcexec", program("wait"), how) for how in ("call", "futex") * 4]
    for process in processes:
        ready(process)
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate(timeout=10)
    hello_works(limit_s=10)
    nothing_is_left_of(before)


def counter_of(process):
    """How to read the counter of a running `counter`, from outside."""
    pid, address = process.stdout.readline().split()
    assert int(pid) == process.pid, (pid, process.pid)

    def read():
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(int(address))
            return int.from_bytes(memory.read(8), "little")

    return read


@claim
def stopped_program_stops_computing_and_goes_on_when_continued():
    before = idle_usage()
    process = start("mcexec", program("counter"))
    counter = counter_of(process)
    first = counter()
    wait_until(lambda: counter() > first, "it counts")
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)
    stopped = counter()
    time.sleep(0.5)
    assert counter() == stopped, "it computes though it was stopped"
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: counter() > stopped, "it counts again")
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    kill_and_check(process, before)


@claim
def killed_reader_of_a_pipe_ends_its_writer():
    result = run("bash", "-c", "mcexec /usr/bin/yes | head -n 3; echo ${PIPESTATUS[0]}")
    assert result.stdout == f"y\ny\ny\n{128 + signal.SIGPIPE}\n", result


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
