#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about memory as a whole: what random calls do to it, and what is left behind.

Argument `long`: the claims that take minutes.
"""

import os
import random
import signal
import subprocess
import time

from scene import (check, claim, hello_works, idle_usage, kmsg, long, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, start, status,
                   usage, wait_until)

# Frames of stacks and tables that many threads and processes leave for the next ones.
OWN_TABLES = 512


def agrees(seed, operations, *launcher):
    result = run(*launcher, program("mappings"), str(seed), str(operations), timeout=1500)
    assert result.returncode == 0, f"{' '.join(launcher)} {result}"


@claim
def random_mappings_agree_with_the_model():
    agrees(7, 10000)
    before = idle_usage()
    for seed in (1, 2):
        agrees(seed, 15000, "mcexec")
    nothing_is_left_of(before)


@long("a million operations")
def a_million_random_mappings_agree_with_the_model():
    before = idle_usage()
    for seed in range(100, 105):
        agrees(seed, 200000, "mcexec")
        nothing_is_left_of(before)


# Maps 64 MiB after pauses and without: the shortest time of each. What was cleared ahead lasts for two rounds.
MAPPING_TIMES = """
import mmap, time
def took(pause):
    time.sleep(pause)
    began = time.perf_counter()
    memory = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    took = time.perf_counter() - began
    memory.close()
    return took
print(min(took(0.5) for _ in range(6)), min([took(0) for _ in range(12)][4:]))
"""


@claim
def memory_is_cleared_in_pauses():
    result = run("mcexec", "/usr/bin/python3", "-c", MAPPING_TIMES)
    assert result.returncode == 0, result
    rested, breathless = map(float, result.stdout.split())
    print(f"64 MiB mapped in {rested * 1e3:.2f} ms after a pause, in {breathless * 1e3:.2f} ms without one", flush=True)
    assert rested < breathless / 3, (rested, breathless)


def killed_for_memory():
    return kmsg().count("out of memory: process")


def only(count):
    """The memory of a process that was killed comes back behind its end, and the next one needs it to start."""
    wait_until(lambda: usage()["processes"] == count, f"{count} processes")


def last_words(eater):
    """What an eater and its children wrote; whoever of them is left is killed."""
    eater.wait(timeout=200)
    try:
        os.killpg(eater.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return eater.communicate(timeout=60)


def eat(*what):
    """Eaters of these kinds at once; what each wrote before its end."""
    eaters = [start("mcexec", program("eater"), kind, start_new_session=True) for kind in what]
    said = [last_words(eater) for eater in eaters]
    assert status() == "RUNNING", (what, said, kmsg()[-2000:])
    assert all(eater.returncode == -9 for eater in eaters), (what, said, [eater.returncode for eater in eaters])
    return [out for out, _ in said]


def one_of_the_mix(dice):
    """A program that maps, forks, reads files or starts others; all of them end with status 0."""
    argv = dice.choice([
        [program("mappings"), str(dice.randrange(1 << 32)), str(dice.randrange(500, 4000))],
        ["/bin/bash", "-c", "for i in 1 2 3 4; do ls -lR /etc | sort | cksum; done"],
        ["/usr/bin/python3", "-c", f"print(len([bytes({dice.randrange(1, 40)} * 1000) for _ in range(400)]))"],
        [program("memory"), "large_remapping_moves_whole_regions"],
        [program("areas"), "tiny_mappings_can_be_made_until_the_limit"],
    ])
    return start("mcexec", *argv)


def mix(seconds, seed):
    """Six programs at a time, drawn from `seed`, for so long; all have ended afterwards."""
    dice = random.Random(seed)
    end = time.monotonic() + seconds
    running, done = [], 0
    while running or time.monotonic() < end:
        while len(running) < 6 and time.monotonic() < end:
            running.append(one_of_the_mix(dice))
        process = running.pop(dice.randrange(len(running)))
        said = process.communicate(timeout=400)
        assert process.returncode == 0, (seed, process.args, process.returncode, said)
        done += 1
    print(f"mix of seed {seed}: {done} programs", flush=True)


def blocks_come_back_after(seconds, seed):
    """Of the blocks of 2 MiB that were free before a mix, as many as large pages show, all but 10 % are free again."""
    before = int(eat("huge")[0])
    assert before > 200, before
    mix(seconds, seed)
    only(0)
    after = int(eat("huge")[0])
    print(f"large pages: {before} before the mix, {after} after it", flush=True)
    assert after >= 0.9 * before, (before, after)


@claim
def large_pages_are_whole_again_after_a_mix():
    blocks_come_back_after(20, 1)


@long("ten minutes of programs")
def large_pages_are_whole_again_after_ten_minutes():
    blocks_come_back_after(600, 2)


@claim
def fork_copies_only_what_is_written():
    before = idle_usage()["frames_free"]
    family = start("mcexec", program("eater"), "sharing", start_new_session=True)
    assert family.stdout.readline() == "shared\n"
    time.sleep(0.5)
    taken = before - usage()["frames_free"]
    os.killpg(family.pid, signal.SIGKILL)
    family.communicate(timeout=60)
    # 64 MiB, and what two processes have beside it: text, stacks, tables, ten copied pages.
    assert 16384 < taken < 16384 + 3000, taken


@claim
def out_of_memory_ends_the_process_that_has_most():
    before = idle_usage()
    bystander = start("mcexec", "/bin/sh", "-c", "while read -r line; do echo $line; done", stdin=subprocess.PIPE)
    for kind in ("pages", "calls", "tables"):
        killed = killed_for_memory()
        assert eat(kind) == [""], kind
        assert killed_for_memory() == killed + 1, kmsg()[-2000:]
        only(1)
    out, _ = bystander.communicate("still there\n", timeout=60)
    assert (out, bystander.returncode) == ("still there\n", 0), (out, bystander.returncode)
    nothing_is_left_of(before)


@claim
def several_may_ask_for_all_memory_at_once():
    before = idle_usage()
    assert eat("pages", "pages", "calls") == [""] * 3
    assert killed_for_memory() >= 3
    only(0)
    assert eat("copies")[0] in ("", "9\n")
    nothing_is_left_of(before)


@claim
def what_linux_has_pinned_is_kept_from_the_next_instance():
    total = idle_usage()["frames_total"]
    filler = start("mcexec", program("eater"), "pipe")
    assert filler.stderr.readline() == "filled\n"
    check("ihkosctl", "0", "shutdown", "--force")
    filler.wait(timeout=60)
    check("ihkosctl", "0", "boot")
    held = total - usage()["frames_total"]
    assert held > 0 and held % 512 == 0, held
    # The next instance's programs write all memory there is.
    assert eat("pages") == [""]
    text = filler.stdout.read()
    assert text == "x" * 65536, (len(text), text.strip("x")[:20])
    only(0)
    check("ihkosctl", "0", "shutdown")
    check("ihkosctl", "0", "boot")
    assert idle_usage()["frames_total"] == total


@claim
def the_kernels_own_memory_can_run_short():
    before = idle_usage()
    for kind in ("stacks", "areas", "processes", "processes-with-areas"):
        eat(kind)
        only(0)
        hello_works()
    now = idle_usage()
    assert now["frames_free"] > before["frames_free"] - OWN_TABLES and now["frames_pinned"] == 0, (before, now)


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
