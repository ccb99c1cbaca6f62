// SPDX-License-Identifier: GPL-2.0
// What several threads get done together: `cargo xtask bench scaling`.
// Usage: scaling calls|sequential|random THREADS…   prints lines "THREADS RATE", the median of the batches: calls per
// second, or MB/s of reads of 4 KiB from a file on tmpfs, each thread from a part of its own or at random places.
#define _GNU_SOURCE
#include "measure.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BATCHES = 5, MOST_THREADS = 64, BATCH_US = 100000, READ_BYTES = 4096, FILE_READS = 4096 };

enum work { LSEEKS, SEQUENTIAL, RANDOM };

static int file;
static enum work work;
static pthread_barrier_t barrier;
static _Atomic int over;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void make_file(void)
{
	file = memfd_create("scaling", 0);
	static char bytes[READ_BYTES];
	for (int i = 0; i < FILE_READS; i++)
		if (file < 0 || write(file, bytes, sizeof bytes) != sizeof bytes)
			fail("scaling: file");
}

static void call_once(uint64_t block)
{
	static __thread char buffer[READ_BYTES] __attribute__((aligned(READ_BYTES)));
	if (work == LSEEKS)
		lseek(file, 0, SEEK_SET);
	else if (pread(file, buffer, READ_BYTES, (off_t)(block % FILE_READS * READ_BYTES)) != READ_BYTES)
		fail("scaling: pread");
}

// A thread; its argument becomes the number of its calls. Threads begin at places of their own.
static void *work_on(void *argument)
{
	uint64_t *calls = argument, first = *calls * FILE_READS / MOST_THREADS, random = 88172645463325252ull + first;
	uint64_t made = 0;
	pthread_barrier_wait(&barrier);
	for (; !over; made++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		call_once(work == RANDOM ? random : first + made);
	}
	*calls = made;
	return NULL;
}

// What `threads` threads do per second.
static double rate(int threads)
{
	pthread_t others[MOST_THREADS];
	uint64_t calls[MOST_THREADS], sum = 0;
	over = 0;
	pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
	for (int i = 0; i < threads; i++) {
		calls[i] = (uint64_t)i;
		if (pthread_create(&others[i], NULL, work_on, &calls[i]))
			fail("scaling: pthread_create");
	}
	pthread_barrier_wait(&barrier);
	uint64_t began = now_ns();
	usleep(BATCH_US);
	over = 1;
	for (int i = 0; i < threads; i++) {
		pthread_join(others[i], NULL);
		sum += calls[i];
	}
	double each_second = (double)sum * 1e9 / (double)(now_ns() - began);
	return work == LSEEKS ? each_second : each_second * READ_BYTES / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "calls", "sequential", "random" };
	while (argc > 2 && work <= RANDOM && strcmp(argv[1], names[work]))
		work++;
	if (argc < 3 || work > RANDOM) {
		fprintf(stderr, "scaling: usage: scaling calls|sequential|random THREADS…\n");
		return 2;
	}
	make_file();
	for (int i = 2; i < argc; i++) {
		int threads = atoi(argv[i]);
		double v[BATCHES];
		if (threads <= 0 || threads > MOST_THREADS) {
			fprintf(stderr, "scaling: threads %s: not in 1-%d\n", argv[i], MOST_THREADS);
			return 2;
		}
		for (int b = 0; b < BATCHES; b++)
			v[b] = rate(threads);
		qsort(v, BATCHES, sizeof *v, by_value);
		printf("%d %.1f\n", threads, v[BATCHES / 2]);
	}
	return 0;
}
