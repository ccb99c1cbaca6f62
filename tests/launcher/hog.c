// SPDX-License-Identifier: GPL-2.0
// Allocates and touches memory until there is no more, then says how many MiB it got and ends well.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int main(void)
{
	size_t got = 0, step = 16 << 20;
	for (char *memory; got < 64ul << 30; got += step) {
		memory = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			break;
		memset(memory, 1, step);
	}
	printf("%zu MiB\n", got >> 20);
	return 0;
}
