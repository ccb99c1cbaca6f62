#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Claims about programs with threads as they come: OpenMP, Python; and what is left of them."""

import signal

from scene import (check, claim, idle_usage, make_healthy, mcreboot, nothing_is_left_of, program, run, run_all, start,
                   usage, wait_until)

OPENMP = r"""
#include <omp.h>
#include <stdio.h>
int main(void)
{
	double sum = 0;
	int threads = 0;
	#pragma omp parallel
	{
		#pragma omp single
		threads = omp_get_num_threads();
		#pragma omp for reduction(+ : sum) schedule(dynamic, 1000)
		for (int i = 1; i <= 1000000; i++)
			sum += 1.0 / i;
	}
	printf("%d %d %.6f\n", omp_get_num_procs(), threads, sum);
	return 0;
}
"""

PYTHON = """
import os, queue, threading
q, lock, total = queue.Queue(), threading.Lock(), 0
def work():
    global total
    while (item := q.get()) is not None:
        with lock:
            total += item
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for i in range(5000): q.put(i)
for _ in threads: q.put(None)
for t in threads: t.join()
ids = {threading.get_native_id()}
barrier = threading.Barrier(201)
def meet():
    ids.add(threading.get_native_id())
    barrier.wait()
crowd = [threading.Thread(target=meet) for _ in range(200)]
for t in crowd: t.start()
barrier.wait()
for t in crowd: t.join()
print(total, len(ids), len(os.listdir("/proc/self/task")))
"""


@claim
def openmp_uses_exactly_the_cokernels_cores():
    with open("/root/omp.c", "w") as file:
        file.write(OPENMP)
    check("gcc", "-O2", "-fopenmp", "-o", "/root/omp", "/root/omp.c")
    native = check("/root/omp").split()
    assert check("mcexec", "/root/omp").split() == ["2", "2", native[2]]


@claim
def python_threads_work_and_few_workers_stay():
    total, ids, tasks = map(int, check("mcexec", "python3", "-c", PYTHON).split())
    assert (total, ids) == (sum(range(5000)), 201), (total, ids)
    assert tasks <= 40, f"{tasks} threads of mcexec"


@claim
def a_crowd_of_threads_leaves_nothing_behind():
    # The first crowd makes the co-kernel's own tables as large as they get.
    check("mcexec", program("threads"), "five_hundred_threads_live_at_once")
    before = idle_usage()
    for name in ("five_hundred_threads_live_at_once", "exit_ends_threads_that_run_or_wait"):
        check("mcexec", program("threads"), name)
        nothing_is_left_of(before)


@claim
def killed_with_many_threads_leaves_nothing_behind():
    before = idle_usage()
    sleepers = "import threading, time; [threading.Thread(target=time.sleep, args=(60,)).start() for _ in range(20)]"
    process = start("mcexec", "python3", "-c", sleepers)
    wait_until(lambda: usage()["threads"] > before["threads"] + 15, "threads are there")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    nothing_is_left_of(before)


mcreboot()
run_all(make_healthy)
