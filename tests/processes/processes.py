#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about fork, exec, wait and signals between processes. Native Linux in the same boot says what is right."""

import os
import signal
import time

from scene import (check, claim, hello_works, idle_usage, make_healthy, mcreboot, nothing_is_left_of, program, query_usage, run, run_all,
                   start, usage, wait_until)

# Stacks and tables of the co-kernel that stay for the next program, frames.
CACHED = 64


def same_both_ways(*argv, **options):
    native, ours = run(*argv, **options), run("mcexec", *argv, **options)
    expected, got = ((result.returncode, result.stdout, result.stderr) for result in (native, ours))
    assert got == expected, f"natively {expected}, under mcexec {got}"
    return native


def bash(script, **options):
    return same_both_ways("/bin/bash", "-c", script, **options)


def python(script, **options):
    # Python counts the threads of the proxy.
    result = same_both_ways("/usr/bin/python3", "-W", "ignore::DeprecationWarning", "-c", script, **options)
    assert result.returncode == 0, result


def alive():
    now = query_usage()
    return now["processes"], now["threads"], now["slots"]


def all_ended():
    wait_until(lambda: alive() == (0, 0, 0), f"all processes gone: {alive()}")


@claim
def pipelines_and_substitutions_work():
    bash("ls / | sort -r | head -5 | wc -l; echo $(seq 3 | tr '\\n' '+')0 `echo old`; diff <(echo a) <(echo b); echo $? ${PIPESTATUS[*]}")
    bash("cat <<X | tr a-z A-Z\nhere $((1 + 2))\nX\ncat <<< string; read -r a b < <(echo one two); echo $b $a")
    bash("set -o pipefail; (exit 3) | cat; echo $?; false | true | false; echo ${PIPESTATUS[@]}")


@claim
def subshells_keep_their_changes_to_themselves():
    bash("x=1; cd /; (x=2; cd /tmp; umask 077; echo $x $PWD $BASHPID | wc -w); echo $x $PWD; umask")
    bash("f() { local i; for i in 1 2 3; do (exit $i); echo $?; done; }; f; (trap 'echo bye' EXIT; exit 4); echo $?")


@claim
def traps_run_for_signals_between_processes():
    bash("trap 'echo usr1' USR1; kill -USR1 $$; (kill -USR1 $$); sleep 0.05; echo done")
    bash("trap 'echo child' CHLD; (exit 1); /bin/true; wait; echo end")
    bash("(trap 'echo term; exit 9' TERM; echo r; while :; do sleep 0.05; done) > o & p=$!; while ! grep -q r o; do :; done; "
         "kill $p; wait $p; echo $?; cat o")
    bash("exec 2>/dev/null; sleep 30 & kill -9 $!; wait $!; echo $?; sleep 30 & kill $!; wait $!; echo $?")
    bash("trap '' INT; bash -c 'kill -INT $$; echo survived'; trap - INT; bash -c 'kill -INT $$; echo survived'; echo $?")


@claim
def exit_statuses_and_signals_reach_the_parent():
    python("import os, signal\n"
           "for end in (0, 1, 77, 255): print(os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit(end), 0)[1]))\n"
           "for number in (1, 2, 6, 9, 11, 13, 14, 15, 24):\n"
           "    p = os.fork()\n"
           "    if not p:\n"
           "        signal.signal(number, signal.SIG_DFL) if number != 9 else 0\n"
           "        os.kill(os.getpid(), number); signal.pause()\n"
           "    s = os.waitpid(p, 0)[1]; print(os.WIFSIGNALED(s), os.WTERMSIG(s))\n"
           "print(os.getpid() == os.getppid(), os.getpgrp() == os.getpid())\n"
           "try: os.wait()\n"
           "except ChildProcessError: print('none left')")


