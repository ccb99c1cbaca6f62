#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about pages of files that the co-kernel keeps: one copy for all processes, and never another than the file's."""

import array
import errno
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess

from scene import (check, claim, hello_works, idle_usage, kmsg, make_healthy, mcreboot, nothing_is_left_of,
                   program, run, run_all, start, status, usage, wait_until)

# ioctl QUERY of /dev/mcosN, about the machine (ihk-ikc/src/proto/view.rs).
QUERY, MACHINE, WORDS = 3 << 30 | 32 << 16 | ord("k") << 8 | 0x78, 4, 512
COPY = "/root/copied-program"


def machine():
    """Bytes of pages that are kept though nobody has them, and pages read so far."""
    words = array.array("Q", bytes(8 * WORDS))
    query = bytearray(struct.pack("=iIQQQ", 0, MACHINE, 0, words.buffer_info()[0], 0))
    with open("/dev/mcos0", "rb+", buffering=0) as device:
        fcntl.ioctl(device, QUERY, query)
    return {"cached": words[3], "read": words[4]}


def install(name):
    """COPY becomes another program, by writing over it."""
    shutil.copyfile(program(name), COPY)
    os.chmod(COPY, 0o755)


def twins(count):
    """Processes of one program, and the addresses of its two words."""
    processes = [start("mcexec", program("twin"), stdin=subprocess.PIPE) for _ in range(count)]
    places = [process.stdout.readline().split() for process in processes]
    assert places[0] and all(place == places[0] for place in places), places
    return processes, places[0]


def ask(process, line="?"):
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def end(processes):
    for process in processes:
        process.kill()
        process.communicate(timeout=60)


@claim
def a_second_start_reads_nothing():
    for argv in ([program("greet_static")], [program("greet_dynamic")], ["/bin/ls", "/"], ["/bin/bash", "-c", ":"]):
        run("mcexec", *argv)
        before = machine()["read"]
        first = run("mcexec", *argv)
        read = machine()["read"] - before
        # The last page of a data segment holds what is no file's, and is each process's own.
        assert read <= 8, (argv, read)
        native = run(*argv)
        assert (first.returncode, first.stdout) == (native.returncode, native.stdout), argv


@claim
def processes_share_one_copy():
    one, _ = twins(1)
    frames = usage()["frames_free"]
    more, _ = twins(4)
    taken = frames - usage()["frames_free"]
    end(one + more)
    # A process of its own needs more than 200 frames for the file alone.
    assert 0 < taken < 4 * 150, taken


@claim
def a_changed_program_is_seen_by_the_next_start():
    install("twin")
    old = start("mcexec", COPY, stdin=subprocess.PIPE)
    old.stdout.readline()
    assert ask(old) == "constant variable"
    # What runs cannot be written over, only replaced.
    try:
        install("hello_static")
        assert False, "a program was written while it ran"
    except OSError as error:
        assert error.errno == errno.ETXTBSY, error
    os.unlink(COPY)
    for name, expected in (("greet_static", "hello from a static program x\n"), ("hello_static", None), ("greet_static", "hello from a static program x\n")):
        install(name)
        expected = expected or check(program(name), "x")
        assert run("mcexec", COPY, "x").stdout == expected == run("mcexec", COPY, "x").stdout
    assert ask(old) == "constant variable"
    end([old])


@claim
def a_changed_byte_is_seen_by_the_next_start():
    install("twin")
    with open(COPY, "rb") as file:
        at = file.read().index(b"constant\0\0\0")
    for letter in "abcdefgh":
        with open(COPY, "rb+", buffering=0) as file:
            os.pwrite(file.fileno(), letter.encode(), at)
            result = run("mcexec", COPY, input="?\n", stdin=None)
            assert (result.returncode, result.stderr) == (126, f"mcexec: {COPY}: Text file busy\n"), result
        said = run("mcexec", COPY, input="?\n", stdin=None).stdout
        assert f"\n{letter}onstant " in said, (letter, "closed", said)


