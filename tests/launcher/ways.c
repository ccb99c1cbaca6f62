// SPDX-License-Identifier: GPL-2.0
// Claims about data of calls, which must hold whichever way the data travel (mcexec --way).
// `ways seen` is no claim: it prints for each call how many pages of its buffer the process that makes it for Linux has
// mapped, after the first use of a page, after the second, and after the first use of five pages.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { PAGE = 4096, LARGE_PAGE = 2 << 20, SLACK = 64 };

/* Memory with nothing else of the program within 2 MiB, so that its pages are small and nobody's neighbours. */
static char *lonely(size_t bytes)
{
	char *room = mmap(NULL, bytes + 3 * LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(room != MAP_FAILED);
	char *place = (char *)(((uintptr_t)room + 2 * LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1));
	char *memory = mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	REQUIRE(memory == place);
	memset(memory, 0, bytes);
	return memory;
}

static char byte_at(size_t place) { return (char)(place * 2654435761u >> 13); }

static void fill(char *memory, size_t bytes, size_t from)
{
	for (size_t i = 0; i < bytes; i++)
		memory[i] = byte_at(from + i);
}

static int is_filled(const char *memory, size_t bytes, size_t from)
{
	for (size_t i = 0; i < bytes; i++)
		if (memory[i] != byte_at(from + i))
			return 0;
	return 1;
}

static int is_zero(const char *memory, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (memory[i])
			return 0;
	return 1;
}

static int empty_file(void)
{
	int file = memfd_create("ways", 0);
	REQUIRE(file >= 0);
	return file;
}

static void all_lengths_and_places_move_the_same_bytes(void)
{
	static const size_t lengths[] = { 1, 8, 4095, 4096, 4097, 70000, 2 << 20, (3 << 20) + 5 };
	int file = empty_file();
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		size_t bytes = lengths[i], at = 1 + i * 577 % PAGE;
		char *source = lonely(at + bytes + SLACK), *target = lonely(at + bytes + SLACK);
		fill(source + at, bytes, i);
		for (int again = 0; again < 2; again++) {
			memset(target, 0, at + bytes + SLACK);
			REQUIRE(pwrite(file, source + at, bytes, 100) == (ssize_t)bytes);
			REQUIRE(pread(file, target + at, bytes, 100) == (ssize_t)bytes);
			REQUIRE(is_filled(target + at, bytes, i));
			REQUIRE(is_zero(target, at) && is_zero(target + at + bytes, SLACK));
			fill(source + at, bytes, i + 1);
			REQUIRE(lseek(file, 7, SEEK_SET) == 7 && write(file, source + at, bytes) == (ssize_t)bytes);
			REQUIRE(lseek(file, 7, SEEK_SET) == 7 && read(file, target + at, bytes) == (ssize_t)bytes);
			REQUIRE(is_filled(target + at, bytes, i + 1) && lseek(file, 0, SEEK_CUR) == (off_t)(7 + bytes));
			fill(source + at, bytes, i);
		}
	}
}

static void short_reads_leave_the_rest_alone(void)
{
	int file = empty_file(), ends[2];
	char *target = lonely(3 * PAGE);
	REQUIRE(write(file, "abcdef", 6) == 6 && pread(file, target + 5, 2 * PAGE, 1) == 5);
	REQUIRE(memcmp(target + 5, "bcdef", 6) == 0 && is_zero(target + 10, 2 * PAGE));
	REQUIRE(pipe2(ends, O_NONBLOCK) == 0 && write(ends[1], "xyz", 3) == 3);
	target = lonely(3 * PAGE);
	REQUIRE(read(ends[0], target + PAGE - 1, PAGE) == 3 && memcmp(target + PAGE - 1, "xyz", 4) == 0);
	REQUIRE_ERROR(read(ends[0], target, PAGE), EAGAIN);
	REQUIRE_ERROR(read(-1, target, PAGE), EBADF);
	REQUIRE_ERROR(write(-1, target, PAGE), EBADF);
	REQUIRE_ERROR(pwrite(ends[1], target, PAGE, 0), ESPIPE);
	REQUIRE(read(file, target, 0) == 0 && pread(file, target, 1, 6) == 0);
}