@claim
def memory_of_parent_and_child_is_apart():
    python("import os, ctypes\n"
           "big = bytearray(b'p' * (8 << 20)); r, w = os.pipe()\n"
           "if not os.fork():\n"
           "    print(big.count(b'p'), flush=True); big[:] = b'c' * len(big); os.write(w, b'x'); os._exit(big.count(b'c') != len(big))\n"
           "os.read(r, 1); print(big.count(b'p'), os.wait()[1])\n"
           "big[5] = 0; pids = []\n"
           "for i in range(4):\n"
           "    p = os.fork()\n"
           "    if not p:\n"
           "        big[i * 4096] = i + 1; os._exit(big[i * 4096] - i - 1 + sum(big[j * 4096] != 112 for j in range(8) if j != i))\n"
           "    pids.append(p)\n"
           "print([os.waitpid(p, 0)[1] for p in pids], big[0], big[5])")


@claim
def shared_anonymous_memory_stays_shared():
    python("import mmap, os\n"
           "m = mmap.mmap(-1, 4 << 20); m[0] = 1\n"
           "if not os.fork(): m[0] = 7; m[3 << 20] = 9; os._exit(0)\n"
           "os.wait(); print(m[0], m[3 << 20])")


@claim
def delegated_calls_see_the_right_copy():
    python("import os\n"
           "b = bytearray(1 << 16); r, w = os.pipe(); os.write(w, b'A' * 1000)\n"
           "if not os.fork(): print(os.readv(r, [b]), b[:3], flush=True); os._exit(0)\n"
           "os.wait(); print(b[:3]); os.write(w, b'B' * 500); print(os.readv(r, [b]), b[:3])")


@claim
def spawning_a_missing_program_is_reported():
    python("import os, subprocess\n"
           "for what in (['/nope'], ['/etc/passwd'], ['/'], ['nope-in-path']):\n"
           "    try: subprocess.run(what)\n"
           "    except OSError as error: print(error.errno)\n"
           "    try: os.posix_spawn(what[0], what, {})\n"
           "    except OSError as error: print(error.errno)\n"
           "print(os.system('exit 5'), os.popen('echo popen').read())")


@claim
def failed_exec_leaves_the_program_running():
    python("import os\n"
           "for path in ('/nope', '/etc/passwd', '/', '/etc/passwd/x', '', 'x' * 5000):\n"
           "    try: os.execv(path, ['x'])\n"
           "    except (OSError, ValueError) as error: print(repr(error)[:40])\n"
           "try: os.execv('/bin/true', ['x' * 200000])\n"
           "except OSError as error: print(error.errno)\n"
           "open('made', 'w').write('still here'); print(open('made').read())")


@claim
def exec_passes_arguments_environment_and_descriptors():
    python("import os\n"
           "r, w = os.pipe(); os.set_inheritable(w, True); k = os.open('/dev/null', os.O_RDONLY)\n"
           "if not os.fork():\n"
           "    os.chdir('/'); os.execve('/bin/bash', ['own name', '-c', f'echo $0 \"$@\" $V $PWD >&{w}; [ -e /proc/self/fd/{k} ]; echo $? >&{w}; "
           "env | sort >&{w}', 'zero', 'a b', ''], {'V': 'v w', 'PATH': '/bin'})\n"
           "os.wait(); os.close(w); print(os.read(r, 9999))")
    same_both_ways("/usr/bin/env", "-i", "/usr/bin/env")
    same_both_ways("/usr/bin/env", "-i", "A=1", "/bin/cat", "/proc/self/comm")
    with open("script", "w") as script:
        script.write("#!/bin/sh\necho $0 $*\n")
    os.chmod("script", 0o755)
    bash("./script a b; exec ./script c")


@claim
def signal_mask_and_ignored_signals_survive_exec():
    python("import os, signal\n"
           "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGHUP, lambda *_: 0)\n"
           "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGUSR1])\n"
           "os.execv('/usr/bin/python3', ['python3', '-c', 'import signal; print(sorted(map(int, signal.pthread_sigmask(0, [])))); "
           "print(signal.getsignal(15), signal.getsignal(1))'])")


