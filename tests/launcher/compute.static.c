// SPDX-License-Identifier: GPL-2.0
// Computes without any call for so many seconds of the time-stamp counter's clock, or, without an argument, for ever after
// it has said so.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
	struct timespec start, now;
	volatile uint64_t rounds = 0;
	if (argc < 2) {
		puts("for ever");
		fflush(stdout);
		for (;;)
			rounds++;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < 100000; i++)
			rounds++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < atoi(argv[1]));
	printf("%s seconds\n", argv[1]);
	return 0;
}
