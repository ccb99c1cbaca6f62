// SPDX-License-Identifier: GPL-2.0
// Times a program from fork to reaped: launch ROUNDS PROGRAM ARGS…  prints "launch NANOSECONDS 1 ROUNDS", the median.
// Marks for the instruction counter (xtask/counter) bracket each round.
// Runs on the Linux side; the program is either measured natively or is mcexec itself.
#define _GNU_SOURCE
#include "measure.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static uint64_t run_once(char **argv)
{
	int status;
	mark();
	uint64_t start = now_ns();
	pid_t child = vfork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "launch: %s: status %#x\n", argv[0], status);
		exit(1);
	}
	uint64_t end = now_ns();
	mark();
	return end - start;
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 ? atoi(argv[1]) : 0;
	if (rounds <= 0 || rounds > 1000) {
		fprintf(stderr, "launch: usage: launch ROUNDS PROGRAM ARGS…\n");
		return 2;
	}
	uint64_t v[1000];
	for (int i = 0; i < rounds; i++)
		v[i] = run_once(argv + 2);
	qsort(v, (size_t)rounds, sizeof *v, by_value);
	printf("launch %lu 1 %d\n", (unsigned long)v[rounds / 2], rounds);
	return 0;
}