static void bad_pointers_are_efault_and_lose_nothing(void)
{
	int file = empty_file(), ends[2];
	char *no_rights = lonely(PAGE), *one = lonely(PAGE);
	REQUIRE(mprotect(no_rights, PAGE, PROT_NONE) == 0);
	REQUIRE(pwrite(file, "0123456789", 10, 0) == 10 && pipe(ends) == 0 && write(ends[1], "data", 4) == 4);
	void *const bad[] = { NULL, (void *)16, no_rights, (void *)0x7ffffffff000, (void *)0x8000000000000000,
			      (void *)0xffff800000000000, (void *)-8 };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		void *p = bad[i];
		REQUIRE_ERROR(syscall(SYS_read, ends[0], p, 4), EFAULT);
		REQUIRE_ERROR(syscall(SYS_read, file, p, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_pread64, file, p, 8, 0), EFAULT);
		REQUIRE_ERROR(syscall(SYS_write, ends[1], p, 8), EFAULT);
		REQUIRE_ERROR(syscall(SYS_pwrite64, file, p, 8, 0), EFAULT);
		REQUIRE_ERROR(syscall(SYS_ioctl, ends[0], FIONREAD, p), EFAULT);
		REQUIRE_ERROR(syscall(SYS_ioctl, ends[0], FIONBIO, p), EFAULT);
	}
	/* A buffer that ends too early holds what fits. */
	REQUIRE(ftruncate(file, 2 * PAGE) == 0 && pread(file, one + PAGE - 10, 100, 0) == 10);
	REQUIRE(memcmp(one + PAGE - 10, "0123456789", 10) == 0 && pwrite(file, one + PAGE - 10, 100, 0) == 10);
	REQUIRE(read(ends[0], one, PAGE) == 4 && memcmp(one, "data", 4) == 0 && lseek(file, 0, SEEK_CUR) == 0);
}

static void rights_count(void)
{
	int file = empty_file();
	char *page = lonely(PAGE), answer[4] = "";
	strcpy(page, "abc");
	REQUIRE(mprotect(page, PAGE, PROT_READ) == 0);
	REQUIRE(pwrite(file, page, 4, 0) == 4 && pread(file, answer, 4, 0) == 4 && strcmp(answer, "abc") == 0);
	REQUIRE_ERROR(pread(file, page, 4, 0), EFAULT);
	REQUIRE_ERROR(ioctl(file, FIONREAD, page), EFAULT);
	REQUIRE(strcmp(page, "abc") == 0);
}

/* Pages that come when they are touched, of a file and of memory, and pages shared with Linux. */
static void pages_that_are_not_there_yet_come(void)
{
	int file = empty_file(), program = open("/proc/self/exe", O_RDONLY);
	char *late = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *of_file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, program, 0);
	REQUIRE(late != MAP_FAILED && of_file != MAP_FAILED);
	REQUIRE(pwrite(file, of_file, PAGE, 0) == PAGE && pread(file, late + 100, PAGE, 0) == PAGE);
	REQUIRE(memcmp(late + 100, of_file, PAGE) == 0 && memcmp(of_file, "\177ELF", 4) == 0);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	REQUIRE(shared != MAP_FAILED && pread(program, shared + 8, 100, 0) == 100);
	REQUIRE(memcmp(shared + 8, of_file, 100) == 0 && pwrite(file, shared + 8, 50, 2 * PAGE) == 50);
	REQUIRE(pread(file, late, 50, 2 * PAGE) == 50 && memcmp(late, of_file, 50) == 0);
}

