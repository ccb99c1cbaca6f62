#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims that take long: programs come and go in any order for minutes, and nothing wears out.

Argument: `long`.
"""

import os
import random
import signal
import time

from scene import (check, hello_works, idle_usage, long, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, start,
                   status)

STORM_S = 150
AT_ONCE = 6
CYCLES = 60
PROGRAMS = [
    [program("compute")],
    [program("wait"), "call"],
    [program("wait"), "futex"],
    [program("wait"), "timer"],
    [program("hog")],
    [program("greet_static")],
    [program("uring"), "registered_buffers_read_and_write"],
    [program("files"), "large_reads_fill_fresh_memory"],
    [program("memory"), "memory_that_linux_has_seen_is_zero_when_mapped_again"],
    ["/usr/bin/python3", "-c", "import json, hashlib; print(1)"],
    ["/bin/dd", "if=/dev/zero", "of=/root/storm", "bs=1M", "count=30", "oflag=direct"],
    ["/bin/ls", "-lR", "/usr/share/doc"],
]
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGSTOP, signal.SIGCONT]


def launch(dice):
    process = start("mcexec", *dice.choice(PROGRAMS))
    # Nobody reads what it writes: a program that fills the pipe waits in its call.
    return process


def names(processes):
    return [" ".join(process.args[1:])[-60:] for process in processes]


def end(process):
    process.kill()
    process.communicate(timeout=20)


@long("minutes of random programs and signals")
def storm_of_programs_and_signals_leaves_nothing_behind():
    before = idle_usage()
    seed = int(os.environ.get("STORM_SEED", "1"))
    dice = random.Random(seed)
    live, deadline, started = [], time.monotonic() + STORM_S, 0
    while time.monotonic() < deadline:
        if len(live) < AT_ONCE:
            live.append(launch(dice))
            started += 1
        time.sleep(dice.expovariate(20))
        victim = dice.choice(live)
        victim.send_signal(dice.choice(SIGNALS))
        if victim.poll() is not None or dice.random() < 0.3:
            end(victim)
            live.remove(victim)
        assert status() == "RUNNING", f"{status()} after {started} programs, seed {seed}: {names(live)}"
    for process in live:
        end(process)
    assert started > 100, started
    hello_works()
    nothing_is_left_of(before)


@long("sixty boots of the co-kernel")
def sixty_cycles_wear_nothing_out():
    for _ in range(CYCLES):
        check("mcstop")
        mcreboot()
        hello_works()
    assert run("mcexec", "/bin/true").returncode == 0


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
