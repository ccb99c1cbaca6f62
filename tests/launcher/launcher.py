#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about mcexec that need two processes or a file made for them."""

import os
import re
import resource
import signal
import subprocess
import time

from scene import (check, claim, hello_works, idle_usage, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all,
                   start)

HERE = os.path.dirname(os.path.abspath(__file__))
SAME_IN_AUXV = ["AT_HWCAP:", "AT_HWCAP2", "AT_PAGESZ", "AT_CLKTCK", "AT_PHENT", "AT_PHNUM", "AT_FLAGS", "AT_UID", "AT_EUID", "AT_GID",
                "AT_EGID", "AT_SECURE", "AT_EXECFN", "AT_PLATFORM", "AT_MINSIGSTKSZ"]


def same_both_ways(*argv, **options):
    native, ours = run(*argv, **options), run("mcexec", *argv, **options)
    expected, got = ((result.returncode, result.stdout, result.stderr) for result in (native, ours))
    assert got == expected, f"natively {expected}, under mcexec {got}"
    return native


@claim
def static_pie_and_dynamic_programs_say_hello():
    for kind in ("static", "pie", "dynamic"):
        result = same_both_ways(program(f"greet_{kind}"), "first", "second argument")
        assert result.returncode == 3 and result.stdout.startswith("hello"), result


@claim
def getpid_is_the_pid_of_mcexec():
    process = start("mcexec", program("wait"), "call")
    line = process.stdout.readline()
    with open(f"/proc/{process.pid}/comm") as comm:
        name = comm.read()
    process.kill()
    process.communicate()
    assert line == f"ready {process.pid}\n" and name == "wait\n", (line, process.pid, name)


@claim
def every_exit_status_passes():
    for status in (0, 1, 2, 42, 126, 127, 128, 255):
        assert run("mcexec", "/usr/bin/perl", "-e", f"exit {status}").returncode == status, status


@claim
def death_by_each_signal_is_the_same():
    for number in sorted(signal.valid_signals() - {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}):
        native, ours = (run(*launcher, program("die"), str(int(number))) for launcher in ([], ["mcexec"]))
        assert native.returncode == ours.returncode, (number, native.returncode, ours)
    for how in ("fault", "fpe"):
        same_both_ways(program("die"), how)


@claim
def auxiliary_vector_equals_linuxs():
    def shown(*launcher):
        text = check(*launcher, "/bin/true", env=dict(os.environ, LD_SHOW_AUXV="1"))
        return {line.split()[0]: line for line in text.splitlines()}

    native, ours = shown(), shown("mcexec")
    names = [name if name.endswith(":") else f"{name}:" for name in SAME_IN_AUXV]
    assert [native[name] for name in names] == [ours.get(name) for name in names], (native, ours)
    for name in ("AT_SYSINFO_EHDR:", "AT_PHDR:", "AT_BASE:", "AT_ENTRY:", "AT_RANDOM:"):
        assert name in ours, ours
    assert set(ours) <= set(native), set(ours) - set(native)


@claim
def native_process_reads_and_writes_program_memory():
    before = idle_usage()
    target = start("mcexec", program("shared_memory"), stdin=subprocess.PIPE)
    where = target.stdout.readline().split()
    assert where and where[0] == str(target.pid), (where, target.pid)
    check(program("shared_memory"), *where)
    out, error = target.communicate("go on\n", timeout=20)
    assert (target.returncode, out, error) == (0, "changed\n", ""), (target.returncode, out, error)
    nothing_is_left_of(before)


@claim
def addresses_are_random_unless_asked_not_to_be():
    random = {check("mcexec", "/usr/bin/python3", "-c", "print(id(object()))") for _ in range(4)}
    fixed = {check("setarch", "-R", "mcexec", "/usr/bin/python3", "-S", "-c", "print(id(object()))") for _ in range(3)}
    assert len(random) > 1 and len(fixed) == 1, (random, fixed)


@claim
def programs_see_the_cokernels_processors():
    text = check("mcexec", "/usr/bin/nproc")
    assert text == "2\n", text
    for core in ("0", "1"):
        script = "import os; print(sorted(os.sched_getaffinity(0)))"
        assert check("mcexec", "-c", core, "/usr/bin/python3", "-c", script) in ("[0, 1]\n", f"[{core}]\n")


@claim
def unlimited_stack_and_small_address_space_are_no_obstacle():
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    for limit, value in ((resource.RLIMIT_STACK, unlimited), (resource.RLIMIT_AS, (1 << 30, 1 << 30))):
        result = run("mcexec", "/usr/bin/python3", "-c", "import resource; print(resource.getrlimit(resource.RLIMIT_STACK))",
                     preexec_fn=lambda limit=limit, value=value: resource.setrlimit(limit, value))
        assert result.returncode == 0 and result.stderr == "", result


@claim
def scripts_run_their_interpreter():
    for name, first in (("plain", "#!/usr/bin/python3"), ("with_argument", "#! /usr/bin/python3 -S ")):
        with open(name, "w") as script:
            script.write(f"{first}\nimport sys\nprint(sys.argv, sys.flags.no_site)\nsys.exit(5)\n")
        os.chmod(name, 0o755)
        same_both_ways(f"./{name}", "a b", "c")


