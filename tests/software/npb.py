#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""The NAS Parallel Benchmarks: each program of /root/npb (docs/npb.md says how they come there) has to verify its result
under mcexec as it does natively, with as many threads as the co-kernel has cores, and to leave nothing behind.
"""

import os
import re
import time

from scene import claim, idle_usage, mcreboot, nothing_is_left_of, run, run_all, status

FOLDER = "/root/npb"
# The co-kernel's cores in the default machine, and as many of Linux's.
THREADS = "2"
LIMIT_S = 900


def verdict(*command):
    """What a benchmark says of its own result, and how long it ran."""
    began = time.monotonic()
    result = run(*command, timeout=LIMIT_S, env={**os.environ, "OMP_NUM_THREADS": THREADS})
    said = re.search(r"Verification\s*=\s*(\w+)", result.stdout)
    words = said.group(1) if said else f"nothing, status {result.returncode}: {result.stderr.strip()}"
    return words, time.monotonic() - began


@claim
def every_benchmark_verifies():
    names = sorted(os.listdir(FOLDER))
    assert names, FOLDER
    before = idle_usage()
    failed = []
    for name in names:
        path = os.path.join(FOLDER, name)
        native, native_s = verdict(path)
        ours, ours_s = verdict("mcexec", path)
        print(f"{name:6} natively {native} in {native_s:.1f} s, under mcexec {ours} in {ours_s:.1f} s", flush=True)
        if (native, ours) != ("SUCCESSFUL", "SUCCESSFUL"):
            failed.append(name)
    assert not failed, failed
    nothing_is_left_of(before)


def prepare():
    if status() != "RUNNING":
        mcreboot()


run_all(prepare)