@claim
def what_one_process_writes_no_other_sees():
    processes, _ = twins(3)
    assert ask(processes[0], "wX") == "constant Xariable"
    assert ask(processes[1], "wY") == "constant Yariable"
    assert [ask(process) for process in processes] == ["constant Xariable", "constant Yariable", "constant variable"]
    latest, _ = twins(1)
    assert ask(latest[0]) == "constant variable"
    end(processes + latest)


@claim
def a_hostile_proxy_changes_nobody_elses_pages():
    (victim, other), places = twins(2)
    for word, place in zip(("constant", "variable"), places):
        result = run(program("intruder"), str(victim.pid), place)
        told = re.fullmatch(r"read 8 (\w+) protect (-?\d+) write (-?\d+)\n", result.stdout)
        assert told and told.group(1) == word and told.group(2) == "0", (word, result)
        # What the program itself may not write, its proxy cannot; what it may is its own copy.
        assert int(told.group(3)) == (-14 if word == "constant" else 4), result
        assert ask(other) == "constant variable"
        latest, _ = twins(1)
        assert ask(latest[0]) == "constant variable"
        end(latest)
    end([victim, other])
    assert status() == "RUNNING", kmsg()[-2000:]


@claim
def kept_pages_make_way_for_programs():
    before = idle_usage()
    # Many files that nobody has mapped any more.
    for number in range(24):
        install("greet_static")
        os.replace(COPY, f"{COPY}-{number}")
        run("mcexec", f"{COPY}-{number}")
    full = machine()["cached"]
    assert full > 24 * 500_000, full
    nothing_is_left_of(before)
    eater = start("mcexec", program("eater"), "pages", start_new_session=True)
    eater.wait(timeout=200)
    try:
        os.killpg(eater.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    eater.communicate(timeout=60)
    wait_until(lambda: usage()["processes"] == 0, "no process")
    assert machine()["cached"] < 3_000_000, machine()
    for number in range(24):
        os.unlink(f"{COPY}-{number}")
    hello_works()
    nothing_is_left_of(before)


@claim
def files_of_other_file_systems_are_each_process_own():
    path = "/dev/shm/program"
    shutil.copyfile(program("greet_static"), path)
    os.chmod(path, 0o755)
    run("mcexec", path)
    before = machine()["read"]
    assert run("mcexec", path, "x").stdout == "hello from a static program x\n"
    assert machine()["read"] - before > 20
    os.unlink(path)


@claim
def what_is_not_touched_is_not_read():
    path, pages = "/root/three-megabytes", 768
    for rights in "rwrw":
        with open(path, "wb") as file:
            file.write(b"a" * 4096 * (pages - 1) + b"z" * 4096)
        argv = ("mcexec", program("demand"), "touch", path, rights)
        before = machine()["read"]
        assert run(*argv).stdout == "97 122\n"
        first = machine()["read"] - before
        assert run(*argv).stdout == "97 122\n"
        second = machine()["read"] - before - first
        # Two blocks of 16 pages, and of the program what a start touches.
        assert 2 <= first <= 200, (rights, first)
        assert second <= 8, (rights, second)
        os.unlink(path)


@claim
def what_is_unmapped_is_closed():
    folder = "/root/mounted"
    os.makedirs(folder, exist_ok=True)
    for number in range(5):
        mounted = run("mount", "-t", "tmpfs", "none", folder)
        assert mounted.returncode == 0, mounted
        with open(f"{folder}/file", "wb") as file:
            file.write(b"a" * 4096 * 200)
        assert run("mcexec", program("demand"), "touch", f"{folder}/file", "w").stdout == "97 97\n", number
        # Nothing keeps the file when its process is gone, or has unmapped it.
        gone = run("umount", folder)
        assert gone.returncode == 0, gone
    run("mount", "-t", "tmpfs", "none", folder)
    shutil.copyfile(program("greet_static"), f"{folder}/file")
    process = start("mcexec", program("demand"), "map", f"{folder}/file", stdin=subprocess.PIPE)
    process.stdout.readline()
    assert run("umount", folder).returncode != 0
    ask(process)
    wait_until(lambda: run("umount", folder).returncode == 0, "nobody has the file")
    end([process])
    os.rmdir(folder)


mcreboot()
hello_works()
run_all(make_healthy)