static void parent_and_child_have_data_of_their_own(void)
{
	int file = empty_file(), status;
	char *page = lonely(2 * PAGE);
	fill(page, 2 * PAGE, 0);
	pid_t child = fork();
	size_t mine = child == 0 ? 3 : 5;
	for (off_t at = 0; at < 20 * PAGE; at += 2 * PAGE) {
		off_t place = at + (child == 0 ? 100 * PAGE : 0);
		REQUIRE(is_filled(page, 2 * PAGE, at ? mine : 0));
		fill(page, 2 * PAGE, mine);
		REQUIRE(pwrite(file, page, 2 * PAGE, place) == 2 * PAGE);
		memset(page, 0, 2 * PAGE);
		REQUIRE(pread(file, page, 2 * PAGE, place) == 2 * PAGE && is_filled(page, 2 * PAGE, mine));
	}
	if (child == 0)
		_exit(0);
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

static void *read_a_byte(void *argument)
{
	char *byte = lonely(PAGE);
	REQUIRE(read(*(int *)argument, byte, PAGE) == 1 && *byte == '!');
	return NULL;
}

static void a_call_that_waits_holds_up_nobody(void)
{
	int ends[2], file = empty_file();
	char *page = lonely(PAGE);
	pthread_t reader;
	REQUIRE(pipe(ends) == 0 && pthread_create(&reader, NULL, read_a_byte, &ends[0]) == 0);
	usleep(20000);
	REQUIRE(pwrite(file, "abc", 3, 0) == 3 && pread(file, page, 3, 0) == 3 && strcmp(page, "abc") == 0);
	*page = '!';
	REQUIRE(write(ends[1], page, 1) == 1 && pthread_join(reader, NULL) == 0);
}

static void ioctls_move_their_arguments(void)
{
	int ends[2], terminal = posix_openpt(O_RDWR | O_NOCTTY);
	int *number = (int *)lonely(PAGE);
	REQUIRE(pipe(ends) == 0 && write(ends[1], "abc", 3) == 3);
	number[1] = 77;
	REQUIRE(ioctl(ends[0], FIONREAD, number) == 0 && number[0] == 3 && number[1] == 77);
	REQUIRE(ioctl(ends[0], FIONBIO, number) == 0 && fcntl(ends[0], F_GETFL) & O_NONBLOCK);
	struct winsize *size = (struct winsize *)lonely(PAGE), *seen = (struct winsize *)lonely(PAGE);
	*size = (struct winsize){ .ws_row = 12, .ws_col = 34, .ws_xpixel = 5, .ws_ypixel = 6 };
	REQUIRE(terminal >= 0 && ioctl(terminal, TIOCSWINSZ, size) == 0 && ioctl(terminal, TIOCGWINSZ, seen) == 0);
	REQUIRE(memcmp(size, seen, 2 * sizeof *size) == 0);
	/* Of the kernel's structure nothing lies behind 36 bytes. */
	unsigned char *modes = (unsigned char *)lonely(PAGE), *again = (unsigned char *)lonely(PAGE);
	REQUIRE(ioctl(terminal, TCGETS, modes) == 0 && !is_zero((char *)modes, 36) && is_zero((char *)modes + 36, 64));
	((struct termios *)modes)->c_lflag ^= ECHO;
	REQUIRE(ioctl(terminal, TCSETS, modes) == 0 && ioctl(terminal, TCGETS, again) == 0);
	REQUIRE(memcmp(modes, again, PAGE) == 0);
	REQUIRE_ERROR(ioctl(ends[0], TIOCGWINSZ, size), ENOTTY);
	REQUIRE_ERROR(ioctl(ends[0], 0x1234, size), ENOTTY);
}

/* How many of the pages from `memory` on the process that makes our calls has in its page table. */
static int pages_seen(const char *memory, size_t pages)
{
	static uint64_t entries[8];
	static int map = -1;
	if (map < 0)
		map = open("/proc/self/pagemap", O_RDONLY);
	REQUIRE(map >= 0 && pages <= 8);
	off_t place = (off_t)((uintptr_t)memory / PAGE * sizeof *entries);
	REQUIRE(pread(map, entries, pages * sizeof *entries, place) == (ssize_t)(pages * sizeof *entries));
	int seen = 0;
	for (size_t i = 0; i < pages; i++)
		seen += (int)(entries[i] >> 63);
	return seen;
}

static int file, ends[2];

static void do_read(char *memory, size_t bytes) { REQUIRE(read(file, memory, bytes) == (ssize_t)bytes); }
static void do_pread(char *memory, size_t bytes) { REQUIRE(pread(file, memory, bytes, 9) == (ssize_t)bytes); }
static void do_write(char *memory, size_t bytes) { REQUIRE(write(file, memory, bytes) == (ssize_t)bytes); }
static void do_pwrite(char *memory, size_t bytes) { REQUIRE(pwrite(file, memory, bytes, 9) == (ssize_t)bytes); }
static void do_ioctl(char *memory, size_t bytes) { REQUIRE(bytes && ioctl(ends[0], FIONREAD, memory) == 0); }

static void print_pages_seen(void)
{
	static const struct {
		const char *name;
		void (*call)(char *memory, size_t bytes);
	} calls[] = { { "read", do_read }, { "pread64", do_pread }, { "write", do_write }, { "pwrite64", do_pwrite },
		      { "ioctl", do_ioctl } };
	file = empty_file();
	REQUIRE(pipe(ends) == 0 && ftruncate(file, 100 * PAGE) == 0);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		char *page = lonely(PAGE), *many = lonely(5 * PAGE);
		calls[i].call(page, 100);
		int first = pages_seen(page, 1);
		calls[i].call(page, 100);
		int second = pages_seen(page, 1);
		calls[i].call(many, 5 * PAGE);
		printf("%s %d %d %d\n", calls[i].name, first, second, pages_seen(many, 5));
	}
}

static const struct claim claims[] = {
	CLAIM(all_lengths_and_places_move_the_same_bytes),
	CLAIM(short_reads_leave_the_rest_alone),
	CLAIM(bad_pointers_are_efault_and_lose_nothing),
	CLAIM(rights_count),
	CLAIM(pages_that_are_not_there_yet_come),
	CLAIM(parent_and_child_have_data_of_their_own),
	CLAIM(a_call_that_waits_holds_up_nobody),
	CLAIM(ioctls_move_their_arguments),
};

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "seen") == 0) {
		print_pages_seen();
		return 0;
	}
	return RUN_CLAIMS(claims, argc, argv);
}
