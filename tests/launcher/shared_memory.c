// SPDX-License-Identifier: GPL-2.0
// Memory seen from another process. `shared_memory` says "PID ADDRESS BYTES" of a buffer with a pattern, waits for a line
// and checks that the buffer was changed; `shared_memory PID ADDRESS BYTES` checks such a buffer and changes it.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BYTES = 3 * 1024 * 1024 + 77 };

static unsigned char pattern(size_t i, unsigned key)
{
	return (unsigned char)((i + key) * 2654435761u >> 15);
}

static int holds(const unsigned char *buffer, size_t bytes, unsigned key)
{
	for (size_t i = 0; i < bytes; i++)
		if (buffer[i] != pattern(i, key))
			return 0;
	return 1;
}

static void fill(unsigned char *buffer, size_t bytes, unsigned key)
{
	for (size_t i = 0; i < bytes; i++)
		buffer[i] = pattern(i, key);
}

static int target(void)
{
	unsigned char *buffer = malloc(BYTES);
	fill(buffer, BYTES, 1);
	printf("%d %lu %d\n", getpid(), (unsigned long)(uintptr_t)buffer, BYTES);
	fflush(stdout);
	if (getchar() == EOF)
		return 2;
	puts(holds(buffer, BYTES, 2) ? "changed" : "not changed");
	return !holds(buffer, BYTES, 2);
}

static int visitor(pid_t pid, void *address, size_t bytes)
{
	unsigned char *copy = malloc(bytes);
	struct iovec here = { copy, bytes }, there = { address, bytes };
	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)bytes)
		return perror("process_vm_readv"), 1;
	if (!holds(copy, bytes, 1))
		return fputs("wrong bytes\n", stderr), 1;
	fill(copy, bytes, 2);
	if (process_vm_writev(pid, &here, 1, &there, 1, 0) != (ssize_t)bytes)
		return perror("process_vm_writev"), 1;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4)
		return visitor(atoi(argv[1]), (void *)strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	return target();
}
