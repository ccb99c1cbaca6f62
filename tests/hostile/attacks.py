#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Attacks by one user of the co-kernel, while another one's work goes on and checks itself."""

import contextlib
import re
import signal

from scene import claim, hello_works, kmsg, mcreboot, program, run, run_all, start, status

ATTACKER = 1001


def as_attacker(*argv, **options):
    return run("setpriv", f"--reuid={ATTACKER}", f"--regid={ATTACKER}", "--clear-groups", *argv, **options)


@contextlib.contextmanager
def others_work(longest_ms):
    """Root's program, which must go on, and be right, whatever happens; it may get nowhere for so long."""
    process = start("mcexec", program("verified"))
    assert process.stdout.readline() == "ready\n", process.communicate()
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, (process.returncode, output, errors, status(), kmsg()[-1000:])
    longest, rounds = map(int, re.fullmatch(r"longest (\d+) ms, rounds (\d+)\n", output).groups())
    print(f"others' work: {output.strip()}", flush=True)
    assert rounds >= 2 and longest <= longest_ms, output
    assert status() == "RUNNING", status()
    hello_works()


@claim
def who_lies_to_mcexec_gets_no_rights():
    with others_work(5000) as victim:
        meddle = (program("meddle"), str(victim))
        natively = as_attacker(*meddle)
        assert natively.stdout.count("Operation not permitted") >= 8, natively
        for launcher in (["mcexec"], [program("meddle"), "lying", "mcexec"]):
            result = as_attacker(*launcher, *meddle)
            assert (result.returncode, result.stdout) == (natively.returncode, natively.stdout), (launcher, result, natively)


@claim
def who_moves_much_memory_is_not_taken_for_a_hang():
    with others_work(5000):
        asks = start("setpriv", f"--reuid={ATTACKER}", f"--regid={ATTACKER}", "--clear-groups", program("statuses"), "20")
        # On the CPU of the others' work and on the other one.
        for cpu in ("0", "1"):
            result = as_attacker("mcexec", "-c", cpu, program("moves"), "100")
            assert result.returncode == 0, (cpu, result, status(), kmsg()[-1000:])
            print(f"moves: {result.stdout.strip()}", flush=True)
        output, errors = asks.communicate(timeout=60)
        assert asks.returncode == 0, (output, errors)
        assert int(re.search(r"longest (\d+) ms", output).group(1)) < 1000, output


def boot():
    """With a group that may run programs, the attacker's."""
    mcreboot("--group", str(ATTACKER))


def prepare():
    if status() != "RUNNING":
        run("mcstop", "-f")
        boot()


boot()
run_all(prepare)
