// SPDX-License-Identifier: GPL-2.0
// The smallest program linked as its name says; repeats its arguments.
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("hello from a static program");
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	putchar('\n');
	return argc;
}
