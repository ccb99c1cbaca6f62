// SPDX-License-Identifier: GPL-2.0
/* Forks in ways that only C can: each argument is one, and what is printed must be the same natively. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int shared = 1;

static int wait_for(pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* The child's stores are the parent's until it executes a program or ends. */
static void try_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		shared = 2;
		usleep(50000);
		shared = 3;
		_exit(4);
	}
	printf("%d %d\n", shared, wait_for(pid));
	pid = vfork();
	if (pid == 0) {
		shared = 5;
		execl("/bin/sh", "sh", "-c", "exit 6", (char *)0);
		_exit(7);
	}
	printf("%d %d\n", shared, wait_for(pid));
	pid = vfork();
	if (pid == 0) {
		execl("/nowhere", "x", (char *)0);
		shared = 8;
		_exit(9);
	}
	printf("%d %d\n", shared, wait_for(pid));
}

static void try_ids(void)
{
	pid_t in_parent = 0, in_child = 0;
	long pid = syscall(SYS_clone, SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, 0, &in_parent, &in_child, 0);

	if (pid == 0)
		_exit(in_child == getpid() ? 3 : 4);
	printf("%d %d %d\n", in_parent == pid, in_child, wait_for(pid));
	/* The exit signal is not a signal. */
	printf("%ld\n", syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0));
}

static void try_registers(void)
{
	double sum = 0.1;
	static __thread int local = 11;

	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		sum += i;
		local++;
		if (pid == 0)
			_exit((int)(sum * 10) % 200 + local);
		printf("%d ", wait_for(pid) - (int)(sum * 10) % 200 - local);
	}
	printf("%.1f\n", sum);
}

static void try_advice(void)
{
	size_t bytes = 3 << 20;
	char *memory = mmap(0, 3 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	memset(memory, 1, 3 * bytes);
	printf("%d %d\n", madvise(memory, bytes, MADV_WIPEONFORK), madvise(memory + bytes, bytes, MADV_DONTFORK));
	pid = fork();
	if (pid == 0) {
		if (memory[0] != 0 || memory[bytes - 1] != 0 || memory[2 * bytes] != 1)
			_exit(1);
		memory[2 * bytes] = 5;
		_exit(memory[bytes]);
	}
	printf("%d %d %d\n", wait_for(pid), memory[0], memory[2 * bytes]);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, 0, _IOLBF, 0);
	if (!strcmp(what, "vfork"))
		try_vfork();
	else if (!strcmp(what, "ids"))
		try_ids();
	else if (!strcmp(what, "registers"))
		try_registers();
	else if (!strcmp(what, "advice"))
		try_advice();
	else
		return 2;
	return 0;
}
