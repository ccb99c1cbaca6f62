#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about signals from Linux's side: storms, terminals, what is left behind. Native Linux says what is right."""

import os
import pty
import select
import signal
import subprocess
import time

from scene import claim, idle_usage, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, wait_until

STORM_LIMIT_S = 240


def start(*argv):
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


@claim
def a_thousand_signals_in_every_wait_are_counted():
    native = run(program("signal_storm"), "storm_in_a_futex", timeout=STORM_LIMIT_S)
    assert native.returncode == 0, native
    # The first storm makes the co-kernel's own queues as large as they get.
    assert run("mcexec", program("signal_storm"), "storm_without_pause", timeout=STORM_LIMIT_S).returncode == 0
    before = idle_usage()
    storm = start("mcexec", program("signal_storm"), "all")
    assert storm.stdout.readline() == "before\n"
    alone = threads(storm.pid)
    storm.stdin.write("\n")
    storm.stdin.flush()
    said = storm.stdout.readline()
    assert said == "after\n", said
    wait_until(lambda: threads(storm.pid) == alone, f"{alone} threads of mcexec again, not {threads(storm.pid)}")
    assert (storm.communicate("\n", timeout=20)[0], storm.returncode) == ("", 0), storm.returncode
    nothing_is_left_of(before)


WAITER = """
import os, signal, sys
count = [0, 0]
def handler(number, frame): count[number == signal.SIGUSR2] += 1
signal.signal(signal.SIGUSR1, handler); signal.signal(signal.SIGUSR2, handler)
print(os.getpid(), flush=True)
sys.stdin.readline()
print(count[0] > 0, count[1], flush=True)
"""


@claim
def linux_can_storm_a_program():
    waiter = start("mcexec", "/usr/bin/python3", "-c", WAITER)
    pid = int(waiter.stdout.readline())
    for _ in range(1000):
        os.kill(pid, signal.SIGUSR1)
    time.sleep(0.5)
    os.kill(pid, signal.SIGUSR2)
    time.sleep(0.5)
    assert waiter.communicate("\n", timeout=20)[0] == "True 1\n" and waiter.returncode == 0, waiter.returncode


class Terminal:
    """A shell at a terminal of its own, spoken to like a user would."""

    def __init__(self, *argv):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(argv[0], argv)
        self.text = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def see(self, wanted, limit_s=30):
        """Waits until the terminal shows `wanted` after what was seen before."""
        deadline = time.monotonic() + limit_s
        while wanted not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"no {wanted!r} in {self.text!r}"
            if select.select([self.fd], [], [], left)[0]:
                self.text += os.read(self.fd, 4096).decode(errors="replace")
        self.text = self.text.split(wanted, 1)[1]


def shell_at_terminal(*launcher):
    shell = Terminal(*launcher, "/bin/bash", "--norc", "--noediting", "-i")
    shell.type("PS1='rea''dy> '\n")
    shell.see("ready> ")
    return shell


def life_of_a_job(shell, job):
    shell.type(f"{job}\n")
    shell.see("began")
    shell.type("\x1a")
    shell.see("Stopped")
    shell.see("ready> ")
    shell.type("echo status $?\n")
    shell.see("status 148")
    shell.type("bg\n")
    shell.see("ready> ")
    shell.type("fg\n")
    time.sleep(0.5)
    shell.type("\x1a")
    shell.see("Stopped")
    shell.type("fg\n")
    time.sleep(0.5)
    shell.type("\x03")
    shell.see("ready> ")
    shell.type("echo status $?\n")
    shell.see("status 130")
    shell.type("jobs; exit 5\n")
    assert os.WEXITSTATUS(os.waitpid(shell.pid, 0)[1]) == 5
    os.close(shell.fd)


SLEEPER = "bash -c 'echo beg''an; sleep 1000'"
COMPUTER = "bash -c 'echo beg''an; while :; do :; done'"


@claim
def keys_stop_continue_and_interrupt_a_job():
    for job in (SLEEPER, COMPUTER):
        life_of_a_job(shell_at_terminal(), job)
        life_of_a_job(shell_at_terminal(), "mcexec /bin/" + job)


@claim
def a_shell_under_mcexec_controls_jobs():
    for job in (SLEEPER, COMPUTER):
        life_of_a_job(shell_at_terminal("mcexec"), job)


@claim
def keys_reach_a_handler():
    script = "import signal, time; signal.signal(2, lambda *_: print('int')); signal.signal(3, lambda *_: print('quit'))\n" \
             "print('began'); input(); input()"
    for launcher in ((), ("mcexec",)):
        terminal = Terminal(*launcher, "/usr/bin/python3", "-u", "-c", script)
        terminal.see("began")
        time.sleep(0.3)
        for key, answer in (("\x03", "int"), ("\x1c", "quit")):
            terminal.type(key)
            terminal.see(answer)
        terminal.type("\n\n")
        assert os.waitpid(terminal.pid, 0)[1] == 0
        os.close(terminal.fd)


@claim
def stops_and_continues_reach_waitpid_of_linux():
    for launcher in ((), ("mcexec",)):
        for job in (["/bin/sleep", "1000"], [program("wait"), "futex"]):
            child = subprocess.Popen([*launcher, *job], stdout=subprocess.DEVNULL)
            time.sleep(0.5)
            for _ in range(3):
                child.send_signal(signal.SIGSTOP)
                status = os.waitpid(child.pid, os.WUNTRACED)[1]
                assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGSTOP, status
                child.send_signal(signal.SIGCONT)
                assert os.WIFCONTINUED(os.waitpid(child.pid, os.WCONTINUED)[1])
            child.send_signal(signal.SIGTERM)
            assert child.wait(20) == -signal.SIGTERM


CLOCK = """
import sys, time
print('ready', flush=True)
sys.stdin.readline()
print(time.clock_gettime(time.CLOCK_REALTIME), flush=True)
"""


@claim
def a_step_of_the_clock_is_seen_at_once():
    reader = start("mcexec", "/usr/bin/python3", "-c", CLOCK)
    assert reader.stdout.readline() == "ready\n"
    before = time.clock_gettime(time.CLOCK_REALTIME)
    time.clock_settime(time.CLOCK_REALTIME, before + 100000)
    try:
        seen = float(reader.communicate("\n", timeout=20)[0])
        now = time.clock_gettime(time.CLOCK_REALTIME)
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) - 100000)
    assert before + 100000 <= seen <= now, (before, seen, now)


os.chdir("/root")
mcreboot()
run_all(make_healthy)
