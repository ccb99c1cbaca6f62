// SPDX-License-Identifier: GPL-2.0
// Claims about pages of 1 GiB: large mappings have them, and may be cut at any page. For a partition with two to spare.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <linux/mman.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t PAGE = 4096, LARGE = 2 << 20, GIANT = 1 << 30;
static const int RW = PROT_READ | PROT_WRITE;

static char *map(size_t bytes, int flags)
{
	char *memory = mmap(NULL, bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

/* The size in KiB of the pages of the area that begins at `start`, as smaps tells it. */
static long page_kib(const char *start)
{
	char line[512];
	unsigned long long first = 0;
	long kib = -1;
	FILE *smaps = fopen("/proc/self/smaps", "r");
	REQUIRE(smaps != NULL);
	while (kib < 0 && fgets(line, sizeof line, smaps)) {
		unsigned long long end;
		if (sscanf(line, "%llx-%llx ", &first, &end) == 2)
			continue;
		if (first == (uintptr_t)start)
			sscanf(line, "KernelPageSize: %ld", &kib);
	}
	fclose(smaps);
	return kib;
}

static uint64_t *word(char *memory, size_t offset)
{
	return (uint64_t *)(memory + offset);
}

/* Each page is zero, and then holds its number. */
static void number_pages(char *memory)
{
	for (size_t at = 0; at < GIANT; at += PAGE) {
		REQUIRE(*word(memory, at) == 0 && *word(memory, at + PAGE - 8) == 0);
		*word(memory, at) = at + 1;
	}
}

static int holds_numbers(char *memory, size_t from, size_t to)
{
	for (size_t at = from; at < to; at += PAGE)
		if (*word(memory, at) != at + 1)
			return 0;
	return 1;
}

static char *giant(void)
{
	char *memory = map(GIANT, 0);
	REQUIRE(page_kib(memory) == 1 << 20);
	number_pages(memory);
	return memory;
}

static void large_mappings_have_giant_pages(void)
{
	char *memory = giant();
	REQUIRE(holds_numbers(memory, 0, GIANT) && munmap(memory, GIANT) == 0);
	/* Used memory is clean again for whoever comes next. */
	munmap(giant(), GIANT);
}

static void huge_pages_are_giant_if_asked_for(void)
{
	char *memory = map(GIANT, MAP_HUGETLB | MAP_HUGE_1GB);
	REQUIRE((uintptr_t)memory % GIANT == 0 && page_kib(memory) == 1 << 20);
	number_pages(memory);
	REQUIRE(holds_numbers(memory, 0, GIANT));
}

static void giant_pages_can_be_cut(void)
{
	char *memory = giant();
	REQUIRE(munmap(memory + 5 * PAGE, PAGE) == 0);
	REQUIRE(page_kib(memory) == 4 && page_kib(memory + 6 * PAGE) == 4);
	REQUIRE(holds_numbers(memory, 0, 5 * PAGE) && holds_numbers(memory, 6 * PAGE, GIANT));
	REQUIRE(mprotect(memory + GIANT / 2, LARGE, PROT_READ) == 0);
	REQUIRE(holds_numbers(memory, GIANT / 2, GIANT));
	REQUIRE(madvise(memory + GIANT - 3 * LARGE, LARGE + PAGE, MADV_DONTNEED) == 0);
	REQUIRE(*word(memory, GIANT - 3 * LARGE) == 0 && *word(memory, GIANT - 2 * LARGE) == 0);
	REQUIRE(holds_numbers(memory, GIANT - 2 * LARGE + PAGE, GIANT));
	/* Where small pages were, a giant one can come again. */
	REQUIRE(munmap(memory, GIANT) == 0);
	char *again = mmap(memory, GIANT, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	REQUIRE(again == memory && page_kib(memory) == 1 << 20);
	number_pages(memory);
}

static void giant_pages_move(void)
{
	char *memory = giant(), *place = map(2 * GIANT, MAP_NORESERVE);
	char *target = place + LARGE;
	REQUIRE(mremap(memory, GIANT, GIANT, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	REQUIRE(holds_numbers(target, 0, GIANT));
	memory = mremap(target, GIANT, GIANT, MREMAP_MAYMOVE | MREMAP_FIXED, memory);
	REQUIRE(memory != MAP_FAILED && holds_numbers(memory, 0, GIANT));
}

static void forks_copy_what_is_written(void)
{
	char *memory = giant();
	int status;
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		*word(memory, 7 * LARGE) = 99;
		_exit(!holds_numbers(memory, 0, 7 * LARGE) || !holds_numbers(memory, 7 * LARGE + PAGE, GIANT));
	}
	for (size_t at = GIANT / 2; at < GIANT / 2 + 2 * LARGE; at += PAGE)
		*word(memory, at) = at + 1;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE(holds_numbers(memory, 0, GIANT));
}

static void calls_reach_giant_pages(void)
{
	char *memory = giant(), back[64];
	int ends[2], zero = open("/dev/zero", O_RDONLY);
	REQUIRE(pipe(ends) == 0 && zero >= 0);
	char *middle = memory + GIANT / 2 - 32;
	snprintf(middle, 64, "a text across the boundary of two large pages");
	REQUIRE(write(ends[1], middle, 64) == 64 && read(ends[0], back, 64) == 64 && strcmp(middle, back) == 0);
	REQUIRE(read(zero, memory + 3 * LARGE, 8 * LARGE) == (ssize_t)(8 * LARGE));
	REQUIRE(*word(memory, 3 * LARGE) == 0 && *word(memory, 11 * LARGE - PAGE) == 0);
	REQUIRE(holds_numbers(memory, 11 * LARGE, GIANT / 2 - PAGE));
	REQUIRE(munmap(memory, GIANT) == 0);
	/* What Linux had mapped is no obstacle for the next one. */
	munmap(giant(), GIANT);
}

/* Until it is killed. */
static int hold(void)
{
	giant();
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

/* How many there are. */
static int count(void)
{
	int number = 0;
	for (;;) {
		char *memory = mmap(NULL, GIANT, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_1GB, -1, 0);
		if (memory == MAP_FAILED || page_kib(memory) != 1 << 20)
			return printf("%d\n", number) < 0;
		number++;
	}
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(large_mappings_have_giant_pages),
		CLAIM(huge_pages_are_giant_if_asked_for),
		CLAIM(giant_pages_can_be_cut),
		CLAIM(giant_pages_move),
		CLAIM(forks_copy_what_is_written),
		CLAIM(calls_reach_giant_pages),
	};
	if (argc == 2 && strcmp(argv[1], "hold") == 0)
		return hold();
	if (argc == 2 && strcmp(argv[1], "count") == 0)
		return count();
	return RUN_CLAIMS(claims, argc, argv);
}