@claim
def path_is_searched_as_a_shell_does():
    result = run("mcexec", "basename", "/a/b")
    assert (result.returncode, result.stdout) == (0, "b\n"), result
    assert check("mcexec", "--", "echo", "-n", "--", "x") == "-- x"
    assert check("mcexec", "0", "echo", "7") == "7\n"


@claim
def help_and_version_are_printed():
    for tool in ("mcexec", "mcreboot", "mcstop", "ihkconfig", "ihkosctl"):
        assert "Usage" in check(tool, "--help")
        assert re.search(r"\d+\.\d+", check(tool, "--version"))


@claim
def overlapping_segments_and_wrong_entries_harm_nobody():
    subprocess.run(["python3", f"{HERE}/hostile.py", "hostile"], check=True)
    before = idle_usage()
    assert run("mcexec", "hostile/good").returncode == 0
    for name, ends in (("overlapping_segments", (0, 126)), ("entry_outside", (-11, 126)), ("entry_in_kernel", (-11, 126))):
        result = run("mcexec", f"hostile/{name}")
        assert result.returncode in ends, (name, result)
    nothing_is_left_of(before)


@claim
def program_that_uses_all_memory_is_told_and_leaves_the_rest_running():
    before = idle_usage()
    result = run("mcexec", program("hog"), timeout=120)
    assert result.returncode == 0 and 200 <= int(result.stdout.split()[0]) <= 512, result
    nothing_is_left_of(before)
    hello_works()


@claim
def two_programs_run_at_once_on_two_cores():
    running = [start("mcexec", "-c", core, program("compute"), "2") for core in ("0", "1")]
    for process in running:
        out, error = process.communicate(timeout=20)
        assert (process.returncode, out, error) == (0, "2 seconds\n", ""), (process.returncode, out, error)


def run_twelve():
    running = [start("mcexec", "/usr/bin/python3", "-c", f"print(sum(range({i} * 1000)))") for i in range(12)]
    for i, process in enumerate(running):
        out, error = process.communicate(timeout=60)
        assert (process.returncode, out, error) == (0, f"{sum(range(i * 1000))}\n", ""), (i, process.returncode, out, error)


@claim
def twelve_programs_at_once_all_end_well():
    # The first twelve make the co-kernel's own tables as large as twelve need.
    run_twelve()
    before = idle_usage()
    run_twelve()
    nothing_is_left_of(before)


@claim
def many_programs_one_after_the_other_leave_nothing_behind():
    hello_works()
    before = idle_usage()
    for _ in range(60):
        hello_works()
    nothing_is_left_of(before)


@claim
def programs_see_linuxs_time():
    first = time.time()
    middle = float(check("mcexec", "/usr/bin/perl", "-MTime::HiRes=time", "-e", "printf '%.6f', time"))
    assert first <= middle + 0.001 and middle <= time.time() + 0.001, (first, middle)


WAYS = [[]] + [[f"--way={way}"] for way in ("around", "page", "before", "copy")]


@claim
def reads_bring_the_same_bytes_in_every_way_that_can_be_measured():
    # The program compares what it reads with what it has written.
    for way in WAYS:
        check("mcexec", *way, program("reads"), "fresh", "1", "4097", "3000000")


@claim
def calls_do_the_same_in_every_way_that_can_be_measured():
    for name in check(program("ways")).split():
        for launcher in ([], *(["mcexec", *way] for way in WAYS)):
            result = run(*launcher, program("ways"), name)
            assert (result.returncode, result.stderr) == (0, ""), (launcher, name, result.stdout, result.stderr)


@claim
def a_copying_mcexec_fails_and_succeeds_as_others_do():
    for name in check(program("files")).split():
        check("mcexec", "--way=copy", program("files"), name)


def pages_seen(*way):
    """For each call, how many pages mcexec has mapped: after one's first use, its second, the first of five."""
    out = check("mcexec", *way, program("ways"), "seen")
    return {call: " ".join(counts) for call, *counts in map(str.split, out.splitlines())}


READS, WRITES = ("read", "pread64"), ("write", "pwrite64")


@claim
def the_first_use_of_a_little_memory_maps_nothing_and_the_second_does():
    moving = dict.fromkeys(READS + WRITES, "0 1 5")
    assert pages_seen() == moving | {"ioctl": "1 1 5"}, pages_seen()
    # Without that page of the slot the first use would be seen.
    everything = dict.fromkeys(READS + WRITES + ("ioctl",), "1 1 5")
    assert pages_seen("--way=around") == everything, pages_seen("--way=around")


@claim
def ways_map_what_they_say():
    calls = READS + WRITES + ("ioctl",)
    assert pages_seen("--way=copy") == dict.fromkeys(calls, "0 0 0"), pages_seen("--way=copy")
    assert pages_seen("--way=before") == dict.fromkeys(calls, "1 1 5"), pages_seen("--way=before")
    singly = dict.fromkeys(READS + WRITES, "1 1 5") | {"ioctl": "1 1 1"}
    assert pages_seen("--way=page") == singly, pages_seen("--way=page")


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
