#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Hostile system calls, then a look at what is left. Argument: for how many seconds. FUZZ_SEED gives the first seed."""

import os
import sys

from scene import claim, hello_works, idle_usage, kmsg, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, status

SECONDS = sys.argv[1]
SEED = os.environ.get("FUZZ_SEED", "1")


@claim
def hostile_calls_hurt_only_who_makes_them():
    # The first children make the co-kernel's own tables as large as they get.
    run("mcexec", program("fuzz"), "77", "3")
    before = idle_usage()
    result = run("mcexec", program("fuzz"), SEED, SECONDS, timeout=float(SECONDS) + 60)
    print(f"seed {SEED}: {result.stdout.strip()}", flush=True)
    assert status() == "RUNNING", f"{status()}: {kmsg()[-1500:]}"
    assert result.returncode == 0, result
    assert int(result.stdout.split()[0]) > float(SECONDS), result.stdout
    hello_works()
    nothing_is_left_of(before)


os.makedirs("/root/fuzz", exist_ok=True)
os.chdir("/root/fuzz")
mcreboot()
run_all(make_healthy)
