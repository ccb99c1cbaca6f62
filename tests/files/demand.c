// SPDX-License-Identifier: GPL-2.0
// Claims about private mappings of files whose pages come when they are touched.
#define _GNU_SOURCE
#include "claims.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 300 };
#define RW (PROT_READ | PROT_WRITE)
#define BYTES ((size_t)PAGES * PAGE)

/* What page n of a new file begins with. */
static int word_of(int n)
{
	return 1000003 * (n + 1);
}

static int fill(int file)
{
	int page[PAGE / sizeof(int)] = { 0 };
	for (int n = 0; n < PAGES; n++) {
		page[0] = word_of(n);
		REQUIRE(write(file, page, PAGE) == PAGE);
	}
	return file;
}

/* A file of PAGES pages, without a name, open for reading and writing. */
static int new_file(void)
{
	char name[] = "/root/demand-XXXXXX";
	int file = mkstemp(name);
	REQUIRE(file >= 0 && unlink(name) == 0);
	return fill(file);
}

/* The same, but nobody can write it. */
static int constant_file(void)
{
	char path[64];
	int writer = new_file(), reader;
	snprintf(path, sizeof path, "/proc/self/fd/%d", writer);
	reader = open(path, O_RDONLY);
	REQUIRE(reader >= 0 && close(writer) == 0);
	return reader;
}

