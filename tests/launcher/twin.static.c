// SPDX-License-Identifier: GPL-2.0
// Says where two words of its file lie, one constant, one not, and tells both whenever it reads a line: for tests
// that run it several times at once.
#include <stdio.h>

__attribute__((aligned(4096))) static const char constant[4096] = "constant";
__attribute__((aligned(4096))) static char variable[4096] = "variable";

int main(void)
{
	char line[80];
	const volatile char *first = constant;
	printf("%p %p\n", (const void *)constant, (void *)variable);
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		if (line[0] == 'w')
			variable[0] = line[1];
		printf("%c%s %s\n", first[0], (const char *)first + 1, variable);
		fflush(stdout);
	}
	return 0;
}
