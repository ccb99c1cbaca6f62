#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about memory that programs of both kernels share: natively on one side, under mcexec on the other."""

import os
import random
import signal
import subprocess
import time

from scene import check, claim, idle_usage, make_healthy, nothing_is_left_of, program, run, run_all, start, usage, wait_until

ROUNDS = 300
OURS, NATIVE = ["mcexec"], []


def partner(launcher, *arguments):
    return [*launcher, program("partner"), *map(str, arguments)]


def fresh(path):
    """A path without a file, and the file gone afterwards by the next call."""
    if os.path.exists(path):
        os.unlink(path)
    return path


def plays(path, first, second):
    check(*partner(first, fresh(path), "init"))
    players = [start(*partner(launcher, path, me, ROUNDS)) for me, launcher in enumerate((first, second))]
    for player in players:
        said, complaint = player.communicate(timeout=60)
        assert (player.returncode, said) == (0, "played\n"), (player.returncode, said, complaint)


@claim
def programs_of_both_kernels_take_turns():
    for first, second in ((OURS, NATIVE), (NATIVE, OURS), (OURS, OURS)):
        plays("/dev/shm/turns", first, second)
    plays("/root/turns", OURS, NATIVE)


def inherits(holder, heir):
    path = fresh("/dev/shm/heir")
    check(*partner(NATIVE, path, "init"))
    holding = start(*partner(holder, path, "hold"))
    assert holding.stdout.readline() == "held\n"
    inheriting = start(*partner(heir, path, "inherit"))
    assert inheriting.stdout.readline() == "waiting\n"
    holding.send_signal(signal.SIGKILL)
    said, complaint = inheriting.communicate(timeout=20)
    assert (inheriting.returncode, said) == (0, "inherited\n"), (inheriting.returncode, said, complaint)
    holding.communicate()


@claim
def death_is_seen_by_programs_of_the_other_kernel():
    inherits(OURS, NATIVE)
    inherits(NATIVE, OURS)


@claim
def signals_reach_who_waits_for_the_other_kernel():
    path = fresh("/dev/shm/signal")
    check(*partner(NATIVE, path, "init"))
    holding = start(*partner(NATIVE, path, "hold"))
    assert holding.stdout.readline() == "held\n"
    waiting = start(*partner(OURS, path, "inherit"))
    assert waiting.stdout.readline() == "waiting\n"
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(timeout=10) == -signal.SIGTERM
    holding.kill()
    holding.communicate()


@claim
def a_tree_in_a_file_is_whole():
    tree = fresh("/root/tree")
    for launcher, start_at in ((OURS, 0), (NATIVE, 16384), (OURS, 32768)):
        check(*launcher, program("btree"), tree, "insert", str(start_at), "16384")
    native = check(program("btree"), tree, "check", "49152")
    assert native.startswith("49152 keys") and check("mcexec", program("btree"), tree, "check", "49152") == native
    # Nothing is only in the page cache: the disk has it, too.
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
        drop.write("3\n")
    assert check(program("btree"), tree, "check", "49152") == native


@claim
def reclaim_takes_pages_and_brings_them_back():
    tree = fresh("/root/tree")
    growing = start("mcexec", program("btree"), tree, "insert", "0", "65536")
    while growing.poll() is None:
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
            drop.write("1\n")
        with open("/proc/sys/vm/compact_memory", "w", encoding="ascii") as compact:
            compact.write("1\n")
    assert growing.returncode == 0, growing.communicate()
    assert check(program("btree"), tree, "check", "65536").startswith("65536 keys")


def sql(launcher, path, statements):
    result = run(*launcher, "sqlite3", "-bail", "-cmd", ".timeout 20000", path, input=statements, stdin=None)
    assert result.returncode == 0 and not result.stderr, (launcher, result)
    return result.stdout.split()