@claim
def waiting_signals_survive_exec():
    python("import os, signal\n"
           "signal.signal(signal.SIGUSR1, lambda *_: print('handler')); n = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN]\n"
           "signal.pthread_sigmask(signal.SIG_BLOCK, n); [os.kill(os.getpid(), s) for s in n]\n"
           "try: os.execv('/nope', ['x'])\n"
           "except OSError: print(sorted(map(int, signal.sigpending())), flush=True)\n"
           "os.execv('/usr/bin/python3', ['python3', '-c', 'import signal; p = signal.sigpending(); print(sorted(map(int, p))); "
           "print([signal.sigtimedwait(p, 0).si_signo for _ in p], signal.sigpending())'])")


@claim
def blocked_signals_wait_instead_of_killing():
    python("import os, signal\n"
           "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGTSTP])\n"
           "child = os.fork()\n"
           "if not child:\n"
           "    for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGTSTP): os.kill(os.getppid(), n)\n"
           "    os._exit(0)\n"
           "os.waitpid(child, 0); print(sorted(map(int, signal.sigpending())))\n"
           "print(signal.sigtimedwait([signal.SIGUSR1], 1).si_signo, signal.sigtimedwait([signal.SIGUSR1], 0.01))\n"
           "signal.signal(signal.SIGTERM, lambda *_: print('handled')); signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])\n"
           "signal.signal(signal.SIGTSTP, signal.SIG_IGN); print(sorted(map(int, signal.sigpending())))")
    result = bash("python3 -c 'import os, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); os.system(f\"kill {os.getpid()}\"); "
                  "print(1, flush=True); signal.pthread_sigmask(signal.SIG_UNBLOCK, [15]); print(2)'; echo $?")
    assert "143" in result.stdout, result


@claim
def waiting_calls_with_a_mask_end_by_the_signal():
    same_both_ways("/usr/bin/perl", "-MPOSIX", "-e", "$SIG{USR1} = sub { print qq(handler\\n) }; $s = POSIX::SigSet->new(SIGUSR1); "
                   "sigprocmask(SIG_BLOCK, $s); if (!($p = fork)) { kill USR1, getppid; exit } waitpid $p, 0; print qq(blocked\\n); "
                   "sigsuspend(POSIX::SigSet->new); print qq(end\\n)")


@claim
def stopped_and_continued_children_are_reported():
    python("import os, signal\n"
           "p = os.fork()\n"
           "if not p: os.kill(os.getpid(), signal.SIGSTOP); os._exit(3)\n"
           "s = os.waitpid(p, os.WUNTRACED)[1]; print(os.WIFSTOPPED(s), os.WSTOPSIG(s)); os.kill(p, signal.SIGCONT)\n"
           "print(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]))")


@claim
def sessions_and_process_groups_are_linuxs():
    python("import os, signal\n"
           "p = os.fork()\n"
           "if not p: os.setsid(); os._exit(os.getsid(0) != os.getpid() or os.getpgrp() != os.getpid())\n"
           "print(os.wait()[1]); r, w = os.pipe()\n"
           "p = os.fork()\n"
           "if not p: os.setpgid(0, 0); os.write(w, b'x'); signal.pause()\n"
           "os.read(r, 1); os.killpg(p, signal.SIGTERM); print(os.wait()[1])")


@claim
def python_multiprocessing_works():
    python("import multiprocessing as m\n"
           "def f(x): return x * x\n"
           "p = [m.Process(target=print, args=(i,)) for i in range(3)]\n"
           "for q in p: q.start(); q.join()\n"
           "r, w = m.Pipe(); q = m.Process(target=w.send, args=([1, 2],)); q.start(); print(r.recv()); q.join(); print(q.exitcode)")


@claim
def perl_forks_and_executes():
    same_both_ways("/usr/bin/perl", "-e", "$| = 1; for (1..5) { if (!fork) { print qq(child $_\\n); exec '/bin/sh', '-c', qq(exit $_) } wait; "
                   "print $? >> 8, qq(\\n) } print `echo back`; open P, '-|', 'seq 3'; print <P>; close P; print $?")


