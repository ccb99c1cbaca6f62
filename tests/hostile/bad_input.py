#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the rows of bad_input.txt in their states. One line per row: `row ok`, or `row FAILED` and how.

Arguments: the table, and optionally a word that rows must contain.
"""

import os
import re
import shlex
import subprocess
import sys

from scene import OWN_FRAMES, check, is_one_clear_line, loaded_modules, mcreboot, online_cpus, program, run, start, usage, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


def unloaded():
    run("mcstop", "-f")


def created():
    check("modprobe", "mcctrl")
    check("ihkconfig", "0", "reserve", "cpu", "3")
    check("ihkconfig", "0", "reserve", "mem", "64M@0")
    check("ihkconfig", "0", "create")


def with_cpu():
    created()
    check("ihkosctl", "0", "assign", "cpu", "3")


def with_memory():
    created()
    check("ihkosctl", "0", "assign", "mem", "64M@0")
    check("ihkosctl", "0", "load")


def without_image():
    with_cpu()
    check("ihkosctl", "0", "assign", "mem", "64M@0")


def running():
    mcreboot()
    # The program outlives this function and ends with the machine or by mcstop -f.
    computing = start("mcexec", program("compute"))
    # All that it will ever touch is there when it has said this.
    assert computing.stdout.readline() == "for ever\n" and usage()["processes"] == 1, usage()


STATES = {
    "unloaded": unloaded,
    "reserved": created,
    "cpu only": with_cpu,
    "memory only": with_memory,
    "no image": without_image,
    "booted": mcreboot,
    "running": running,
}


def snapshot():
    """All that the tools say of the machine, and what Linux says."""
    said = [online_cpus(), loaded_modules()]
    if not os.path.exists("/dev/mcd0"):
        return said
    for query in ("query cpu", "query mem", "get os_instances"):
        said.append(check("ihkconfig", "0", *query.split()))
    if os.path.exists("/dev/mcos0"):
        for query in ("query cpu", "query mem", "get status", "query usage --json"):
            result = run("ihkosctl", "0", *query.split())
            said.append((query, result.returncode, result.stdout.split('"interrupts"')[0]))
    return said


def same(before, after):
    """Whether two snapshots are equal but for the co-kernel's own tables, which may have grown."""
    frames = [re.findall(r'"frames_free":(\d+)', str(state)) for state in (before, after)]
    lost = int(frames[0][0]) - int(frames[1][0]) if all(frames) else 0
    plain = [re.sub(r'"frames_free":\d+', "", str(state)) for state in (before, after)]
    return plain[0] == plain[1] and lost <= OWN_FRAMES


def settled_snapshot(expected):
    """The state as it is, given a moment to become the expected one: programs end behind their proxies."""
    try:
        wait_until(lambda: same(expected, snapshot()), "state as before", limit_s=5)
    except AssertionError:
        pass
    return snapshot()


def fault_of(statuses, command):
    """What is wrong with how a row was refused; nothing if nothing is."""
    argv = shlex.split(command)
    before = snapshot()
    try:
        result = run(*argv, timeout=30)
    except subprocess.TimeoutExpired:
        return "does not end"
    if str(result.returncode) not in statuses.split("|"):
        return f"status {result.returncode}: {result.stderr.strip()[-200:]!r}"
    if not is_one_clear_line(argv[0], result.stderr):
        return f"stderr is not one clear line: {result.stderr!r}"
    if result.stdout:
        return f"prints {result.stdout!r}"
    after = settled_snapshot(before)
    return None if same(before, after) else f"changed {before} to {after}"


def enter(name):
    """Makes a state, from scratch."""
    run("mcstop", "-f")
    STATES[name]()


def main():
    table, word = sys.argv[1], (sys.argv[2:] or [""])[0]
    subprocess.run(["python3", f"{HERE}/hostile.py", "hostile"], check=True)
    with open(table, encoding="utf-8") as file:
        lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    state = ""
    for line in lines:
        if line.startswith("["):
            state = line.strip("[]")
            enter(state)
        elif word in line:
            statuses, command = line.split(": ", 1)
            fault = fault_of(statuses, command)
            print(f"row FAILED [{state}] {command}\n    {fault}" if fault else f"row ok [{state}] {command}", flush=True)
            if fault and fault.startswith(("changed", "does not end")):
                enter(state)


main()
