// SPDX-License-Identifier: GPL-2.0
// Delegated calls in number:
// calls rate THREADS CALLS   each of THREADS makes CALLS calls; prints calls per second of all together
// calls compute CALLS        makes CALLS calls, prints "done", then computes for ever
// calls block CALLS          the same, but then blocks in a read of stdin
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int calls;

static void *call_often(void *argument)
{
	for (int i = 0; i < calls; i++)
		syscall(SYS_lseek, 0, 0, SEEK_CUR);
	return argument;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int rate(int threads)
{
	pthread_t ids[64];
	double start = now();
	if (threads < 1 || threads > 64)
		return 2;
	for (int i = 0; i < threads; i++) {
		if (pthread_create(&ids[i], NULL, call_often, NULL)) {
			fprintf(stderr, "calls: pthread_create failed\n");
			return 1;
		}
	}
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	printf("%.0f\n", threads * (double)calls / (now() - start));
	return 0;
}

int main(int argc, char **argv)
{
	char byte;
	static volatile uint64_t sink;
	if (argc < 3) {
		fprintf(stderr, "calls: usage: calls rate|compute|block …\n");
		return 2;
	}
	calls = atoi(argv[argc - 1]);
	if (!strcmp(argv[1], "rate"))
		return rate(atoi(argv[2]));
	call_often(NULL);
	printf("done\n");
	fflush(stdout);
	if (!strcmp(argv[1], "block"))
		return read(0, &byte, 1) == 0 ? 0 : 1;
	for (;;)
		sink++;
}
