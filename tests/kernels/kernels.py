#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What one boot can show of a kernel: programs, threads, death, cycles. Arguments: those of mcreboot."""

import signal
import sys

import smoke
from scene import (available_kib, check, claim, hello_works, idle_usage, memory_is_back, nothing_is_left_of,
                   online_cpus, program, query_usage, run, run_all, start,
                   wait_until)

# Its claims come first; they end with nothing booted.
MCREBOOT = ("mcreboot", *sys.argv[1:])


@claim
def threads_share_work():
    check(*MCREBOOT)
    claims = [("threads", name) for name in ("threads_start_and_end", "mutexes_exclude", "conditions_hand_over",
                                             "threads_spread_over_all_cores")]
    for of, name in [*claims, ("thread_signals", "a_signal_interrupts_the_call_of_its_thread")]:
        result = run("mcexec", program(of), name)
        assert result.returncode == 0, (name, result)


@claim
def files_are_mapped_and_processes_forked():
    command = ["bash", "-c", "for i in 1 2 3; do (echo $i | cat); done; python3 -c 'import mmap, os; "
               "f = open(\"/bin/bash\", \"rb\"); print(mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[1:4])'"]
    native, ours = run(*command), run("mcexec", *command)
    assert (native.returncode, native.stdout, native.stderr) == (ours.returncode, ours.stdout, ours.stderr), ours


@claim
def newest_calls_are_answered_as_natively():
    # 472 is new in Linux 7.3; what follows is nobody's yet. Nothing of them can succeed with such arguments.
    command = [sys.executable, "-c", "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
               "for call in range(472, 500): print(call, libc.syscall(call, -1, -1, -1, -1), ctypes.get_errno())"]
    native, ours = run(*command), run("mcexec", *command)
    assert native.returncode == 0 and native.stdout, native
    assert (native.returncode, native.stdout, native.stderr) == (ours.returncode, ours.stdout, ours.stderr), ours


@claim
def killed_programs_leave_nothing_behind():
    hello_works()
    before = idle_usage()
    for command in (("compute", "60"), ("threads", "five_hundred_threads_live_at_once")):
        victim = start("mcexec", program(command[0]), *command[1:])
        wait_until(lambda: query_usage()["processes"] > 0, "the program runs")
        victim.send_signal(signal.SIGKILL)
        victim.communicate(timeout=30)
        assert victim.returncode == -signal.SIGKILL, victim.returncode
        nothing_is_left_of(before)


@claim
def five_cycles_give_everything_back():
    check("mcstop")
    memory = available_kib()
    for _ in range(5):
        check(*MCREBOOT)
        hello_works()
        check("mcstop")
        assert online_cpus() == smoke.cpus_before, online_cpus()
    memory_is_back(memory)


run_all()
