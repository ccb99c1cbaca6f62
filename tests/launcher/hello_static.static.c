// SPDX-License-Identifier: GPL-2.0
// The smallest program worth launching.
#include <stdio.h>

int main(void)
{
	puts("hello");
	return 0;
}