@claim
def timeout_and_xargs_do_their_work():
    bash("exec 2>/dev/null; timeout 0.3 sleep 9; echo $?; timeout -s KILL 0.2 sleep 9; echo $?; timeout 9 echo fine; nice true; echo $?")
    bash("seq 40 | xargs -P4 -n1 echo | sort -n | cksum; seq 3 | xargs -I{} sh -c 'exit {}'; echo $?")


def project(folder):
    """A small program in C: a library, three parts, a Makefile."""
    os.makedirs(folder, exist_ok=True)
    files = {"Makefile": "CFLAGS = -O1 -Wall\nall: program\n\t./program a b > out\nprogram: main.o one.o libmore.a\n\t"
                         "$(CC) -o $@ main.o one.o -L. -lmore\nlibmore.a: two.o three.o\n\t$(AR) rcsD $@ $^\n"
                         "%.o: %.c parts.h\n\t$(CC) $(CFLAGS) -c $<\nclean:\n\trm -f *.o *.a program out\n",
             "parts.h": "#include <stdio.h>\n#include <string.h>\nint one(int); int two(int); int three(const char *);\n",
             "main.c": '#include "parts.h"\nint main(int c, char **v) { printf("%d %d %d\\n", one(c), two(c), three(v[1])); return 0; }\n'}
    for part, argument, value in (("one", "int x", "x + 1"), ("two", "int x", "one(x) * 2"), ("three", "const char *x", "two(strlen(x))")):
        files[f"{part}.c"] = f'#include "parts.h"\nint {part}({argument}) {{ return {value}; }}\n'
    for name, text in files.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)


@claim
def make_and_gcc_build_the_same_program():
    built = []
    for launcher in ((), ("mcexec",)):
        folder = "project" + "".join(launcher)
        project(folder)
        result = run(*launcher, "/usr/bin/make", "-j4", "-C", folder, "-Otarget", timeout=300)
        sums = check("bash", "-c", f"cd {folder}; cat out; cksum *.o *.a program")
        again = run(*launcher, "/usr/bin/make", "-C", folder, "-q", "program")
        clean = run(*launcher, "/usr/bin/make", "-s", "-C", folder, "clean")
        built.append((result.returncode, sorted(result.stdout.replace(folder, "").split("\n")), sums, again.returncode, clean.returncode))
    assert built[0][0] == 0 and built[0] == built[1], built


@claim
def shell_scripts_with_jobs_end_alike():
    bash("exec 2>/dev/null; set -m; sleep 30 & sleep 30 & jobs | wc -l; kill %2; wait %2; echo $?; kill %1; wait %1; echo $?; "
         "(exit 3) & wait $!; echo $?; sleep 30 & kill -STOP %%; wait %%; echo $?; kill -KILL %%")
    bash("coproc cat; echo through >&${COPROC[1]}; read -r x <&${COPROC[0]}; echo $x; f() { trap 'echo return' RETURN; return 4; }; f; echo $?")
    bash("x=$(cat <<-'A'; cat <<B\n\tone $no\n\tA\n${HOME:+two}\nB\n); echo \"$x\"; { time -p true; } 2>/dev/null; exec 5<>file; echo five >&5; cat file")


@claim
def python_subprocesses_and_signals_work():
    python("import subprocess, signal, sys\n"
           "p = subprocess.Popen(['cat'], stdin=-1, stdout=-1, text=True); print(p.communicate('a\\nb\\n'), p.returncode)\n"
           "print(subprocess.run('echo out; echo err >&2; exit 6', shell=True, capture_output=True))\n"
           "try: subprocess.run(['sleep', '30'], timeout=0.3)\n"
           "except subprocess.TimeoutExpired: print('timeout')\n"
           "p = subprocess.Popen(['sleep', '30']); p.send_signal(signal.SIGINT); print(p.wait())\n"
           "print([subprocess.Popen([sys.executable, '-c', f'exit({n})']).wait() for n in range(3)])\n"
           "signal.signal(signal.SIGALRM, lambda *_: print('alarm')); signal.setitimer(signal.ITIMER_REAL, 0.1); signal.pause()\n"
           "signal.signal(signal.SIGPROF, lambda *_: print('prof')); signal.setitimer(signal.ITIMER_PROF, 0.05)\n"
           "import time; t = time.monotonic()\nwhile time.monotonic() < t + 0.5: pass\n")


