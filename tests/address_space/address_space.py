#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about where a program's memory lies. The arguments are rows of the table in docs/memory-map.md:
`NAME=FIRST-END,FIRST-END`, natively and on the co-kernel."""

import os
import resource
import sys

from scene import check, claim, hello_works, make_healthy, mcreboot, program, run, run_all

ROUNDS = 12
INFINITE = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
GIB = (1 << 30, 1 << 30)


def table():
    rows = {}
    for argument in sys.argv[1:]:
        name, ranges = argument.split("=")
        rows[name] = [[int(end, 16) for end in part.split("-")] for part in ranges.split(",")]
    return rows


def places(*launcher, **options):
    lines = check(*launcher, program("places"), **options).splitlines()
    return {name: int(address, 16) for name, address in (line.split() for line in lines)}


@claim
def everything_lies_where_the_table_says():
    rows = table()
    assert rows, "no table"
    for column, launcher in enumerate(([], ["mcexec"])):
        for _ in range(ROUNDS):
            found = places(*launcher)
            assert set(found) == set(rows), (found, rows)
            for name, address in found.items():
                first, end = rows[name][column]
                assert first <= address < end, (launcher, name, hex(address))


@claim
def nothing_moves_without_randomness():
    found = [places("setarch", "-R", "mcexec") for _ in range(3)]
    assert found[0] == found[1] == found[2], found
    native = places("setarch", "-R")
    # What does not lie at the end of the address space lies where it lies natively.
    assert found[0]["image"] == native["image"] and found[0]["heap"] == native["heap"], (found[0], native)


@claim
def every_limit_of_stack_and_address_space_leaves_room():
    # Whoever is no member of its group may run programs, too, in this claim.
    os.chmod("/dev/mcos0", 0o666)
    for limit, value in ((resource.RLIMIT_STACK, INFINITE), (resource.RLIMIT_STACK, (1 << 42, 1 << 42)),
                         (resource.RLIMIT_AS, GIB), (resource.RLIMIT_AS, (1 << 30, 1 << 40))):
        def limited(limit=limit, value=value):
            resource.setrlimit(limit, value)

        script = f"import resource, os; print(resource.getrlimit({int(limit)})); os.execv('/bin/sh', ['sh', '-c', 'ulimit -Ss; ulimit -Hv'])"
        for user in ({}, {"user": 65534, "group": 65534}):
            native, ours = (run(*launcher, "/usr/bin/python3", "-c", script, preexec_fn=limited, **user)
                            for launcher in ([], ["mcexec"]))
            assert (ours.returncode, ours.stdout, ours.stderr) == (native.returncode, native.stdout, native.stderr), (native, ours)


@claim
def few_and_many_random_bits_leave_room():
    path = "/proc/sys/vm/mmap_rnd_bits"
    with open(path) as file:
        usual = file.read()
    try:
        for bits in ("28", "32"):
            with open(path, "w") as file:
                file.write(bits)
            for _ in range(ROUNDS):
                assert check("mcexec", "/bin/echo", "here") == "here\n"
    finally:
        with open(path, "w") as file:
            file.write(usual)


@claim
def legacy_layout_leaves_room():
    for options in (["-L"], ["-L", "-R"], ["-3"]):
        native, ours = (run("setarch", *options, *launcher, "/bin/echo", "here") for launcher in ([], ["mcexec"]))
        assert (ours.returncode, ours.stdout, ours.stderr) == (native.returncode, native.stdout, native.stderr), (options, native, ours)


mcreboot()
hello_works()
run_all(make_healthy)
