# SPDX-License-Identifier: GPL-2.0
"""What the guest's test scripts share.

A claim is a function that returns when it holds and raises when it does not. Each is reported by a line
`claim NAME ok SECONDS` or `claim NAME FAILED REASON`, whatever happens to the others.
The tests read the names of claims from the sources: `@claim` or `@long("WHY")` alone on the line before the function, and
`claims_of("PROGRAM", …)` and `import SCRIPT` at the beginning of a line.
"""

import json
import os
import re
import subprocess
import sys
import time
import traceback

PROGRAMS = "/usr/local/lib/mckernel-tests"
CPUS, MEMORY = "2-3", "512M@0"
# What takes a fraction of it on a quiet host; it only has to end what hangs.
LIMIT_S = 150
# Frames by which the co-kernel's own tables may grow when more programs than ever before run at once.
OWN_FRAMES = 4

# Whether this is a run for what takes minutes or wants a quiet host.
LONG = "long" in sys.argv[1:]

_claims = []


def claim(function):
    """Registers a claim; run_all() runs them in the order they are written."""
    if not LONG:
        _claims.append(function)
    return function


def long(_reason):
    """Registers a claim for the runs with the argument `long`, which run no other ones; the reason is for the tests."""
    def register(function):
        if LONG:
            _claims.append(function)
        return function

    return register


def claims_of(name, checked):
    """Registers the claims of a guest program, checked(NAME) being the function that checks one."""
    for line in run(program(name)).stdout.split():
        check_one = checked(line)
        check_one.__name__ = line
        claim(check_one)


def program(name):
    return f"{PROGRAMS}/{name}"


def run(*argv, timeout=LIMIT_S, **options):
    """Runs a command; its text, status and both streams."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=timeout, **options)


def check(*argv, **options):
    """Runs a command that has to succeed; its stdout."""
    result = run(*argv, **options)
    assert result.returncode == 0, f"{' '.join(argv)}: status {result.returncode}: {result.stderr.strip()}"
    return result.stdout


def start(*argv, **options):
    """Starts a command and leaves it running."""
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_until(condition, what, limit_s=10):
    """Waits until condition() is true; its value."""
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still not after {limit_s} s: {what}"
        time.sleep(0.02)
    return value


def mcreboot(*extra):
    return check("mcreboot", "-c", CPUS, "-m", MEMORY, *extra)


def status(os_number="0"):
    return run("ihkosctl", os_number, "get", "status").stdout.strip()


def query_usage():
    return json.loads(check("ihkosctl", "0", "query", "usage", "--json"))


def usage():
    """What programs hold of the co-kernel; equal before and after whatever leaves nothing behind."""
    varying = ("interrupts", "nodes", "frames_set_aside")
    return {key: value for key, value in query_usage().items() if key not in varying}


def idle_usage():
    """The same once no program is left: the last one's memory is given back behind its end."""
    wait_until(lambda: usage()["processes"] == 0, "no program is left")
    # Linux lets go of its pages a moment later still; what it keeps for longer is for the claim to look at.
    end = time.monotonic() + 2
    while usage()["frames_pinned"] and time.monotonic() < end:
        time.sleep(0.05)
    return usage()


def nothing_is_left_of(before):
    """The co-kernel's memory is given back behind the program's end, within a second or so."""
    def is_back():
        now = usage()
        lost = before["frames_free"] - now["frames_free"]
        return lost <= OWN_FRAMES and dict(now, frames_free=0) == dict(before, frames_free=0)

    try:
        wait_until(is_back, "usage as before")
    except AssertionError as error:
        raise AssertionError(f"usage before {before}, now {usage()}") from error


def hello_works(limit_s=LIMIT_S):
    result = run("mcexec", program("greet_static"), "again", timeout=limit_s)
    assert (result.returncode, result.stdout, result.stderr) == (2, "hello from a static program again\n", ""), result


def kmsg():
    return check("ihkosctl", "0", "kmsg")


def is_one_clear_line(tool, text):
    """`TOOL: WHAT VALUE: REASON`, nothing else."""
    return re.fullmatch(rf"{tool}: [^\n]+: [^\n]+\n", text) is not None


def online_cpus():
    with open("/sys/devices/system/cpu/online") as file:
        return file.read().strip()


def loaded_modules():
    with open("/proc/modules") as file:
        return sorted(name for name in (line.split()[0] for line in file) if name in ("ihk", "mcctrl"))


def available_kib():
    """Free memory once nothing that could be dropped is cached: MemAvailable and the pages on the lists of the CPUs.

    Linux does not count these lists, which hold tens of MiB, shrink every second and go with a CPU that goes.
    """
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3\n")
    time.sleep(0.3)
    with open("/proc/meminfo") as meminfo, open("/proc/zoneinfo") as zones:
        available_kib = int(re.search(r"MemAvailable: +(\d+)", meminfo.read()).group(1))
        listed = sum(int(pages) for pages in re.findall(r"^ +count: +(\d+)", zones.read(), re.MULTILINE))
        return available_kib + 4 * listed


def memory_is_back(before_kib, limit_s=30):
    """Fails unless what is available comes back to within 1 %; Linux may still be letting go of it."""
    end = time.monotonic() + limit_s
    while (after_kib := available_kib()) <= before_kib * 0.99:
        assert time.monotonic() < end, f"available {before_kib} kB before, {after_kib} kB after"
        time.sleep(1)


def make_healthy():
    """A claim that failed must not take the next ones with it."""
    if status() != "RUNNING":
        run("mcstop", "-f")
        mcreboot()


def reason(error):
    """The line of the claim that raised it, and what it says, on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if frame.filename != __file__] or frames
    text = f"`{outside[-1].line}`: {type(error).__name__}: {error}"
    return " | ".join(text.strip().split("\n"))


def run_all(prepare=lambda: None):
    """Runs the claims, each behind prepare(), and reports them."""
    for function in _claims:
        started = time.monotonic()
        try:
            prepare()
            function()
            verdict = f"ok {time.monotonic() - started:.1f} s"
        except BaseException as error:  # whatever it is, the other claims follow
            verdict = "FAILED " + reason(error)
        print(f"claim {function.__name__} {verdict}", flush=True)