@claim
def two_hundred_short_processes_leave_nothing_behind():
    def fan_out(count):
        script = f"seq {count} | xargs -P8 -n1 /bin/echo | sort -n | cksum"
        out = check("mcexec", "/bin/bash", "-c", script, timeout=300)
        all_ended()
        assert out == check("/bin/bash", "-c", f"seq {count} | cksum"), out
        return usage()

    first, second = fan_out(200), fan_out(40)
    assert second["frames_free"] >= first["frames_free"] - CACHED and second["frames_pinned"] == 0, (first, second)


@claim
def death_between_two_programs_leaves_nothing_behind():
    hello_works()
    before = idle_usage()
    for _ in range(150):
        # No thread for mcexec itself: the process ends when its old program is gone, its new one not there.
        result = run("mcexec", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c",
                     "ulimit -p 1; exec true")
        assert result.returncode == 1 and result.stderr.startswith("mcexec: control thread: "), result
    # For ten seconds it could still begin.
    time.sleep(11)
    hello_works()
    nothing_is_left_of(before)


@claim
def limited_fork_bomb_leaves_nothing_behind():
    all_ended()
    before = usage()
    script = ("import os, resource, time\n"
              "os.setuid(65534); resource.setrlimit(resource.RLIMIT_NPROC, (60, 60)); n = 0\n"
              "try:\n"
              "    while True:\n"
              "        if not os.fork(): time.sleep(20); os._exit(0)\n"
              "        n += 1\n"
              "except BlockingIOError: print(n > 5, flush=True)\n"
              "os.killpg(0, 9)")
    result = run("mcexec", "/usr/bin/python3", "-c", script, start_new_session=True)
    assert (result.returncode, result.stdout) == (-9, "True\n"), result
    all_ended()
    assert usage()["frames_free"] > before["frames_free"] - 4096, (before, usage())
    hello_works()


@claim
def killing_a_parent_leaves_its_child_running():
    bash("exec 2>/dev/null; rm -f ready orphan; (sh -c 'echo > ready; while ! [ -e go ]; do sleep 0.05; done; echo orphan > orphan' & exec sleep 30) & "
         "while ! [ -e ready ]; do sleep 0.05; done; kill -9 $!; wait $!; echo $?; > go; while ! [ -s orphan ]; do sleep 0.05; done; cat orphan; rm go")


@claim
def processors_of_another_process_are_seen_and_set():
    python("import os, time\n"
           "if not (child := os.fork()):\n"
           "    while len(os.sched_getaffinity(0)) > 1: time.sleep(0.01)\n"
           "    print(os.sched_getaffinity(0), os.sched_getaffinity(os.getppid()), flush=True); time.sleep(30)\n"
           "os.sched_setaffinity(child, {1}); time.sleep(0.5); print(os.sched_getaffinity(child), flush=True)\n"
           "if not (other := os.fork()):\n"
           "    os.setuid(65534)\n"
           "    for pid, cpus in (child, {0}), (child, {}), (0, {}), (2 ** 22, {0}), (-1, {0}):\n"
           "        try: os.sched_setaffinity(pid, cpus)\n"
           "        except OSError as error: print(error.errno, os.sched_getaffinity(child), flush=True)\n"
           "    os._exit(0)\n"
           "os.waitpid(other, 0); os.kill(child, 9); print(os.waitpid(child, 0)[1])")


@claim
def vfork_shares_memory_until_exec():
    same_both_ways(program("fork"), "vfork")


@claim
def clone_stores_ids_and_registers_survive():
    same_both_ways(program("fork"), "ids")
    same_both_ways(program("fork"), "registers")


@claim
def advice_for_fork_is_followed():
    same_both_ways(program("fork"), "advice")


os.chdir("/root")
mcreboot()
hello_works()
run_all(make_healthy)
