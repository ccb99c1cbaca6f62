#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about NUMA nodes, natively and then under mcexec, on a machine with two nodes that both give memory."""

import os

import subprocess

import scene
from scene import (claim, claims_of, hello_works, idle_usage, kmsg, make_healthy, mcreboot, nothing_is_left_of, program, query_usage, run,
                   run_all, start)

scene.MEMORY = "256M@0,256M@1"
PAGE = 4096
HELD = 64 << 20
OTHERS = 8 << 20


def checked_both_ways(name):
    def both_ways():
        for launcher in ([], ["mcexec"]):
            result = run(*launcher, program("nodes"), name)
            assert result.returncode == 0, f"{launcher} status {result.returncode}: {result.stdout + result.stderr}"

    return both_ways


claims_of("nodes", checked_both_ways)


@claim
def a_binding_is_strict():
    before = idle_usage()
    hog = start("mcexec", program("eater"), "bound", start_new_session=True)
    out, _ = hog.communicate(timeout=100)
    assert (out, hog.returncode) == ("", -9), (out, hog.returncode)
    last = [line for line in kmsg().splitlines() if "out of memory: process" in line][-1]
    assert int(last.split()[-2]) <= 300, last
    nothing_is_left_of(before)


def nodes_of(usage):
    return {node["node"]: node for node in usage["nodes"]}


def sums_agree(usage):
    total = sum(node["bytes_total"] for node in usage["nodes"])
    free = sum(node["bytes_free"] for node in usage["nodes"])
    large = all(node["bytes_free_large"] <= node["bytes_free"] for node in usage["nodes"])
    return large and total == usage["frames_total"] * PAGE and free + usage["frames_set_aside"] * PAGE == usage["frames_free"] * PAGE


@claim
def each_node_has_figures_of_its_own():
    idle = idle_usage()
    before = query_usage()
    assert sorted(nodes_of(before)) == [0, 1] and sums_agree(before), before
    holder = start("mcexec", program("nodes"), "--hold-on-node-1", stdin=subprocess.PIPE)
    assert holder.stdout.readline() == "held\n"
    during = query_usage()
    assert sums_agree(during), during

    def gone(node, what):
        return nodes_of(before)[node][what] - nodes_of(during)[node][what]

    # A program has its own pages beside what it holds, on the node of its CPU.
    for what in ("bytes_free", "bytes_free_large"):
        assert HELD <= gone(1, what) <= HELD + OTHERS, (what, before, during)
        assert gone(0, what) <= OTHERS, (what, before, during)
    holder.communicate("", timeout=60)
    assert holder.returncode == 0, holder.returncode
    nothing_is_left_of(idle)
    assert sums_agree(query_usage()), query_usage()


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
