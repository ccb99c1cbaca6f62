// SPDX-License-Identifier: GPL-2.0
// hold FIFO MIB: leaves one page of each 2 MiB of its memory in a pipe that somebody else keeps open, and ends.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define LARGE (2ul << 20)

int main(int count, char **arguments)
{
	int fifo = open(arguments[count - 2], O_RDWR | O_NONBLOCK);
	if (fifo < 0) {
		perror(arguments[count - 2]);
		return 1;
	}
	fcntl(fifo, F_SETPIPE_SZ, 1 << 20);
	size_t bytes = (size_t)atoi(arguments[count - 1]) << 20;
	char *memory = mmap(NULL, bytes + LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	memory += -(unsigned long)memory % LARGE;
	int held = 0;
	for (size_t i = 0; i < bytes; i += LARGE) {
		memory[i] = 1;
		struct iovec page = { memory + i, 4096 };
		held += vmsplice(fifo, &page, 1, 0) == 4096;
	}
	printf("%d pages\n", held);
	return 0;
}
