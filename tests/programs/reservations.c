// SPDX-License-Identifier: GPL-2.0
// Claims about how much address space there is, and where: what sanitizers, runtimes and emulators take for granted.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define TIB (1UL << 40)

enum { READ_WRITE = PROT_READ | PROT_WRITE, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS };

/* Where ThreadSanitizer, AddressSanitizer, a Java heap, MemorySanitizer and Wine want to be, and the ends. */
static const unsigned long wanted[] = {
	0x10000,	0x7fff8000,	 0x10007fff8000, 0x400000000000, 0x600000000000,
	0x700000000000, 0x7b0000000000,	 0x7d0000000000, 0x7ff000000000, 0x7ff800000000 - PAGE,
};

static char *map_at(unsigned long address, unsigned long bytes, int flags)
{
	return mmap((void *)address, bytes, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE | flags, -1, 0);
}

/* Linux reads it and writes it for this process. */
static void use(char *page, char letter)
{
	int ends[2];

	REQUIRE(pipe(ends) == 0);
	*page = letter;
	REQUIRE(write(ends[1], page, 1) == 1 && read(ends[0], page + 1, 1) == 1);
	REQUIRE(page[1] == letter);
	close(ends[0]);
	close(ends[1]);
}

static void memory_can_be_mapped_at_every_address(void)
{
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		char *page = map_at(wanted[i], PAGE, 0);

		/* Something of this process may happen to lie there. */
		if (page == MAP_FAILED && errno == EEXIST)
			continue;
		REQUIRE(page == (char *)wanted[i]);
		use(page, 'a' + i);
	}
}

static void a_child_sees_what_lies_high(void)
{
	char *page = map_at(0x7b0000000000, PAGE, 0);
	int status;

	REQUIRE(page != MAP_FAILED);
	use(page, 'x');
	if (fork() == 0) {
		if (page[1] != 'x')
			_exit(1);
		use(page, 'y');
		_exit(0);
	}
	REQUIRE(wait(&status) > 0 && status == 0);
	REQUIRE(page[1] == 'x');
}

static void sixty_four_tib_can_be_reserved(void)
{
	char *whole = mmap(NULL, 64 * TIB, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(whole != MAP_FAILED);
	REQUIRE(mprotect(whole + 63 * TIB, PAGE, READ_WRITE) == 0);
	use(whole + 63 * TIB, 'r');
	REQUIRE(munmap(whole, 64 * TIB) == 0);
}

static void a_shared_file_can_be_mapped_high(void)
{
	int file = memfd_create("high", 0);
	char *page;

	REQUIRE(file >= 0 && ftruncate(file, PAGE) == 0);
	page = mmap((void *)0x7ff000000000, PAGE, READ_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
	REQUIRE(page == (char *)0x7ff000000000);
	*page = 's';
	use(page, 's');
	REQUIRE(munmap(page, PAGE) == 0);
	REQUIRE(map_at((unsigned long)page, PAGE, 0) == page && *page == 0);
	use(page, 't');
}

/* One past the last address of the vdso. */
static unsigned long end_of_vdso(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end = 0;
	char line[512];

	REQUIRE(maps != NULL);
	while (fgets(line, sizeof(line), maps) != NULL)
		if (strstr(line, "[vdso]") != NULL)
			REQUIRE(sscanf(line, "%lx-%lx", &start, &end) == 2);
	fclose(maps);
	return end;
}

static void time_passes_without_the_vdso(void)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	unsigned long bytes = end_of_vdso() - vdso;
	int status;

	REQUIRE(vdso != 0);
	if (fork() == 0) {
		struct timespec now;

		if (munmap((void *)vdso, bytes) != 0)
			_exit(1);
		/* The library would call into the hole: ask Linux. */
		if (syscall(228, CLOCK_MONOTONIC, &now) != 0 || now.tv_sec == 0)
			_exit(2);
		_exit(0);
	}
	REQUIRE(wait(&status) > 0 && status == 0);
}

static void addresses_beyond_the_end_are_refused(void)
{
	REQUIRE(mmap((void *)0x7ffffffff000, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == ENOMEM);
	REQUIRE(mmap(NULL, 128 * TIB, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED && errno == ENOMEM);
}

static void a_limit_of_the_address_space_holds(void)
{
	struct rlimit limit = { 1UL << 30, 1UL << 30 };

	REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
	REQUIRE(mmap(NULL, 2UL << 30, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED && errno == ENOMEM);
	REQUIRE(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == 1UL << 30 && limit.rlim_max == 1UL << 30);
}

static const struct claim claims[] = {
	CLAIM(memory_can_be_mapped_at_every_address),
	CLAIM(a_child_sees_what_lies_high),
	CLAIM(sixty_four_tib_can_be_reserved),
	CLAIM(a_shared_file_can_be_mapped_high),
	CLAIM(time_passes_without_the_vdso),
	CLAIM(addresses_beyond_the_end_are_refused),
	CLAIM(a_limit_of_the_address_space_holds),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
