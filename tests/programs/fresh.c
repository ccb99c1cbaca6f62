// SPDX-License-Identifier: GPL-2.0
// Claims about memory that several threads have Linux touch for the first time at once.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LARGE = 2 << 20, THREADS = 8, ROUNDS = 250 };

static pthread_barrier_t barrier;
static char *large;
static int zeroes, failed;

/* In each round all threads read into their own part of the same 2 MiB, which nothing has touched yet. */
static void *read_parts(void *number)
{
	size_t part = LARGE / THREADS;
	size_t index = (size_t)number;

	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		if (index == 0)
			madvise(large, LARGE, MADV_DONTNEED);
		pthread_barrier_wait(&barrier);
		if (read(zeroes, large + index * part, part) != (ssize_t)part)
			__atomic_add_fetch(&failed, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void reads_into_fresh_memory_by_many_threads_never_fail(void)
{
	pthread_t threads[THREADS];
	char *room = mmap(NULL, 2 * LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(room != MAP_FAILED);
	large = (char *)(((unsigned long)room + LARGE - 1) & ~(LARGE - 1UL));
	zeroes = open("/dev/zero", O_RDONLY);
	REQUIRE(zeroes >= 0 && pthread_barrier_init(&barrier, NULL, THREADS) == 0);
	for (size_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, read_parts, (void *)i) == 0);
	for (size_t i = 0; i < THREADS; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	REQUIRE(failed == 0);
}

static const struct claim claims[] = {
	CLAIM(reads_into_fresh_memory_by_many_threads_never_fail),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
