// SPDX-License-Identifier: GPL-2.0
// moves MIB: what a kernel might do in one go, and keep a CPU from all others meanwhile: forks, moves, unmappings and the end of
// a process with so much memory in small pages. Prints how long each took, in milliseconds.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

static size_t bytes;

static void check(int is_right, const char *what)
{
	if (!is_right) {
		perror(what);
		exit(1);
	}
}

static unsigned long since_ms(uint64_t before)
{
	return (now_ns() - before) / 1000000;
}

// Reserved memory comes page by page.
static char *reserve(int protection)
{
	char *at = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	check(at != MAP_FAILED, "mmap");
	return at;
}

static void touch(char *at, char with)
{
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = with;
}

int main(int count, char **arguments)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	bytes = (size_t)atoi(arguments[count - 1]) << 20;
	char *here = reserve(PROT_READ | PROT_WRITE), *there = reserve(PROT_NONE);
	touch(here, 1);
	for (int round = 0; round < 3; round++) {
		uint64_t before = now_ns();
		int status, child = fork();
		if (child == 0)
			_exit(here[bytes - 4096] == 1 + round);
		check(child > 0, "fork");
		printf("fork %lu", since_ms(before));
		check(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 1, "child");
		touch(here, 2 + round);
		before = now_ns();
		check(mremap(here, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, there) == there, "mremap");
		printf(", mremap %lu\n", since_ms(before));
		check(there[0] == 2 + round && there[bytes - 4096] == 2 + round, "the same memory");
		char *free = mmap(here, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		check(free == here, "mmap");
		here = there;
		there = free;
	}
	uint64_t before = now_ns();
	check(munmap(here, bytes / 2) == 0, "munmap");
	printf("munmap %lu\n", since_ms(before));
	return 0;
}
