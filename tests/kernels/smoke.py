#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""One pass over everything on an unusual machine: boot, a few programs, stop. Arguments: those of mcreboot."""

import os
import sys

from scene import (check, claim, hello_works, idle_usage, nothing_is_left_of, online_cpus, program, run, run_all, start)

cpus_before = online_cpus()


@claim
def programs_run():
    check("mcreboot", *sys.argv[1:])
    hello_works()
    # The first program makes the co-kernel's own tables as large as one needs.
    before = idle_usage()
    for command in (["/bin/ls", "-la", "/usr/bin"], ["/usr/bin/python3", "-c", "print(sum(range(1000)))"]):
        native, ours = run(*command), run("mcexec", *command)
        assert (native.returncode, native.stdout, native.stderr) == (ours.returncode, ours.stdout, ours.stderr), ours
    for group in ("memory", "signals", "files", "processor"):
        for name in check(program(group)).split()[:4]:
            result = run("mcexec", program(group), name)
            assert result.returncode == 0, (name, result)
    nothing_is_left_of(before)


@claim
def every_cokernel_core_runs_programs():
    cores = len(check("ihkosctl", "0", "query", "cpu", "--json").split("[")[1].split(","))
    running = [start("mcexec", "-c", str(core), program("compute"), "1") for core in range(cores)]
    for process in running:
        out, error = process.communicate(timeout=30)
        assert (process.returncode, out, error) == (0, "1 seconds\n", ""), (process.returncode, out, error)
    refused = run("mcexec", "-c", str(cores), program("greet_static"))
    assert refused.returncode != 0 and len(refused.stderr.splitlines()) == 1, refused


@claim
def stopping_gives_everything_back():
    check("mcstop")
    assert online_cpus() == cpus_before and not os.path.exists("/dev/mcos0"), online_cpus()


if __name__ == "__main__":
    run_all()