@claim
def databases_are_shared():
    path = "/root/shared.db"
    for name in (path, path + "-wal", path + "-shm"):
        fresh(name)
    assert sql(NATIVE, path, "PRAGMA journal_mode=WAL; CREATE TABLE t(who TEXT, n INTEGER);")[-1] == "wal"
    writers = []
    for who, launcher in (("ours", OURS), ("native", NATIVE)):
        text = "".join(f"INSERT INTO t VALUES('{who}', {n});\n" for n in range(60))
        writer = subprocess.Popen([*launcher, "sqlite3", "-bail", "-cmd", ".timeout 20000", path], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        writers.append((writer, text))
    for writer, text in writers:
        writer.stdin.write(text)
        writer.stdin.close()
        writer.stdin = None
    for writer, _ in writers:
        said, complaint = writer.communicate(timeout=120)
        assert (writer.returncode, said, complaint) == (0, "", ""), (writer.returncode, said, complaint)
    for launcher in (OURS, NATIVE):
        assert sql(launcher, path, "SELECT who, count(*), sum(n) FROM t GROUP BY who; PRAGMA integrity_check;") == [
            "native|60|1770", "ours|60|1770", "ok"]


@claim
def repositories_are_made_and_cloned():
    script = """set -e
    rm -rf /root/repo /root/copy; export HOME=/root
    git init -q -b main /root/repo; cd /root/repo
    git config user.name Somebody; git config user.email somebody@example.org
    seq 20000 >numbers; mkdir sub; for i in 1 2 3 4 5 6 7 8; do date >sub/$i; done
    git add .; git commit -q -m first; seq 5 20005 >numbers; git commit -q -a -m second; git gc -q
    git clone -q /root/repo /root/copy; cd /root/copy; git fsck --strict; git status --short; git log --format=%s; wc -l numbers"""
    ours = run("mcexec", "/bin/sh", "-c", script, timeout=180)
    assert ours.returncode == 0 and ours.stdout.split() == ["second", "first", "20001", "numbers"], ours
    for folder in ("/root/repo", "/root/copy"):
        native = run("git", "-C", folder, "fsck", "--strict", "--full")
        assert native.returncode == 0, native


@claim
def devices_are_shared():
    salt = 0
    for resource in ("resource2", "resource2_wc"):
        for filler, reader in ((OURS, NATIVE), (NATIVE, OURS), (OURS, OURS)):
            salt += 1
            check(*filler, program("devices"), "fill", resource, str(salt))
            check(*reader, program("devices"), "holds", resource, str(salt))


def write_to(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


@claim
def drivers_take_devices_from_programs():
    """A driver claims the device, which has Linux unmap it everywhere, and finds that it is none of its kind."""
    devices = "/sys/bus/pci/devices"
    device = next(name for name in os.listdir(devices) if os.path.exists(f"{devices}/{name}/resource2_wc"))
    for launcher in (NATIVE, OURS):
        losing = start(*launcher, program("devices"), "loses", "resource2_wc", "3")
        assert losing.stdout.readline() == "mapped\n"
        write_to(f"{devices}/{device}/driver_override", "nvme")
        try:
            write_to("/sys/bus/pci/drivers/nvme/bind", device)
        except OSError:
            pass
        said, complaint = losing.communicate(timeout=30)
        assert losing.returncode == 0, (launcher, losing.returncode, said, complaint)
        write_to(f"{devices}/{device}/driver_override", "\n")


@claim
def killed_at_any_moment_leaves_nothing_behind():
    before = idle_usage()
    for attempt in range(12):
        sharing = start("mcexec", program("devices" if attempt % 3 == 2 else "shared"),
                        ("no_store_is_lost", "processes_share_a_mutex_in_a_file", "loses")[attempt % 3],
                        *(("resource2", "1") if attempt % 3 == 2 else ()))
        time.sleep(random.random())
        sharing.kill()
        sharing.communicate()
    nothing_is_left_of(before)


@claim
def nothing_stays_behind():
    wait_until(lambda: usage()["processes"] == 0, "all processes gone")
    assert run("ipcs", "-m").stdout.count("0x") == 0
    run("sh", "-c", "rm -rf /dev/shm/turns /dev/shm/heir /dev/shm/signal /root/turns /root/tree /root/shared.db* /root/repo /root/copy")


run_all(make_healthy)
