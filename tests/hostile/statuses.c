// SPDX-License-Identifier: GPL-2.0
// statuses SECONDS: asks for the status of instance 0 all the time, as everybody may who runs programs. Prints the first answer that
// is not RUNNING, or `running`, and the longest time that an answer took, in milliseconds.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "measure.h"

#define GET_STATUS _IO('k', 0x2a)
#define RUNNING 2

int main(int count, char **arguments)
{
	int device = open("/dev/mcos0", O_RDWR);
	if (device < 0) {
		perror("/dev/mcos0");
		return 1;
	}
	uint64_t end = now_ns() + 1000000000ull * atoi(arguments[count - 1]), longest = 0;
	while (now_ns() < end) {
		uint64_t before = now_ns();
		int status = ioctl(device, GET_STATUS, 0);
		uint64_t took = now_ns() - before;
		longest = took > longest ? took : longest;
		if (status != RUNNING) {
			printf("status %d after %lu ms\n", status, took / 1000000);
			return 1;
		}
	}
	printf("running, longest %lu ms\n", longest / 1000000);
	return 0;
}
