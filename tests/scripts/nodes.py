#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about NUMA nodes, natively and then under mcexec, on a machine with two nodes that both give memory."""

import os

import scene
from scene import claim, hello_works, idle_usage, kmsg, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, start

scene.MEMORY = "256M@0,256M@1"


def checked_both_ways(name):
    def both_ways():
        for launcher in ([], ["mcexec"]):
            result = run(*launcher, program("nodes"), name)
            assert result.returncode == 0, f"{launcher} status {result.returncode}: {result.stdout + result.stderr}"

    both_ways.__name__ = name
    return both_ways


for line in run(program("nodes")).stdout.split():
    claim(checked_both_ways(line))


@claim
def a_binding_is_strict():
    before = idle_usage()
    hog = start("mcexec", program("eater"), "bound", start_new_session=True)
    out, _ = hog.communicate(timeout=100)
    assert (out, hog.returncode) == ("", -9), (out, hog.returncode)
    last = [line for line in kmsg().splitlines() if "out of memory: process" in line][-1]
    assert int(last.split()[-2]) <= 300, last
    nothing_is_left_of(before)


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
