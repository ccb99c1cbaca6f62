// SPDX-License-Identifier: GPL-2.0
// Fixed work again and again, each time timed: what a core is kept from its work by (`cargo xtask bench noise`).
// Usage: quanta SECONDS   prints lines "NANOSECONDS COUNT": how many quanta took so long, rounded to 100 ns.
#include "measure.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOPS = 4000, ROUND_NS = 100, PLACES = 1 << 20 };
// By time in units of ROUND_NS; the last place has all that took longer, and is printed as the longest of them.
static uint32_t counts[PLACES];
static uint64_t longest;

int main(int argc, char **argv)
{
	int seconds = argc == 2 ? atoi(argv[1]) : 0;
	if (seconds <= 0 || seconds > 600) {
		fprintf(stderr, "quanta: usage: quanta SECONDS\n");
		return 2;
	}
	for (int i = 0; i < PLACES; i++)
		counts[i] = 0; // Touched now, not while it counts.
	uint64_t last = now_ns(), end = last + (uint64_t)seconds * 1000000000ull;
	while (last < end) {
		compute_steps(LOOPS);
		uint64_t now = now_ns(), place = (now - last) / ROUND_NS;
		counts[place < PLACES ? place : PLACES - 1]++;
		longest = place > longest ? place : longest;
		last = now;
	}
	for (uint64_t i = 0; i < PLACES; i++)
		if (counts[i])
			printf("%lu %u\n", (unsigned long)((i < PLACES - 1 ? i : longest) * ROUND_NS), counts[i]);
	return 0;
}
