// SPDX-License-Identifier: GPL-2.0
// A program whose zero-initialised data is larger than the partitions of the tests.
#include <stdio.h>

static volatile char data[1u << 30];

int main(void)
{
	for (unsigned long i = 0; i < sizeof data; i += 4096)
		data[i] = 1;
	puts("touched");
	return 0;
}
