// SPDX-License-Identifier: GPL-2.0
// verified: somebody else's work while attacks go on. It computes, has memory come and go, asks Linux for the time of day of
// its own file, starts threads and children, and checks each result, its limits and its CPUs, until SIGTERM. Then it prints the
// longest time in which it got nowhere, in milliseconds, and how many rounds it made; its status is 0 if all was right.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

#define BYTES (4ul << 20)

static volatile sig_atomic_t is_over;
static const int kinds[] = { RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK, RLIMIT_CPU, RLIMIT_NOFILE };
static struct rlimit limits[sizeof kinds / sizeof *kinds];
static cpu_set_t cpus;

static void end(int signal)
{
	(void)signal;
	is_over = 1;
}

static void right(int is_right, const char *what)
{
	if (!is_right) {
		printf("wrong: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static void look(struct rlimit *into, cpu_set_t *set)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		right(getrlimit(kinds[i], &into[i]) == 0, "getrlimit");
	CPU_ZERO(set);
	right(sched_getaffinity(0, sizeof *set, set) == 0, "sched_getaffinity");
}

static void *sum(void *from)
{
	uint64_t *words = from, total = 0;
	for (size_t i = 0; i < BYTES / 8; i++)
		total += words[i];
	return (void *)total;
}

static void one_round(uint64_t number)
{
	uint64_t *words = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	right(words != MAP_FAILED, "mmap");
	uint64_t total = 0;
	for (size_t i = 0; i < BYTES / 8; i++) {
		right(words[i] == 0, "fresh memory is clean");
		words[i] = number * i;
		total += number * i;
	}
	pthread_t thread;
	void *found;
	right(pthread_create(&thread, NULL, sum, words) == 0, "pthread_create");
	right(pthread_join(thread, &found) == 0 && (uint64_t)found == total, "the sum of a thread");
	int ends[2];
	right(pipe(ends) == 0 && write(ends[1], words, 4096) == 4096, "write");
	uint64_t back[512];
	right(read(ends[0], back, 4096) == 4096 && memcmp(back, words, 4096) == 0, "read");
	close(ends[0]);
	close(ends[1]);
	if (number % 8 == 0) {
		int status, child = fork();
		if (child == 0)
			_exit(words[512] == number * 512 ? 7 : 8);
		right(child > 0, "fork");
		right(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "the child's view");
	}
	right(munmap(words, BYTES) == 0, "munmap");
}

int main(void)
{
	struct rlimit now[sizeof kinds / sizeof *kinds];
	cpu_set_t set;
	signal(SIGTERM, end);
	look(limits, &cpus);
	printf("ready\n");
	fflush(stdout);
	uint64_t longest = 0, rounds = 0;
	while (!is_over) {
		uint64_t before = now_ns();
		one_round(++rounds);
		look(now, &set);
		right(memcmp(now, limits, sizeof now) == 0, "the limits are as before");
		right(CPU_EQUAL(&set, &cpus), "the CPUs are as before");
		uint64_t took = now_ns() - before;
		longest = took > longest ? took : longest;
	}
	printf("longest %lu ms, rounds %lu\n", longest / 1000000, rounds);
	return 0;
}
