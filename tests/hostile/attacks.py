#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Attacks by one user of the co-kernel, while another one's work goes on and checks itself."""

import contextlib
import json
import os
import random
import re
import resource
import signal
import threading
import time

from scene import check, claim, hello_works, kmsg, mcreboot, program, run, run_all, start, status, usage, wait_until

ATTACKER = 1001


def as_attacker(*argv, **options):
    return run("setpriv", f"--reuid={ATTACKER}", f"--regid={ATTACKER}", "--clear-groups", *argv, **options)


@contextlib.contextmanager
def others_work(longest_ms, *options):
    """Root's program, which must go on, and be right, whatever happens; it may get nowhere for so long."""
    process = start("mcexec", *options, program("verified"))
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
def limits_are_read_where_linux_has_them():
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
        resource.setrlimit(resource.RLIMIT_DATA, (64 << 20, 64 << 20))

    hoard = (program("meddle"), "hoard")
    natively = as_attacker(*hoard, preexec_fn=limit)
    assert natively.stdout == "memory: Cannot allocate memory\n" and natively.returncode == -signal.SIGKILL, natively
    # What mcexec cannot find out it takes for unlimited.
    for launcher in (["mcexec"], [program("meddle"), "blind", "mcexec"]):
        result = as_attacker(*launcher, *hoard, preexec_fn=limit)
        assert (result.returncode, result.stdout) == (natively.returncode, natively.stdout), (launcher, result)


@claim
def who_sends_without_end_stops_nobody():
    with others_work(5000, "-c", "1"):
        # Its orders go to the CPU of the others' work.
        result = as_attacker("mcexec", "-c", "1", program("flood"), "10")
        print(f"flood: {result.stdout.strip()}", flush=True)
        assert result.returncode == 0 and int(result.stdout.split()[0]) > 100, (result, kmsg()[-1000:])


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


@claim
def who_pins_pages_pays_for_all_that_they_hold():
    held_mib = lambda: usage()["frames_pinned"] // 256
    os.makedirs("/tmp/pipes", exist_ok=True)
    os.chmod("/tmp/pipes", 0o777)
    pipes = []
    with others_work(5000):
        for number in range(6):
            path = f"/tmp/pipes/{number}"
            os.mkfifo(path)
            os.chmod(path, 0o666)
            pipes.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))
            result = as_attacker("mcexec", program("hold"), path, "50")
            time.sleep(1)
            print(f"hold: {result.stdout.strip()} {result.stderr.strip()}, {held_mib()} MiB held", flush=True)
            if result.returncode != 0:
                break
            # The first ones hold all that was shown beside their pages.
            assert result.stdout == "25 pages\n", result
        assert 64 <= held_mib() <= 130, held_mib()
        for pipe in pipes:
            os.close(pipe)
        wait_until(lambda: held_mib() == 0, "nothing is held")
        result = as_attacker("mcexec", program("greet_static"))
        assert result.returncode == 1, result


@claim
def nobody_finds_what_others_left_in_memory():
    os.makedirs("/tmp/hunted", exist_ok=True)
    os.chmod("/tmp/hunted", 0o777)
    hunt = lambda what: (program("hunt"), what, "256", "/tmp/hunted")
    assert "own: 262144 marks" in as_attacker("mcexec", *hunt("both")).stdout
    random.seed(1)
    with others_work(5000):
        for round in range(8):
            leaves = start("mcexec", *hunt("leave"))
            if round % 2:
                # In the middle of whatever it is doing.
                time.sleep(random.uniform(0.05, 0.5))
                leaves.kill()
            output, errors = leaves.communicate(timeout=60)
            assert (errors, leaves.returncode in (0, -signal.SIGKILL)) == ("", True), (round, output, errors)
            finds = as_attacker("mcexec", *hunt("find"))
            assert (finds.returncode, finds.stdout) == (0, "nothing\n"), (round, finds)


@claim
def instances_are_created_while_others_are_destroyed():
    end = time.monotonic() + 15
    counts = {"create": 0, "destroy": 0}

    def change(number):
        random.seed(number)
        while time.monotonic() < end:
            if random.random() < 0.5:
                counts["create"] += run("ihkconfig", "0", "create").returncode == 0
            else:
                os_number = str(random.randint(1, 4))
                counts["destroy"] += run("ihkconfig", "0", "destroy", os_number, "--force").returncode == 0

    with others_work(5000):
        before = len(run("dmesg").stdout)
        threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in json.loads(check("ihkconfig", "0", "get", "os_instances", "--json"))["os_instances"]:
            if number != 0:
                check("ihkconfig", "0", "destroy", str(number))
        news = run("dmesg").stdout[before:]
        assert not re.search("Call Trace|duplicate|WARNING|BUG", news), news[:2000]
    assert min(counts.values()) > 10, counts


def boot():
    """With a group that may run programs, the attacker's."""
    mcreboot("--group", str(ATTACKER))


def prepare():
    if status() != "RUNNING":
        run("mcstop", "-f")
        boot()


boot()
run_all(prepare)
