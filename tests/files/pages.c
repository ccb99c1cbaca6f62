// SPDX-License-Identifier: GPL-2.0
// Claims about private mappings of files, whose pages processes share until they are written.
#define _GNU_SOURCE
#include "claims.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 6 };
#define RW (PROT_READ | PROT_WRITE)

/* A file of PAGES pages, the last one with 10 bytes only, closed to writers; byte 0 of page n is 'a' + n. */
static int new_file(void)
{
	char name[] = "/root/pages-XXXXXX", page[PAGE] = "";
	int writer = mkstemp(name), reader = open(name, O_RDONLY);
	REQUIRE(writer >= 0 && reader >= 0 && unlink(name) == 0);
	for (int n = 0; n < PAGES; n++) {
		page[0] = (char)('a' + n);
		ssize_t bytes = n == PAGES - 1 ? 10 : PAGE;
		REQUIRE(write(writer, page, (size_t)bytes) == bytes);
	}
	REQUIRE(close(writer) == 0);
	return reader;
}

static char *map(int file, int rights)
{
	char *memory = mmap(NULL, PAGES * PAGE, rights, MAP_PRIVATE, file, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static int is_the_files(const char *memory)
{
	for (int n = 0; n < PAGES; n++)
		if (memory[n * PAGE] != 'a' + n)
			return 0;
	return 1;
}

/* What one mapping writes, none of the others sees, nor does the file. */
static void writes_stay_in_their_mapping(void)
{
	int file = new_file();
	char *first = map(file, RW), *second = map(file, RW), *third = map(file, PROT_READ), back;
	REQUIRE(is_the_files(first) && is_the_files(second) && is_the_files(third));
	first[0] = 'X';
	second[PAGE] = 'Y';
	REQUIRE(mprotect(third, PAGES * PAGE, RW) == 0);
	third[2 * PAGE] = 'Z';
	REQUIRE(first[0] == 'X' && second[0] == 'a' && third[0] == 'a');
	REQUIRE(first[PAGE] == 'b' && second[PAGE] == 'Y' && third[PAGE] == 'b');
	REQUIRE(first[2 * PAGE] == 'c' && second[2 * PAGE] == 'c' && third[2 * PAGE] == 'Z');
	REQUIRE(is_the_files(map(file, PROT_READ)) && pread(file, &back, 1, 0) == 1 && back == 'a');
}

/* The same for what Linux writes on the program's behalf. */
static void writes_of_calls_stay_in_their_mapping(void)
{
	int file = new_file(), zeroes = open("/dev/zero", O_RDONLY), own = open("/proc/self/mem", O_RDWR);
	char *first = map(file, RW), *second = map(file, PROT_READ), x = 'X';
	REQUIRE(read(zeroes, first, 1) == 1 && first[0] == 0 && second[0] == 'a');
	struct iovec from = { &x, 1 }, to = { first + PAGE, 1 };
	REQUIRE(process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1 && first[PAGE] == 'X' && second[PAGE] == 'b');
	REQUIRE(pwrite(own, &x, 1, (off_t)(first + 2 * PAGE)) == 1 && first[2 * PAGE] == 'X' && second[2 * PAGE] == 'c');
	REQUIRE_ERROR(read(zeroes, second, 1), EFAULT);
	first[0] = 'a', first[PAGE] = 'b', first[2 * PAGE] = 'c';
	REQUIRE(is_the_files(first) && is_the_files(second) && is_the_files(map(file, PROT_READ)));
}

/* A page that Linux has shown to its programs for reading is copied all the same when it is written. */
static void pages_that_linux_has_seen_are_copied(void)
{
	int file = new_file(), null = open("/dev/null", O_WRONLY), ends[2];
	char *first = map(file, PROT_READ), *second = map(file, PROT_READ), back[8] = "";
	REQUIRE(pipe(ends) == 0 && write(null, first, PAGE) == PAGE && write(ends[1], second, 1) == 1);
	REQUIRE(mprotect(first, PAGE, RW) == 0);
	strcpy(first, "mine");
	REQUIRE(write(ends[1], first, 5) == 5 && write(ends[1], second, 1) == 1);
	REQUIRE(read(ends[0], back, 7) == 7 && memcmp(back, "amine\0a", 7) == 0 && is_the_files(second));
}

static void children_share_until_they_write(void)
{
	int file = new_file(), status;
	char *memory = map(file, RW);
	memory[0] = 'X';
	for (int n = 0; n < 3; n++) {
		pid_t child = fork();
		if (child == 0) {
			REQUIRE(memory[0] == 'X' && memory[PAGE] == 'b');
			memory[0] = memory[PAGE] = 'Y';
			_exit(0);
		}
		REQUIRE(waitpid(child, &status, 0) == child && status == 0);
		REQUIRE(memory[0] == 'X' && memory[PAGE] == 'b');
	}
	memory[PAGE] = 'Z';
	REQUIRE(is_the_files(map(file, PROT_READ)));
}

static sigjmp_buf after;

static void on_bus_error(int signal)
{
	siglongjmp(after, signal);
}

static int signal_of_reading(const volatile char *address)
{
	signal(SIGBUS, on_bus_error);
	int number = sigsetjmp(after, 1);
	if (number == 0)
		(void)*address;
	return number;
}

/* Behind the last byte a page is zero; behind the last page there is none. */
static void files_end_where_they_end(void)
{
	int file = new_file(), null = open("/dev/null", O_WRONLY), ends[2];
	char *memory = mmap(NULL, (PAGES + 2) * PAGE, RW, MAP_PRIVATE, file, 0);
	REQUIRE(memory != MAP_FAILED && is_the_files(memory) && pipe(ends) == 0 && null >= 0);
	for (int at = 10; at < PAGE; at++)
		REQUIRE(memory[(PAGES - 1) * PAGE + at] == 0);
	REQUIRE(signal_of_reading(memory + PAGES * PAGE) == SIGBUS);
	REQUIRE_ERROR(write(ends[1], memory + PAGES * PAGE, 1), EFAULT);
	REQUIRE(signal_of_reading(memory) == 0 && munmap(memory, (PAGES + 2) * PAGE) == 0);
}

/* Part of a mapping may begin anywhere in the file, end anywhere, and be mapped over. */
static void parts_are_mapped_over_each_other(void)
{
	int file = new_file();
	char *memory = map(file, PROT_READ);
	REQUIRE(mmap(memory + PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file, 3 * PAGE) == memory + PAGE);
	REQUIRE(memory[0] == 'a' && memory[PAGE] == 'd' && memory[2 * PAGE] == 'e' && memory[3 * PAGE] == 'd');
	memory[PAGE] = 'X';
	char *moved = mremap(memory + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map(file, PROT_READ));
	REQUIRE(moved != MAP_FAILED && moved[0] == 'X' && moved[PAGE] == 'b');
	REQUIRE(mmap(memory, PAGE, PROT_NONE, MAP_PRIVATE | MAP_FIXED, file, 0) == memory);
	REQUIRE(mprotect(memory, PAGE, PROT_READ) == 0 && memory[0] == 'a' && is_the_files(map(file, PROT_READ)));
}

/* A file that somebody may still write is read anew by everybody who maps it. */
static void files_that_are_written_are_seen_as_they_are(void)
{
	int reader = new_file();
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", reader);
	int writer = open(path, O_RDWR);
	REQUIRE(writer >= 0);
	for (char letter = 'A'; letter < 'K'; letter++) {
		REQUIRE(pwrite(writer, &letter, 1, PAGE) == 1 && map(reader, PROT_READ)[PAGE] == letter);
		if (letter == 'E') {
			REQUIRE(close(writer) == 0 && map(reader, PROT_READ)[PAGE] == letter);
			writer = open(path, O_RDWR);
		}
	}
	char *shared = mmap(NULL, PAGE, RW, MAP_SHARED, writer, PAGE);
	REQUIRE(shared != MAP_FAILED && close(writer) == 0);
	for (char letter = 'L'; letter < 'Q'; letter++) {
		shared[0] = letter;
		REQUIRE(map(reader, PROT_READ)[PAGE] == letter);
	}
	REQUIRE(munmap(shared, PAGE) == 0 && map(reader, PROT_READ)[PAGE] == 'P');
}

static void descriptors_must_be_readable(void)
{
	char name[] = "/root/pages-XXXXXX";
	int file = mkstemp(name), writer = open(name, O_WRONLY);
	REQUIRE(write(file, "x", 1) == 1 && unlink(name) == 0);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writer, 0), EACCES);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, writer, 0), EACCES);
	char *zeroes = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, open("/dev/zero", O_RDONLY), 0);
	REQUIRE(zeroes != MAP_FAILED && zeroes[PAGE] == 0 && (zeroes[PAGE] = 1) == 1);
}

static const struct claim claims[] = {
	CLAIM(writes_stay_in_their_mapping),
	CLAIM(writes_of_calls_stay_in_their_mapping),
	CLAIM(pages_that_linux_has_seen_are_copied),
	CLAIM(children_share_until_they_write),
	CLAIM(files_end_where_they_end),
	CLAIM(parts_are_mapped_over_each_other),
	CLAIM(files_that_are_written_are_seen_as_they_are),
	CLAIM(descriptors_must_be_readable),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
