// SPDX-License-Identifier: GPL-2.0
// Says how it was executed, and ends with 6. With the argument `wait`, it waits until its standard input ends.
#define _GNU_SOURCE
#include "described.h"

int main(int argc, char **argv)
{
	char byte;

	describe(argc, argv);
	if (argc > 1 && strcmp(argv[1], "wait") == 0)
		while (read(0, &byte, 1) > 0)
			;
	return 6;
}