static char *map(int file, int rights)
{
	char *memory = mmap(NULL, BYTES, rights, MAP_PRIVATE, file, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static int at(const char *memory, int page)
{
	return *(const volatile int *)(memory + (size_t)page * PAGE);
}

static void set(char *memory, int page, int word)
{
	*(volatile int *)(memory + (size_t)page * PAGE) = word;
}

/* Whether pages first to last of a mapping are pages of the file from `page` on. */
static int are(const char *memory, int first, int last, int page)
{
	for (int n = first; n <= last; n++)
		if (at(memory, n) != word_of(page + n - first))
			return 0;
	return 1;
}

static void pages_come_in_any_order(void)
{
	int file = constant_file();
	char *up = map(file, PROT_READ), *down = map(file, RW), *mixed = map(file, RW);
	REQUIRE(close(file) == 0 && are(up, 0, PAGES - 1, 0));
	for (int n = PAGES - 1; n >= 0; n--)
		REQUIRE(at(down, n) == word_of(n));
	for (int n = 0; n < PAGES; n++) {
		int page = n * 7 % PAGES;
		if (n % 3 == 0)
			set(mixed, page, -n);
		REQUIRE(at(mixed, page) == (n % 3 == 0 ? -n : word_of(page)));
	}
	for (int n = 0; n < PAGES; n++)
		REQUIRE(at(mixed, n * 7 % PAGES) == (n % 3 == 0 ? -n : word_of(n * 7 % PAGES)));
	REQUIRE(are(up, 0, PAGES - 1, 0) && are(down, 0, PAGES - 1, 0));
}

/* Where it is cut, mapped over, protected, or moved, each page remains the file's. */
static void cuts_keep_their_place(void)
{
	int file = constant_file();
	char *memory = map(file, PROT_READ), *moved;
	REQUIRE(munmap(memory + 10 * PAGE, 10 * PAGE) == 0);
	REQUIRE(mprotect(memory + 40 * PAGE, 10 * PAGE, RW) == 0);
	REQUIRE(mprotect(memory + 60 * PAGE, 10 * PAGE, PROT_NONE) == 0);
	REQUIRE(mmap(memory + 80 * PAGE, 20 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file, 7 * PAGE) == memory + 80 * PAGE);
	REQUIRE(mmap(memory + 100 * PAGE, 20 * PAGE, RW, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	moved = mmap(NULL, 50 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(mremap(memory + 200 * PAGE, 50 * PAGE, 50 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved) == moved);
	set(memory, 45, 5);
	REQUIRE(close(file) == 0 && are(memory, 0, 9, 0) && are(memory, 20, 44, 20) && at(memory, 45) == 5);
	REQUIRE(are(memory, 46, 59, 46) && are(memory, 70, 79, 70) && are(memory, 80, 99, 7) && at(memory, 100) == 0);
	REQUIRE(are(memory, 120, 199, 120) && are(moved, 0, 49, 200) && are(memory, 250, PAGES - 1, 250));
	REQUIRE(mprotect(memory + 60 * PAGE, 10 * PAGE, PROT_READ) == 0 && are(memory, 60, 69, 60));
}

static void dropped_pages_come_back(void)
{
	int file = new_file(), word = -1;
	char *memory = map(file, RW);
	for (int n = 0; n < PAGES; n += 2)
		set(memory, n, 1);
	REQUIRE(madvise(memory, 100 * PAGE, MADV_DONTNEED) == 0);
	REQUIRE(are(memory, 0, 99, 0) && at(memory, 100) == 1 && at(memory, 101) == word_of(101));
	REQUIRE(pwrite(file, &word, sizeof word, 5 * PAGE) == sizeof word);
	REQUIRE(madvise(memory + 5 * PAGE, PAGE, MADV_DONTNEED) == 0 && at(memory, 5) == -1 && at(memory, 4) == word_of(4));
	char *small = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, file, 3 * PAGE);
	set(small, 0, 1), set(small, 1, 1);
	REQUIRE(madvise(small, 2 * PAGE, MADV_DONTNEED) == 0 && at(small, 0) == word_of(3) && at(small, 1) == word_of(4));
	REQUIRE_ERROR(madvise(small, PAGE, MADV_FREE), EINVAL);
}

/* Files that nobody writes are the same for all; what one process drops is still the file's. */
static void dropped_pages_of_constant_files_come_back(void)
{
	int file = constant_file();
	char *first = map(file, RW), *second = map(file, PROT_READ);
	REQUIRE(close(file) == 0 && are(second, 0, PAGES - 1, 0));
	set(first, 3, 1);
	REQUIRE(madvise(first, BYTES, MADV_DONTNEED) == 0 && madvise(second, BYTES, MADV_DONTNEED) == 0);
	REQUIRE(are(first, 0, PAGES - 1, 0) && are(second, 0, PAGES - 1, 0));
}

static void growth_continues_in_the_file(void)
{
	int file = constant_file();
	char *memory = mmap(NULL, 100 * PAGE, RW, MAP_PRIVATE, file, 10 * PAGE), *moved;
	set(memory, 0, 1);
	moved = mremap(memory, 100 * PAGE, 200 * PAGE, MREMAP_MAYMOVE);
	REQUIRE(moved != MAP_FAILED && at(moved, 0) == 1 && are(moved, 1, 199, 11));
	memory = map(file, PROT_READ);
	REQUIRE(munmap(memory + 100 * PAGE, 200 * PAGE) == 0);
	REQUIRE(mremap(memory, 100 * PAGE, 150 * PAGE, 0) == memory && are(memory, 0, 149, 0));
	REQUIRE(mremap(memory, 150 * PAGE, 20 * PAGE, 0) == memory && are(memory, 0, 19, 0));
	REQUIRE(mremap(memory, 20 * PAGE, BYTES, 0) == memory && are(memory, 0, PAGES - 1, 0));
	char *small = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, file, PAGE);
	small = mremap(small, 2 * PAGE, 30 * PAGE, MREMAP_MAYMOVE);
	REQUIRE(small != MAP_FAILED && are(small, 0, 29, 1));
}

static sigjmp_buf after;

static void on_bus_error(int signal)
{
	siglongjmp(after, signal);
}

static int signal_of_reading(const char *memory, int page)
{
	signal(SIGBUS, on_bus_error);
	int number = sigsetjmp(after, 1);
	if (number == 0)
		(void)at(memory, page);
	return number;
}

static void shorter_files_have_fewer_pages(void)
{
	int file = new_file(), null = open("/dev/null", O_WRONLY), ends[2];
	char *memory = map(file, RW);
	REQUIRE(at(memory, 0) == word_of(0) && ftruncate(file, 150 * PAGE + 4) == 0 && pipe(ends) == 0 && null >= 0);
	REQUIRE(are(memory, 0, 150, 0) && signal_of_reading(memory, 200) == SIGBUS);
	REQUIRE_ERROR(write(ends[1], memory + 200 * PAGE, 1), EFAULT);
	REQUIRE_ERROR(madvise(memory + 200 * PAGE, PAGE, MADV_POPULATE_READ), EFAULT);
	REQUIRE(ftruncate(file, (off_t)BYTES) == 0 && at(memory, 200) == 0 && at(memory, PAGES - 1) == 0);
	REQUIRE(ftruncate(file, 0) == 0 && madvise(memory, BYTES, MADV_DONTNEED) == 0);
	REQUIRE(signal_of_reading(memory, 0) == SIGBUS && signal_of_reading(memory, 150) == SIGBUS);
}

static void advice_brings_pages(void)
{
	int file = constant_file();
	char *memory = map(file, RW), *second = mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	REQUIRE(madvise(memory, BYTES, MADV_POPULATE_READ) == 0 && are(memory, 0, PAGES - 1, 0));
	REQUIRE(madvise(memory, BYTES, MADV_POPULATE_WRITE) == 0 && are(memory, 0, PAGES - 1, 0));
	REQUIRE(madvise(memory, BYTES, MADV_WILLNEED) == 0 && second != MAP_FAILED && are(second, 0, PAGES - 1, 0));
	REQUIRE_ERROR(madvise(second, PAGE, MADV_POPULATE_WRITE), EINVAL);
	char *third = map(file, RW);
	REQUIRE(mlock(third, 20 * PAGE) == 0 && are(third, 0, 30, 0) && munlock(third, 20 * PAGE) == 0);
	REQUIRE_ERROR(madvise(third, PAGE, 1000), EINVAL);
}

/* Linux touches what the program has not touched, as a source and as a target. */
static void calls_find_untouched_pages(void)
{
	int file = new_file(), ends[2], word = 0, other = -7;
	char *memory = map(file, RW);
	REQUIRE(pipe(ends) == 0 && write(ends[1], memory + 50 * PAGE, sizeof word) == sizeof word);
	REQUIRE(read(ends[0], &word, sizeof word) == sizeof word && word == word_of(50));
	REQUIRE(write(ends[1], &other, sizeof other) == sizeof other);
	REQUIRE(read(ends[0], memory + 120 * PAGE, sizeof other) == sizeof other);
	REQUIRE(at(memory, 120) == -7 && are(memory, 121, 140, 121));
	REQUIRE(*(int *)(memory + 119 * PAGE) == word_of(119) && *(int *)(memory + 120 * PAGE + 4) == 0);
	struct iovec from = { memory + 180 * PAGE, sizeof word }, to = { &word, sizeof word };
	REQUIRE(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == sizeof word && word == word_of(180));
	REQUIRE(mprotect(memory, PAGE, PROT_READ) == 0 && write(ends[1], &other, 1) == 1);
	REQUIRE_ERROR(read(ends[0], memory, 1), EFAULT);
	REQUIRE(at(memory, 0) == word_of(0));
}

/* Linux writes a file from an untouched mapping of the same file, holding the file's locks. */
static void a_file_is_written_from_its_own_mapping(void)
{
	int file = new_file();
	char *memory = map(file, PROT_READ);
	REQUIRE(pwrite(file, memory + 100 * PAGE, 100 * PAGE, 0) == 100 * PAGE);
	REQUIRE(are(map(file, PROT_READ), 0, 99, 100) && are(memory, 100, 199, 100));
}

/* What was touched, and its neighbours, may stay as it was: Linux leaves that open. */
static void changes_are_seen_where_nothing_was_touched(void)
{
	int file = new_file(), word = -1;
	char *memory = map(file, RW);
	set(memory, 1, 1);
	for (int n = 50; n < PAGES; n += 100)
		REQUIRE(pwrite(file, &word, sizeof word, (off_t)n * PAGE) == sizeof word && at(memory, n) == -1);
	REQUIRE(at(memory, 1) == 1);
}

static void children_touch_what_parents_did_not(void)
{
	int file = constant_file(), status;
	char *memory = map(file, RW);
	set(memory, 2, 1);
	pid_t child = fork();
	if (child == 0) {
		usleep(20000);
		REQUIRE(at(memory, 2) == 1 && are(memory, 3, PAGES - 1, 3));
		set(memory, 250, 3);
		char *moved = mremap(memory, 10 * PAGE, 40 * PAGE, MREMAP_MAYMOVE);
		REQUIRE(moved != MAP_FAILED && at(moved, 2) == 1 && are(moved, 3, 39, 3));
		_exit(0);
	}
	REQUIRE(munmap(memory, 200 * PAGE) == 0 && close(file) == 0);
	REQUIRE(waitpid(child, &status, 0) == child && status == 0 && are(memory, 200, PAGES - 1, 200));
	REQUIRE(munmap(memory + 200 * PAGE, 100 * PAGE) == 0);
}

static void children_of_vfork_touch_and_map(void)
{
	int file = constant_file(), status;
	char *volatile memory = map(file, RW), *volatile mapped = NULL;
	volatile int is_good = 0;
	pid_t child = vfork();
	if (child == 0) {
		mapped = mmap(NULL, BYTES, RW, MAP_PRIVATE, file, 0);
		is_good = at(memory, 100) == word_of(100) && mapped != MAP_FAILED && at(mapped, 200) == word_of(200);
		_exit(0);
	}
	REQUIRE(waitpid(child, &status, 0) == child && status == 0 && is_good);
	REQUIRE(close(file) == 0 && are(memory, 0, PAGES - 1, 0) && are(mapped, 0, PAGES - 1, 0));
	REQUIRE(munmap(mapped, BYTES) == 0 && are(memory, 0, PAGES - 1, 0));
}

static char *common;

static void *touch_all(void *first)
{
	for (int n = 0; n < PAGES; n++) {
		int page = (n + *(int *)first) % PAGES;
		REQUIRE(at(common, page) == word_of(page) || at(common, page) == -page);
		if (page % 10 == *(int *)first % 10)
			set(common, page, -page);
	}
	return NULL;
}

static void threads_touch_at_once(void)
{
	int starts[] = { 1, 2, 1, 152, 299, 3 };
	for (int round = 0; round < 20; round++) {
		pthread_t threads[6];
		common = map(constant_file(), RW);
		for (int n = 0; n < 6; n++)
			REQUIRE(pthread_create(&threads[n], NULL, touch_all, &starts[n]) == 0);
		for (int n = 0; n < 6; n++)
			REQUIRE(pthread_join(threads[n], NULL) == 0);
		for (int n = 0; n < PAGES; n++) {
			int is_written = n % 10 == 1 || n % 10 == 2 || n % 10 == 9 || n % 10 == 3;
			REQUIRE(at(common, n) == (is_written ? -n : word_of(n)));
		}
		REQUIRE(munmap(common, BYTES) == 0);
	}
}

static void files_in_memory_come_page_by_page(void)
{
	int file = fill(memfd_create("demand", 0)), status, ends[2];
	char *memory = map(file, RW), byte;
	REQUIRE(are(memory, 0, 20, 0) && pipe(ends) == 0 && write(ends[1], memory + 250 * PAGE, 1) == 1);
	REQUIRE(read(ends[0], &byte, 1) == 1 && byte == (char)word_of(250));
	set(memory, 5, 1);
	REQUIRE(madvise(memory, BYTES, MADV_DONTNEED) == 0 && close(file) == 0);
	pid_t child = fork();
	if (child == 0)
		_exit(!are(memory, 0, PAGES - 1, 0));
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	memory = mremap(memory, 50 * PAGE, 60 * PAGE, MREMAP_MAYMOVE);
	REQUIRE(memory != MAP_FAILED && are(memory, 0, 59, 0));
}

enum { SMALL = 8 };
static char *arena;
static atomic_int present, written[SMALL];

/* Writes the number of the round into pages of the mapping, once each, as soon as they hold what the file does. */
static void *write_early(void *unused)
{
	for (int n = 0, round; (round = atomic_load(&present)) >= 0; n = (n + 1) % SMALL) {
		volatile int *page = (volatile int *)(arena + n * PAGE);
		if (written[n] == round || page[0] != word_of(n))
			continue;
		page[1] = round;
		atomic_store(&written[n], round);
	}
	return unused;
}

/* What another thread writes while mmap is still on its way stays. */
static void early_writes_are_kept(void)
{
	char name[] = "/dev/shm/demand-XXXXXX";
	int file = mkstemp(name), seen = 0;
	pthread_t writer;
	REQUIRE(file >= 0 && unlink(name) == 0);
	fill(file);
	arena = mmap(NULL, SMALL * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(arena != MAP_FAILED);
	REQUIRE(pthread_create(&writer, NULL, write_early, NULL) == 0);
	for (int round = 1; round <= 500; round++) {
		atomic_store(&present, round);
		REQUIRE(mmap(arena, SMALL * PAGE, RW, MAP_PRIVATE | MAP_FIXED, file, 0) == arena);
		usleep(round % 2 ? 0 : 300);
		for (int n = 0; n < SMALL; n++) {
			if (atomic_load(&written[n]) != round)
				continue;
			seen++;
			REQUIRE(((volatile int *)(arena + n * PAGE))[1] == round);
		}
		REQUIRE(mmap(arena, SMALL * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == arena);
	}
	atomic_store(&present, -1);
	REQUIRE(pthread_join(writer, NULL) == 0 && seen != 0);
}

static void words_of_untouched_pages_are_compared(void)
{
	char *memory = map(new_file(), RW);
	REQUIRE_ERROR(syscall(SYS_futex, memory + 100 * PAGE, FUTEX_WAIT_PRIVATE, 1, NULL), EAGAIN);
	REQUIRE(syscall(SYS_futex, memory + 200 * PAGE, FUTEX_WAKE, 1) == 0 && at(memory, 200) == word_of(200));
}

/* A large mapping takes memory for what is written only. */
static void large_mappings_may_be_written(void)
{
	int file = new_file();
	size_t bytes = (size_t)200 << 20;
	REQUIRE(ftruncate(file, (off_t)bytes) == 0);
	for (int round = 0; round < 5; round++) {
		char *memory = mmap(NULL, bytes, RW, MAP_PRIVATE | MAP_NORESERVE, file, 0);
		REQUIRE(memory != MAP_FAILED && at(memory, 50000) == 0 && at(memory, 7) == word_of(7));
		set(memory, 50000, 1), set(memory, 7, 1);
		REQUIRE(at(memory, 50000) == 1 && at(memory, 8) == word_of(8));
	}
}

static const struct claim claims[] = {
	CLAIM(pages_come_in_any_order),
	CLAIM(cuts_keep_their_place),
	CLAIM(dropped_pages_come_back),
	CLAIM(dropped_pages_of_constant_files_come_back),
	CLAIM(growth_continues_in_the_file),
	CLAIM(shorter_files_have_fewer_pages),
	CLAIM(advice_brings_pages),
	CLAIM(calls_find_untouched_pages),
	CLAIM(a_file_is_written_from_its_own_mapping),
	CLAIM(changes_are_seen_where_nothing_was_touched),
	CLAIM(children_touch_what_parents_did_not),
	CLAIM(children_of_vfork_touch_and_map),
	CLAIM(threads_touch_at_once),
	CLAIM(files_in_memory_come_page_by_page),
	CLAIM(early_writes_are_kept),
	CLAIM(words_of_untouched_pages_are_compared),
	CLAIM(large_mappings_may_be_written),
};

/* touch FILE r|w: maps it, touches its first page and its last, and says what is there. */
static int touch(const char *path, int rights)
{
	int file = open(path, O_RDONLY);
	off_t bytes = lseek(file, 0, SEEK_END);
	char *memory = mmap(NULL, (size_t)bytes, rights, MAP_PRIVATE, file, 0);
	REQUIRE(memory != MAP_FAILED);
	printf("%d %d\n", memory[0], memory[bytes - 1]);
	return 0;
}

/* map FILE: maps it in two parts and one moved, waits for a line, unmaps them, waits for another. */
static int map_and_wait(const char *path)
{
	int file = open(path, O_RDONLY);
	char *memory = mmap(NULL, 100 * PAGE, RW, MAP_PRIVATE, file, 0), line[16];
	REQUIRE(memory != MAP_FAILED && close(file) == 0 && (at(memory, 50), 1) && munmap(memory + 20 * PAGE, PAGE) == 0);
	char *moved = mremap(memory + 21 * PAGE, 10 * PAGE, 20 * PAGE, MREMAP_MAYMOVE);
	REQUIRE(moved != MAP_FAILED && puts("mapped") >= 0 && fflush(stdout) == 0 && fgets(line, sizeof line, stdin));
	REQUIRE(munmap(memory, 21 * PAGE) == 0 && munmap(moved, 20 * PAGE) == 0);
	REQUIRE(munmap(memory + 31 * PAGE, 69 * PAGE) == 0);
	REQUIRE(puts("unmapped") >= 0 && fflush(stdout) == 0);
	return fgets(line, sizeof line, stdin) == NULL;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "map") == 0)
		return map_and_wait(argv[2]);
	if (argc == 4 && strcmp(argv[1], "touch") == 0)
		return touch(argv[2], argv[3][0] == 'w' ? RW : PROT_READ);
	return RUN_CLAIMS(claims, argc, argv);
}
