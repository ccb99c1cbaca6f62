#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about quiet: a computing core is not interrupted, whatever Linux does meanwhile."""

import os
import signal
import subprocess
import time

from scene import claim, mcreboot, program, query_usage, run_all, start

SECONDS = 10


@claim
def no_interrupts_on_a_computing_core():
    mcreboot()
    computing = start("mcexec", "-c", "1", program("compute"))
    time.sleep(1.5)
    before = query_usage()["interrupts"]
    busy = subprocess.Popen(["sh", "-c", "while :; do ls -R /usr/lib >/dev/null; sync; done"], start_new_session=True)
    time.sleep(SECONDS)
    after = query_usage()["interrupts"]
    os.killpg(busy.pid, signal.SIGKILL)
    assert len(before) == len(after) == 2 and after[1] - before[1] == 0, (before, after)
    assert computing.poll() is None, "it ended too early to mean anything"
    computing.kill()
    computing.communicate(timeout=20)


run_all()
