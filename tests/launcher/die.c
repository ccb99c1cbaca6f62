// SPDX-License-Identifier: GPL-2.0
// Dies by the signal whose number is the argument, sent to itself; `die fault` by a real fault, `die fpe` by a division.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	volatile int zero = 0, *volatile unmapped = (int *)16;
	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "fault") == 0)
		*unmapped = 1;
	if (strcmp(argv[1], "fpe") == 0)
		return 1 / zero;
	kill(getpid(), atoi(argv[1]));
	return 3;
}
