// SPDX-License-Identifier: GPL-2.0
// Says "PID ADDRESS" of a 64-bit counter, then counts for ever without any call.
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	static volatile uint64_t counter;
	printf("%d %lu\n", getpid(), (unsigned long)(uintptr_t)&counter);
	fflush(stdout);
	for (;;)
		counter++;
}
