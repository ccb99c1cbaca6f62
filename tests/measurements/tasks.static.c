// SPDX-License-Identifier: GPL-2.0
// Tasks of system calls and computation, done in three ways: `cargo xtask bench tasks`.
// Usage: tasks tasks_MODE_CALLS_LOOPS…   prints one line per name: "NAME NANOSECONDS" per task, the median of its batches.
//
// A task is CALLS times (a system call, LOOPS steps of computation). MODE: "plain" makes the calls as usual; "flexsc"
// posts a task's calls, computes, and collects the results of earlier tasks; "sakura" posts the task as a function.
#include "mckernel.h"
#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BATCHES = 5, FIRST_TASKS = 50, MOST_TASKS = 1000, BATCH_NS = 20000000, ENTRIES = 256, OUTSTANDING = 128 };

struct task {
	int calls, loops;
};

static mk_queue *queue;
static pid_t parent;

static void fail(const char *what, long code)
{
	fprintf(stderr, "tasks: %s: %s\n", what, strerror((int)-code));
	exit(1);
}

static int64_t do_task(void *argument)
{
	const struct task *task = argument;
	int64_t sum = 0;
	for (int i = 0; i < task->calls; i++) {
		sum += syscall(SYS_getppid);
		compute_steps(task->loops);
	}
	return sum;
}

// Handles of what is under way, oldest first; each has this result.
static struct {
	mk_handle handles[OUTSTANDING];
	unsigned first, count;
} under_way;

static void collect(int64_t expected)
{
	int64_t result;
	int error = mk_wait(queue, under_way.handles[under_way.first], &result);
	if (error || result != expected)
		fail("wrong result", error);
	under_way.first = (under_way.first + 1) % OUTSTANDING;
	under_way.count--;
}

static void remember(mk_handle handle, int64_t expected)
{
	if (handle < 0)
		fail("post", handle);
	if (under_way.count == OUTSTANDING)
		collect(expected);
	under_way.handles[(under_way.first + under_way.count++) % OUTSTANDING] = handle;
}

static void plain(struct task *task) { do_task(task); }

static void flexsc(struct task *task)
{
	static const struct mk_call call = { SYS_getppid, { 0 } };
	for (int i = 0; i < task->calls; i++)
		remember(mk_post(queue, &call, 0), parent);
	compute_steps(task->calls * task->loops);
}

static void sakura(struct task *task)
{
	remember(sakura_call(queue, do_task, task, 0), (int64_t)task->calls * parent);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double measure(void (*mode)(struct task *), struct task *task, int64_t result)
{
	double v[BATCHES];
	// The first batch warms up, and says how many tasks the others have.
	int tasks = FIRST_TASKS;
	for (int b = -1; b < BATCHES; b++) {
		uint64_t t = now_ns();
		for (int i = 0; i < tasks; i++)
			mode(task);
		while (under_way.count > 0)
			collect(result);
		double each = (double)(now_ns() - t) / tasks;
		if (b >= 0)
			v[b] = each;
		else if (each * MOST_TASKS > BATCH_NS)
			tasks = BATCH_NS / each < FIRST_TASKS ? FIRST_TASKS : (int)(BATCH_NS / each);
		else
			tasks = MOST_TASKS;
	}
	qsort(v, BATCHES, sizeof *v, by_value);
	return v[BATCHES / 2];
}

static double figure(const char *name)
{
	static const struct {
		const char *name;
		void (*function)(struct task *);
	} modes[] = { { "plain", plain }, { "flexsc", flexsc }, { "sakura", sakura } };
	struct task task;
	char mode[16];
	if (sscanf(name, "tasks_%15[a-z]_%d_%d", mode, &task.calls, &task.loops) == 3 && task.calls > 0 && task.loops >= 0)
		for (int i = 0; i < 3; i++)
			if (!strcmp(modes[i].name, mode))
				return measure(modes[i].function, &task, parent * (i == 2 ? (int64_t)task.calls : 1));
	fprintf(stderr, "tasks: %s: no such measurement\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	int error = mk_queue_open(&queue, ENTRIES);
	parent = getppid();
	if (error)
		fail("queue", error);
	for (int i = 1; i < argc; i++)
		printf("%s %.1f\n", argv[i], figure(argv[i]));
	return 0;
}
