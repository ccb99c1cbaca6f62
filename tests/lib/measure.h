/* SPDX-License-Identifier: GPL-2.0 */
/* What the measuring programs share. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <time.h>

/* Monotonic time, in nanoseconds. */
static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* What the instruction counter (xtask/counter) counts between. */
static inline void mark(void)
{
	__asm__ volatile("xchg %%bx, %%bx" ::: "memory");
}

/* So many steps of arithmetic, without memory. */
static inline void compute_steps(int steps)
{
	static __thread volatile uint64_t sink;
	uint64_t x = 88172645463325252ull;
	for (int i = 0; i < steps; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	sink = x;
	(void)sink;
}

#endif
