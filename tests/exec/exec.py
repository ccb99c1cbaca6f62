#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about exec, fork and descriptors: a program prints, and ends with, what native Linux in the same boot has it.

A difference is reported by the lines that only one of the two has printed.
"""

import contextlib
import difflib
import functools
import os
import shlex
import shutil
import signal
import struct

from scene import (check, claim, claims_of, hello_works, idle_usage, long, make_healthy, mcreboot, nothing_is_left_of, program, run,
                   run_all, start, wait_until)

# The current folder of each run, new and empty.
PLACE = "/tmp/exec"
NOBODY = 65534
CAP_DAC_READ_SEARCH, CAP_NET_RAW = 2, 13
MISC = "/proc/sys/fs/binfmt_misc"
# ioctl EXECUTABLE of /dev/mcosN: the caller's program is the file of a descriptor.
EXECUTABLE = 0x6b89


def told(*argv, **options):
    """What a command prints and ends with, in a folder of its own, with a clean environment."""
    shutil.rmtree(PLACE, ignore_errors=True)
    os.mkdir(PLACE)
    os.chmod(PLACE, 0o777)
    options.setdefault("env", {"PATH": os.environ["PATH"]})
    options.setdefault("cwd", PLACE)
    result = run(*argv, **options)
    shutil.rmtree(PLACE, ignore_errors=True)
    return [f"status {result.returncode}", *result.stdout.splitlines(), *(f"error: {line}" for line in result.stderr.splitlines())]


# By its path, for an environment without one.
MCEXEC = shutil.which("mcexec")


def same_both_ways(*argv, **options):
    """Fails unless both print the same; what natively is printed."""
    native, ours = told(*argv, **options), told(MCEXEC, *argv, **options)
    lines = list(difflib.unified_diff(native, ours, "natively", "mcexec", lineterm="", n=1))[2:]
    assert native == ours, f"{' '.join(argv)[-100:]} ({len(lines)} lines): " + " | ".join(lines[:60])
    return native


def compared(path, name):
    return lambda: same_both_ways(path, name)


def of_program(name):
    return functools.partial(compared, program(name))


def as_user(user, *argv):
    """exec by a program of that user; words for exec_as come before `--`."""
    words = argv[:argv.index("--")] if "--" in argv else []
    rest = argv[len(words) + 1:] if "--" in argv else argv
    return same_both_ways(program("exec_as"), str(user), str(user), *words, "--", *rest)


@contextlib.contextmanager
def folder(path="/tmp/set-ids"):
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path, 0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def copied(name, target, mode, owner=(0, 0)):
    shutil.copy(name, target)
    os.chown(target, *owner)
    os.chmod(target, mode)
    return target


def written(path, text, mode=0o755, owner=(0, 0)):
    with open(path, "wb") as file:
        file.write(text)
    os.chown(path, *owner)
    os.chmod(path, mode)
    return path


def give(path, capabilities, inheritable=0, effective=True):
    """Gives a file capabilities, as setcap does."""
    value = struct.pack("<5I", 0x02000000 | effective, capabilities & 0xffffffff, inheritable, 0, 0)
    os.setxattr(path, "security.capability", value)


# Whoever is no member of its group runs programs, too, in these claims.
def everybody_may():
    make_healthy()
    os.chmod("/dev/mcos0", 0o666)


claims_of("self_exec", of_program("self_exec"))
claims_of("exec_files", of_program("exec_files"))
claims_of("exec_errors", of_program("exec_errors"))
claims_of("exec_arguments", of_program("exec_arguments"))
claims_of("exec_descriptors", of_program("exec_descriptors"))
claims_of("exec_jails", of_program("exec_jails"))
claims_of("exec_state", of_program("exec_state"))


@long("a thousand forks and executions in each jail")
def a_thousand_processes_in_each_jail_leave_nothing():
    jails = run(program("exec_jails")).stdout.split()
    before = idle_usage()
    for name in jails:
        result = run(MCEXEC, program("exec_jails"), name, env={"PATH": os.environ["PATH"], "ROUNDS": "1000"}, cwd="/tmp", timeout=1500)
        assert result.returncode == 0 and "forks 1000" in result.stdout, (name, result.returncode, result.stdout[-300:], result.stderr)
        nothing_is_left_of(before)


@claim
def a_whole_busybox_runs_its_applets():
    same_both_ways("busybox", "sh", "-c", "uname -s; echo ok | cat; sleep 0; (cd /; pwd); ls -d /etc | tr a-z A-Z; seq 3 | sort -r")
    same_both_ways("busybox", "xargs", "-n1", "busybox", "echo", input="one two\n", stdin=None)
    same_both_ways("busybox", "find", "/etc/hostname", "-exec", "busybox", "wc", "-l", "{}", ";")
    for applet in ("timeout 5 busybox echo here", "nohup busybox echo here", "env busybox echo here", "nice busybox echo here",
                   "sh -c exec\\ busybox\\ false", "setsid busybox true", "chroot / /bin/busybox echo here"):
        same_both_ways("busybox", "sh", "-c", f"busybox {applet}; echo $?")


@claim
def set_ids_are_honoured():
    with folder() as place:
        for mode in (0o755, 0o4755, 0o2755, 0o6755, 0o4711, 0o2745, 0o4700, 0o6644):
            for owner in ((0, 0), (1001, 4), (NOBODY, NOBODY)):
                path = copied(program("executed"), f"{place}/program", mode, owner)
                for user in (0, NOBODY):
                    as_user(user, path, "argument")


@claim
def set_ids_start_from_whoever_one_is():
    with folder() as place:
        for owner in ((0, 0), (1001, 1001)):
            path = copied(program("executed"), f"{place}/program", 0o4755, owner)
            for words in (("effective",), ("real",), ("noroot",), ("noroot", "ids"), ("keepcaps", "ids"), ("fork", "ids"), ("drop", "ids"),
                          ("undumpable",)):
                as_user(0, *words, "--", path)
                same_both_ways(program("exec_as"), str(NOBODY), str(NOBODY), *words, "--", path)


@claim
def a_program_of_its_own_rights_executes_itself_and_others():
    with folder() as place:
        own = copied(program("exec_as"), f"{place}/own", 0o4755)
        path = copied(program("executed"), f"{place}/program", 0o755)
        # The set-ids of the first; the second takes on what it is given.
        as_user(NOBODY, own, "1001", "1001", "--", path)
        as_user(NOBODY, own, "1001", "1001", "effective", "--", path)
        as_user(NOBODY, own, "0", "0", "--", own, str(NOBODY), str(NOBODY), "--", "/proc/self/exe", "7", "7", "--", path)
        as_user(NOBODY, own, "0", "0", "ids", "real", "--", "/bin/sh", "-c", "id; exec id -ru")


@claim
def capabilities_of_files_are_honoured():
    with folder() as place:
        for capabilities, inheritable, effective in ((1 << CAP_NET_RAW, 0, True), (1 << CAP_NET_RAW, 0, False), (0, 1 << CAP_NET_RAW, True),
                                                     (1 << CAP_DAC_READ_SEARCH | 1 << CAP_NET_RAW, 0, True), (0, 0, True)):
            path = copied(program("executed"), f"{place}/program", 0o755)
            give(path, capabilities, inheritable, effective)
            for words in ((), ("keepcaps", "ids", "inherit"), ("drop", "ids")):
                as_user(NOBODY, *words, "--", path)
                same_both_ways(program("exec_as"), str(NOBODY), str(NOBODY), *words, "--", path)
                same_both_ways(program("exec_as"), "0", "0", "--", path)
        secret = written(f"{place}/secret", b"secret\n", 0o600)
        cat = copied("/bin/cat", f"{place}/cat", 0o755)
        as_user(NOBODY, cat, secret)
        give(cat, 1 << CAP_DAC_READ_SEARCH)
        assert "secret" in as_user(NOBODY, cat, secret)


@claim
def ambient_capabilities_go_on():
    for words in (("keepcaps", "ids", "inherit", "ambient"), ("keepcaps", "ids", "inherit"), ("keepcaps", "ids"), ("inherit", "ambient")):
        same_both_ways(program("exec_as"), str(NOBODY), str(NOBODY), *words, "--", program("executed"))
        same_both_ways(program("exec_as"), str(NOBODY), str(NOBODY), *words, "--", "/bin/grep", "^Cap", "/proc/self/status")


@claim
def libraries_of_the_caller_are_ignored_with_set_ids():
    with folder() as place:
        for mode in (0o755, 0o4755, 0o2755):
            path = copied(program("self_exec"), f"{place}/program", mode, (0, 4))
            for variable in ("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "LD_DEBUG_OUTPUT"):
                env = {"PATH": os.environ["PATH"], variable: "/nothing.so"}
                same_both_ways(program("exec_as"), str(NOBODY), str(NOBODY), "--", path, "again", env=env)
        path = copied(program("self_exec"), f"{place}/program", 0o755)
        give(path, 1 << CAP_NET_RAW)
        env = {"PATH": os.environ["PATH"], "LD_PRELOAD": "/nothing.so"}
        same_both_ways(program("exec_as"), str(NOBODY), str(NOBODY), "--", path, "again", env=env)


@claim
def no_new_privileges_means_none():
    with folder() as place:
        path = copied(program("executed"), f"{place}/set", 0o6755, (0, 4))
        able = copied(program("executed"), f"{place}/able", 0o755)
        give(able, 1 << CAP_NET_RAW)
        for user in (0, NOBODY):
            for file in (path, able):
                as_user(user, "no_new_privs", "--", file)


@claim
def file_systems_without_set_ids_have_none():
    with folder() as place:
        for options in ("nosuid", "noexec", "nosuid,ro"):
            check("mount", "-t", "tmpfs", "none", place)
            try:
                os.chmod(place, 0o755)
                path = copied(program("executed"), f"{place}/set", 0o6755, (0, 4))
                able = copied(program("executed"), f"{place}/able", 0o755)
                give(able, 1 << CAP_NET_RAW)
                script = written(f"{place}/script", b"#!/bin/sh\necho script\n")
                check("mount", "-o", f"remount,{options}", place)
                for user in (0, NOBODY):
                    for file in (path, able, script):
                        as_user(user, file)
            finally:
                check("umount", place)


@claim
def scripts_have_no_set_ids():
    with folder() as place:
        interpreter = copied(program("executed"), f"{place}/interpreter", 0o6755, (1001, 4))
        for text in ("#!/usr/bin/id\n", f"#!{interpreter} word\n"):
            script = written(f"{place}/script", text.encode(), 0o6755)
            for user in (0, NOBODY):
                as_user(user, script, "-u")


@claim
def programs_that_nobody_can_read_run():
    with folder() as place:
        for mode in (0o711, 0o111, 0o4711, 0o700):
            static = copied(program("executed"), f"{place}/static", mode)
            dynamic = copied(program("self_exec"), f"{place}/dynamic", mode)
            for user in (0, NOBODY):
                as_user(user, static)
                as_user(user, dynamic, "again")
                as_user(user, "/bin/sh", "-c", f"cat {dynamic} >/dev/null; {static}; ls -l /proc/self/exe | wc -l")
        unreadable = copied(program("self_exec"), f"{place}/dynamic", 0o711)
        same_both_ways("setpriv", "--reuid", str(NOBODY), "--clear-groups", unreadable, "again")
        # Whoever starts it from Linux.
        for launcher in ([], ["mcexec"]):
            result = run("setpriv", "--reuid", str(NOBODY), "--clear-groups", *launcher, unreadable, "again")
            assert result.returncode == 6, (launcher, result)


@claim
def what_belongs_to_root_is_only_roots_to_look_at():
    look = ("cat /proc/$p/environ | wc -c; ls /proc/$p/fd | wc -l; readlink /proc/$p/exe; cat /proc/$p/maps | wc -l; kill -0 $p; "
            "echo $?; kill -9 $p; wait $p; echo $?")
    with folder() as place:
        path = copied("/bin/sleep", f"{place}/sleep", 0o4755)
        as_user(NOBODY, "/bin/bash", "-c", f"(exec 2>&1; {path} 3 & p=$!; sleep 1; {look}) | sed -E 's/[0-9]{{3,}}/N/g'")


@claim
def whoever_looks_from_linux_sees_the_program():
    with folder() as place:
        path = copied("/bin/bash", f"{place}/a shell", 0o755)
        with start(MCEXEC, path, "-c", "sleep 100 & echo $! $$; wait") as shell:
            child, parent = shell.stdout.readline().split()
            try:
                wait_until(lambda: os.readlink(f"/proc/{child}/exe").endswith("/sleep"), "the child is sleep")
                assert os.readlink(f"/proc/{parent}/exe") == path
                assert os.path.samefile(f"/proc/{parent}/exe", path)
                os.rename(path, f"{place}/another")
                assert os.readlink(f"/proc/{parent}/exe") == f"{place}/another"
                with contextlib.suppress(OSError), open(f"{place}/another", "r+b"):
                    assert False, "a program that runs was written"
                os.remove(f"{place}/another")
                assert os.readlink(f"/proc/{parent}/exe") == f"{place}/another (deleted)"
                assert check(f"/proc/{parent}/exe", "-c", "echo $0") == f"/proc/{parent}/exe\n"
            finally:
                os.kill(int(child), signal.SIGKILL)
                shell.kill()


@claim
def mcexec_in_a_program_is_mcexec():
    again = "readlink /proc/self/exe; tr '\\0' ' ' </proc/self/cmdline; nproc"
    for command in (("mcexec", "/bin/echo", "hello"), ("mcexec", "sh", "-c", again), ("sh", "-c", f"exec mcexec sh -c \"{again}\""),
                    ("mcexec", "mcexec", "mcexec", "sh", "-c", again), ("mcexec", "/nothing"), ("mcexec",)):
        once, twice = run(MCEXEC, "sh", "-c", shlex.join(command)), run(MCEXEC, *command) if command[0] == "sh" else run(*command)
        assert (once.returncode, once.stdout, once.stderr) == (twice.returncode, twice.stdout, twice.stderr), (command, once, twice)


@claim
def a_program_is_named_only_after_what_one_may_execute():
    name = ("import fcntl, os, sys\n"
            "device = os.open('/dev/mcos0', os.O_RDWR)\n"
            "for path in sys.argv[1:]:\n"
            "    try:\n"
            f"        fcntl.ioctl(device, {EXECUTABLE}, os.open(path, os.O_RDONLY))\n"
            "        print(os.readlink('/proc/self/exe'))\n"
            "    except OSError as error: print(os.strerror(error.errno))\n"
            "try: fcntl.ioctl(device, " f"{EXECUTABLE}, 999)\n"
            "except OSError as error: print(os.strerror(error.errno))\n")
    with folder() as place, open(f"{place}/written", "wb") as writer:
        os.fchmod(writer.fileno(), 0o755)
        os.mkdir(f"{place}/mount")
        check("mount", "-t", "tmpfs", "-o", "noexec,mode=755", "none", f"{place}/mount")
        try:
            readable = copied("/bin/true", f"{place}/set", 0o4754)
            paths = [readable, copied("/bin/true", f"{place}/mount/true", 0o755), place, writer.name, "/dev/null", "/bin/true"]
            user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
            said = check(*user, "python3", "-c", name, *paths).splitlines()
        finally:
            check("umount", f"{place}/mount")
    denied = "Permission denied"
    assert said == [denied, denied, denied, "Text file busy", denied, os.path.realpath("/bin/true"), "Bad file descriptor"], said


def announced(*words, timeout=60):
    """What somebody who belongs to nobody gets from announcing an execution himself."""
    user = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    return run(*user, program("announced"), *words, timeout=timeout)


@claim
def an_announcement_is_its_threads_and_its_programs():
    natively = announced("not", "/usr/bin/nproc", "--all").stdout
    assert announced("plain", "/usr/bin/nproc", "--all").stdout != natively, "as announced it runs on the co-kernel"
    for _ in range(20):
        result = announced("thread", "/usr/bin/nproc", "--all")
        assert (result.returncode, result.stdout) == (0, natively), result
    with folder() as place:
        # Runs what its first argument says if it is mcexec, with the rights of the program.
        own = copied(program("executed"), f"{place}/own", 0o4755)
        for _ in range(20):
            result = announced("thread", own, "/bin/echo", "by hand")
            assert "by hand" not in result.stdout.splitlines() and "argument 1: /bin/echo" in result.stdout, result


@claim
def nobody_announces_higher_limits_than_he_has():
    limited = "ulimit -Ss 4096; ulimit -Hs 8192; exec"
    told = announced("not", "/bin/bash", "-c", f"{limited} {program('announced')} limits /bin/bash -c 'ulimit -s; ulimit -Hs'")
    assert told.stdout == "8192\n8192\n", told


@claim
def an_execution_with_requests_under_way_ends():
    for way in ("ring", "plain"):
        result = announced(way, "/bin/echo", "here")
        assert (result.returncode, result.stdout) == (0, "here\n"), (way, result)
    same_both_ways(program("announced"), "ring", "/bin/true")


@claim
def without_room_mcexec_is_not_started_by_hand():
    with folder() as place:
        able = copied(program("executed"), f"{place}/able", 0o755)
        give(able, 1 << CAP_NET_RAW)
        for mebibytes in range(1, 17):
            for quarter in range(0, 4):
                result = announced("narrow", str((4 * mebibytes + quarter) << 18), able, "/bin/echo", "by hand")
                assert "by hand" not in result.stdout.splitlines(), result


@claim
def no_other_format_gets_a_programs_rights():
    with folder() as place:
        interpreter = copied(program("executed"), f"{place}/interpreter", 0o755)
        own = copied(program("exec_as"), f"{place}/own", 0o4755)
        os.symlink(own, f"{place}/link.extx")
        with formats({"name": f":E::extx::{interpreter}:"}):
            natively = announced("not", f"{place}/link.extx")
            assert f"users {NOBODY} {NOBODY} {NOBODY}" in natively.stdout, natively
            # Whoever is loaded last is asked first.
            for _ in ("binfmt_misc", "mcctrl"):
                result = announced("plain", f"{place}/link.extx")
                assert f"users {NOBODY} 0" not in result.stdout, result
                check("mcstop")
                run("rmmod", "mcctrl")
                mcreboot()
                everybody_may()


@contextlib.contextmanager
def formats(rules):
    """Registers formats by name."""
    is_there = os.path.exists(f"{MISC}/register")
    if not is_there:
        check("mount", "-t", "binfmt_misc", "none", MISC)
    try:
        for name, rule in rules.items():
            with open(f"{MISC}/register", "w") as file:
                file.write(f":{name}{rule}")
        yield
    finally:
        for name in rules:
            if os.path.exists(f"{MISC}/{name}"):
                with open(f"{MISC}/{name}", "w") as file:
                    file.write("-1")
        if not is_there:
            check("umount", MISC)


@claim
def formats_of_the_administrator_run():
    with folder() as place:
        handler = written(f"{place}/handler", b"#!/bin/sh\necho handler \"$@\"\n")
        interpreter = copied(program("executed"), f"{place}/interpreter", 0o755)
        rules = {"text": f":M::MTEXT::{handler}:", "name": f":E::extx::{handler}:", "elf": f":M::MELF::{interpreter}:",
                 "argv": f":M::MARGV::{interpreter}:P", "open": f":M::MOPEN::{interpreter}:O", "creds": f":M::MCRED::{interpreter}:C",
                 "fixed": f":M::MFIXED::{interpreter}:F", "none": ":M::MNONE::/nothing:"}
        files = {"text": "MTEXT", "a.extx": "x", "elf": "MELF", "argv": "MARGV", "open": "MOPEN", "creds": "MCRED", "fixed": "MFIXED",
                 "none": "MNONE", "unknown": "MUNKNOWN"}
        with formats(rules):
            for name, text in files.items():
                path = written(f"{place}/{name}", f"{text} data\n".encode(), 0o4755, (1001, 1001))
                for user in (0, NOBODY):
                    as_user(user, path, "a", "b")


@claim
def programs_for_other_machines_run_by_a_format():
    with folder() as place:
        interpreter = copied(program("executed"), f"{place}/interpreter", 0o755)
        with open(program("executed"), "rb") as file:
            elf = bytearray(file.read())
        elf[18] = 0xb7
        foreign = written(f"{place}/foreign", elf)
        as_user(NOBODY, foreign, "a")
        with formats({"foreign": f":M:18:\\xb7\\x00::{interpreter}:"}):
            as_user(NOBODY, foreign, "a")


@claim
def the_environment_is_untouched():
    env = {"PATH": os.environ["PATH"], "MCEXEC_RESUME": "1,2,3", "MCEXEC_OS": "7", "MCEXEC": "x", "MCKERNEL_CPU": "5", "LD_BIND_NOW": "1"}
    for variables in (env, {"PATH": env["PATH"]}, {}):
        for command in (("/usr/bin/env",), ("/bin/sh", "-c", "env; exec env"), ("/bin/sh", "-c", "/bin/sh -c env | sort"),
                        (program("exec_as"), "0", "0", "--", program("executed"), "MCEXEC_RESUME=1"),
                        (program("exec_as"), "0", "0", "--", "/usr/bin/env", "MCEXEC_RESUME=9,9", "/usr/bin/env")):
            same_both_ways(*command, env=variables)
    same_both_ways("/bin/sh", "-c", "tr '\\0' '\\n' </proc/self/environ; tr '\\0' ' ' </proc/self/cmdline", env=env)
    same_both_ways("/bin/sh", "-c", "exec tr '\\0' '\\n' </proc/self/environ", env=env)


@claim
def many_execute_at_once():
    # Each announces while others are between their file and their first instruction.
    loops = "for i in {1..25}; do /bin/sh -c 'exit 3'; [ $? = 3 ] || echo $?; done"
    same_both_ways("/bin/bash", "-c", f"for j in {{1..8}}; do ({loops}) & done; wait")


@claim
def three_hundred_executions_leave_nothing():
    in_a_row = 'i=${1:-0}; [ $i -ge 300 ] && exec echo end; exec /bin/sh "$0" $((i + 1))'
    with folder() as place:
        script = written(f"{place}/script", in_a_row.encode())
        same_both_ways("/bin/sh", script)
        before = idle_usage()
        same_both_ways("/bin/sh", script)
        nothing_is_left_of(before)
        same_both_ways("/bin/bash", "-c", "for i in {1..100}; do /bin/true || echo $?; (exit 3); done; ls /proc/self/fd | wc -l")
        same_both_ways("/bin/bash", "-c", "for i in {1..100}; do /nothing 2>/dev/null; done; echo $?")
        nothing_is_left_of(before)


mcreboot()
hello_works()
run_all(everybody_may)
