// SPDX-License-Identifier: GPL-2.0
/*
 * Takes memory in the way the argument names until there is no more, or until it is killed:
 * sharing (waits with most pages in two processes), huge (pages of 2 MiB), pages, bound (pages of node 0), tables (of pages), calls (Linux fills the pages), copies (of a parent's pages); and, when nearly everything
 * is taken: stacks, areas, processes. A pipe is only filled, with pages of the program. Says how many it got, then kills its process group.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIGABYTE (1ul << 30)
enum { PAGE = 4096, LARGE = 2 << 20 };

static char *reserve(size_t bytes, int protection)
{
	char *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void eat_pages(size_t stride, size_t bytes)
{
	char *memory = reserve(bytes, PROT_READ | PROT_WRITE);

	/* Odd pages, so that no large page comes in their place. */
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	for (size_t at = 0; memory && at < bytes; at += stride)
		memory[at] = 1;
}

static void eat_bound_pages(void)
{
	unsigned long nodes = 1;

	if (syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 65) == 0)
		eat_pages(PAGE, 8 * GIGABYTE);
}

static void eat_by_calls(void)
{
	char *memory = reserve(8 * GIGABYTE, PROT_READ | PROT_WRITE);
	int zero = open("/dev/zero", O_RDONLY);

	for (size_t at = 0; memory && at < 8 * GIGABYTE; at += 16 * PAGE)
		if (read(zero, memory + at, 16 * PAGE) != 16 * PAGE)
			break;
}

static int eat_huge_pages(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, made = 0;

	while (mmap(NULL, LARGE, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED)
		made++;
	return made;
}

/* Takes what is promised to be there, but a few MiB. */
static void leave_little(void)
{
	size_t step = 1 << 20;
	char *last[8] = { 0 };

	for (unsigned n = 0;; n++) {
		char *memory = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (memory == MAP_FAILED)
			break;
		last[n % 8] = memory;
	}
	for (int n = 0; n < 8; n++)
		munmap(last[n], step);
}

static void *sleep_on(void *unused)
{
	pause();
	return unused;
}

static int eat_stacks(void)
{
	pthread_t thread;
	int made = 0;

	while (made < 1000 && pthread_create(&thread, NULL, sleep_on, NULL) == 0)
		made++;
	return made;
}

static int eat_areas(void)
{
	char *memory = reserve(8 * GIGABYTE, PROT_NONE);
	int made = 0;

	while (memory && mprotect(memory + (size_t)2 * made * PAGE, PAGE, PROT_READ) == 0)
		made++;
	return made;
}

static int eat_processes(int areas_each)
{
	int made = 0;
	pid_t child;

	while (made < 300 && (child = fork()) > 0)
		made++;
	if (made < 300 && child == 0) {
		if (areas_each)
			eat_areas();
		pause();
	}
	return made;
}

/* Two processes have 64 MiB in common, but for a few words that the child and the parent write. */
static int share_most(void)
{
	size_t bytes = 64ul << 20;
	char *memory = reserve(bytes, PROT_READ | PROT_WRITE);
	pid_t child;

	if (!memory)
		return -1;
	memset(memory, 1, bytes);
	child = fork();
	for (int n = 0; n < 5; n++)
		memory[(size_t)n * 5 * LARGE + (child == 0 ? PAGE : 3 * PAGE)] = 2;
	if (child == 0)
		pause();
	puts("shared");
	fflush(stdout);
	pause();
	return 0;
}

/* Two processes write all of what they share; the signal that ends the child. */
static int eat_copies(void)
{
	size_t bytes = 300ul << 20;
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t child;

	if (memory == MAP_FAILED)
		return -1;
	memset(memory, 1, bytes);
	child = fork();
	memset(memory, 2, bytes);
	if (child == 0)
		_exit(0);
	waitpid(child, &status, 0);
	return WTERMSIG(status);
}

/* Leaves pages in the pipe that is its standard output, and waits for its end. */
static void fill_pipe(void)
{
	static char text[16 * PAGE] __attribute__((aligned(PAGE)));
	struct iovec all = { text, sizeof text };
	memset(text, 'x', sizeof text);
	if (vmsplice(1, &all, 1, 0) != sizeof text)
		exit(1);
	fputs("filled\n", stderr);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int made = 0;

	if (strcmp(what, "pages") == 0)
		eat_pages(PAGE, 8 * GIGABYTE);
	else if (strcmp(what, "bound") == 0)
		eat_bound_pages();
	else if (strcmp(what, "pipe") == 0)
		fill_pipe();
	else if (strcmp(what, "tables") == 0)
		eat_pages(LARGE, 4096 * GIGABYTE);
	else if (strcmp(what, "calls") == 0)
		eat_by_calls();
	else if (strcmp(what, "copies") == 0)
		made = eat_copies();
	else if (strcmp(what, "sharing") == 0)
		made = share_most();
	else if (strcmp(what, "huge") == 0)
		made = eat_huge_pages();
	else if (leave_little(), 0)
		return 2;
	else if (strcmp(what, "stacks") == 0)
		made = eat_stacks();
	else if (strcmp(what, "areas") == 0)
		made = eat_areas();
	else if (strcmp(what, "processes") == 0)
		made = eat_processes(0);
	else if (strcmp(what, "processes-with-areas") == 0)
		made = eat_processes(1);
	else
		return 2;
	printf("%d\n", made);
	fflush(stdout);
	kill(0, SIGKILL);
}
