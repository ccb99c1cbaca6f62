#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the stressors of stress-ng.txt, natively and under mcexec: both must pass, or be skipped, or fail, alike.

Arguments: `quick` for the short selection, names of stressors, or nothing for all.
"""

import os
import re
import subprocess
import sys
import time

import scene
from scene import hello_works, idle_usage, make_healthy, mcreboot, nothing_is_left_of, status

scene.MEMORY = "256M@0,256M@1"
TIME_S, LIMIT_S = 5, 90
# Frames of the co-kernel's own that stay.
CACHED = 64
OUTCOMES = {0: "passed", 3: "no resources", 4: "not implemented", 2: "failed"}


def rows():
    with open("/root/stress-ng.txt") as file:
        lines = [line.split("#")[0].split() for line in file]
    wanted = sys.argv[1:]
    for name, ops, *kind in filter(None, lines):
        if not wanted or name in wanted or wanted == ["quick"] and kind == ["quick"]:
            yield name, ops


def outcome(launcher, name, ops):
    command = [*launcher, "stress-ng", f"--{name}", "1", f"--{name}-ops", ops, "-t", str(TIME_S), "--verify", "--oom-avoid",
               "--no-rand-seed", "--temp-path", "/root/stress"]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace", timeout=LIMIT_S, start_new_session=True)
    except subprocess.TimeoutExpired as error:
        subprocess.run(["pkill", "-9", "stress-ng"])
        return "hangs", str(error.stdout)[-300:]
    # stress-ng passes over what it cannot do here, with status 0.
    skipped = re.search(r"skipped: [1-9]", result.stdout)
    known = OUTCOMES.get(result.returncode, f"status {result.returncode}")
    return "no resources" if skipped else known, result.stdout[-600:]


os.makedirs("/root/stress", exist_ok=True)
os.chdir("/root/stress")
mcreboot()
before, bad = idle_usage(), 0
for name, ops in rows():
    make_healthy()
    started = time.monotonic()
    native, _ = outcome([], name, ops)
    middle = time.monotonic()
    ours, said = outcome(["mcexec"], name, ops)
    times = f"natively {middle - started:.1f} s, under mcexec {time.monotonic() - middle:.1f} s"
    # A row that stress-ng does not know would pass for ever.
    if native == ours and native in OUTCOMES.values() and status() == "RUNNING":
        print(f"row ok [] {name} {ours}: {times}", flush=True)
    else:
        bad += 1
        print(f"row FAILED [] {name} natively {native}, under mcexec {ours}: {times}\n{status()} " + said.replace("\n", " | "), flush=True)
make_healthy()
hello_works()
if not bad:
    # Stacks, tables and queues of the co-kernel stay for the next program; they do not grow with every program.
    after = idle_usage()
    assert before["frames_free"] - after["frames_free"] <= CACHED, (before, after)
    for name, ops in [("sigq", "200"), ("fork", "50"), ("pthread", "100")]:
        assert outcome(["mcexec"], name, ops)[0] == "passed", name
    nothing_is_left_of(after)
