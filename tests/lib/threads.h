/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that are started and waited for. Include after claims.h. */
#ifndef THREADS_H
#define THREADS_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

/* A few threads, as many as the machine has cores at most. */
enum { FEW = 4 };

static inline int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000l + t.tv_nsec;
}

static inline void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	while (nanosleep(&t, &t) != 0)
		;
}

/* The time on `clock` in that many milliseconds. */
static inline struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static inline pthread_t start(void *(*body)(void *), void *argument)
{
	pthread_t thread;
	REQUIRE((errno = pthread_create(&thread, NULL, body, argument)) == 0);
	return thread;
}

static inline void *end_of(pthread_t thread)
{
	void *result;
	REQUIRE((errno = pthread_join(thread, &result)) == 0);
	return result;
}

/* Runs `body` in `count` threads, with 0, 1, … as argument, until all have ended. */
static inline void run_in(int count, void *(*body)(void *))
{
	pthread_t threads[count];
	for (intptr_t i = 0; i < count; i++)
		threads[i] = start(body, (void *)i);
	for (int i = 0; i < count; i++)
		end_of(threads[i]);
}

#endif
