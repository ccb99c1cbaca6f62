// SPDX-License-Identifier: GPL-2.0
// hunt leave MIB FOLDER: fills memory of every kind with marks, and ends.
// hunt find MIB FOLDER: takes memory in every way there is, looks for marks that others left, and says where they are.
// hunt both MIB FOLDER: leaves marks and finds them in its own memory, which shows that finding works.
#define _GNU_SOURCE
#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define LARGE (2ul << 20)
#define STACK (4ul << 20)
// Made when it is needed: the program's own data must not hold it.
#define MARK (~(uint64_t)strtoull("5a17c0de0ddba11", NULL, 16))

enum { PIPE_PAGES = 16 };

static const char *folder;
static size_t amount;
static uint64_t mark;
static int found;

static void require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "%s: %s\n", what, strerror(errno));
		exit(9);
	}
}

static void *map(size_t bytes, int flags, int file)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
	require(memory != MAP_FAILED, "mmap");
	return memory;
}

static void look(const char *what, const volatile void *memory, size_t bytes)
{
	const volatile uint64_t *words = memory;
	size_t marks = 0;
	for (size_t i = 0; i < bytes / sizeof *words; i++)
		marks += words[i] == mark;
	if (marks != 0) {
		printf("%s: %zu marks\n", what, marks);
		found = 1;
	}
}

static void fill(void *memory, size_t bytes)
{
	uint64_t *words = memory;
	for (size_t i = 0; i < bytes / sizeof *words; i++)
		words[i] = mark;
}

/* A new file of `bytes` in the folder, without a name. */
static int new_file(size_t bytes)
{
	int file = open(folder, O_TMPFILE | O_RDWR, 0600);
	require(file >= 0 && ftruncate(file, bytes) == 0, "file");
	return file;
}

/* ---- Leaving ---- */

static void leave_in_anonymous_memory(void)
{
	fill(map(amount / 4, MAP_PRIVATE | MAP_ANONYMOUS, -1), amount / 4);
	fill(map(amount / 4, MAP_SHARED | MAP_ANONYMOUS, -1), amount / 4);
	char *small = map(amount / 4, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	madvise(small, amount / 4, MADV_NOHUGEPAGE);
	fill(small, amount / 4);
	// Half of it goes back while the program still lives.
	munmap(small, amount / 8);
}

static void leave_by_a_child(void)
{
	char *copied = map(LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fill(copied, LARGE);
	if (fork() == 0) {
		fill(copied, LARGE);
		_exit(0);
	}
	wait(NULL);
}

/* Pages that Linux has seen, has written, and holds while the program ends. */
static void leave_in_linux_hands(void)
{
	char *shown = map(LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	fill(shown, LARGE);
	int file = new_file(0), ends[2];
	require(write(file, shown, LARGE) == (ssize_t)LARGE, "write");
	char *read_into = map(LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	require(pread(file, read_into, LARGE, 0) == (ssize_t)LARGE, "read");
	require(pipe(ends) == 0, "pipe");
	struct iovec pages = { shown, PIPE_PAGES * PAGE };
	require(vmsplice(ends[1], &pages, 1, 0) > 0, "vmsplice");
	char *mirrored = map(LARGE, MAP_PRIVATE, file);
	fill(mirrored, LARGE);
}

static void *leave_on_the_stack(void *unused)
{
	fill(alloca(STACK / 2), STACK / 2);
	return unused;
}

/* ---- Finding ---- */

static void find_in_anonymous_memory(void)
{
	look("private memory", map(amount / 4, MAP_PRIVATE | MAP_ANONYMOUS, -1), amount / 4);
	look("shared memory", map(amount / 4, MAP_SHARED | MAP_ANONYMOUS, -1), amount / 4);
	char *small = map(amount / 4, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	madvise(small, amount / 4, MADV_NOHUGEPAGE);
	look("small pages", small, amount / 4);
	munmap(small, amount / 4);
	char *heap = sbrk(LARGE);
	look("heap", heap, LARGE);
	char *moved = mremap(map(PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1), PAGE, 2 * LARGE, MREMAP_MAYMOVE);
	require(moved != MAP_FAILED, "mremap");
	look("memory made longer", moved, 2 * LARGE);
	look("memory filled at once", map(2 * LARGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1), 2 * LARGE);
}

/* Memory in which one byte was written, and what lies beside it. */
static void find_beside_what_is_written(void)
{
	char *copied = map(2 * LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	copied[LARGE] = 1;
	look("beside a byte", copied, 2 * LARGE);
	if (fork() == 0) {
		copied[LARGE + 1] = 1;
		look("beside a byte in a child", copied, 2 * LARGE);
		_exit(found);
	}
	int status;
	wait(&status);
	found |= status != 0;
	madvise(copied, 2 * LARGE, MADV_DONTNEED);
	look("memory given up", copied, 2 * LARGE);
}

/* Memory that Linux touches first, for the program's calls. */
static void find_through_linux(void)
{
	int file = new_file(0);
	char *fresh = map(2 * LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	require(pwrite(file, fresh, 2 * LARGE, 0) == 2 * (ssize_t)LARGE, "write");
	look("mapped file", map(2 * LARGE, MAP_SHARED, file), 2 * LARGE);
	char *beside = map(2 * LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	require(pread(file, beside + LARGE + 100, 1, 0) == 1, "read");
	look("beside a byte that was read", beside, 2 * LARGE);
	char *failed = map(LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	require(pread(file, failed, LARGE, 4 * LARGE) == 0, "read behind the end");
	look("for a read of nothing", failed, LARGE);
	int ends[2];
	require(pipe(ends) == 0, "pipe");
	struct iovec pages = { map(LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1), PIPE_PAGES * PAGE };
	require(vmsplice(ends[1], &pages, 1, 0) == (ssize_t)pages.iov_len, "vmsplice");
	char *received = malloc(pages.iov_len);
	require(read(ends[0], received, pages.iov_len) == (ssize_t)pages.iov_len, "read of a pipe");
	look("pages in a pipe", received, pages.iov_len);
}

static void find_behind_the_end_of_a_file(void)
{
	int file = new_file(LARGE + 1);
	look("private pages of a file", map(LARGE + PAGE, MAP_PRIVATE, file), LARGE + PAGE);
	char *written = map(LARGE + PAGE, MAP_PRIVATE, file);
	written[LARGE] = 1;
	look("behind the end of a file", written, LARGE + PAGE);
}

static void *find_on_the_stack(void *unused)
{
	look("stack of a thread", alloca(STACK / 2), STACK / 2);
	return unused;
}

static void in_a_thread(void *(*body)(void *))
{
	pthread_t thread;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	require((errno = pthread_create(&thread, &attributes, body, NULL)) == 0, "thread");
	pthread_join(thread, NULL);
}

int main(int count, char **arguments)
{
	require(count == 4, "hunt leave|find|both MIB FOLDER");
	amount = (size_t)atoi(arguments[2]) << 20;
	folder = arguments[3];
	mark = MARK;
	if (strcmp(arguments[1], "both") == 0) {
		char *own = map(LARGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		fill(own, LARGE);
		look("own", own, LARGE);
		return found;
	}
	if (strcmp(arguments[1], "leave") == 0) {
		leave_in_anonymous_memory();
		leave_by_a_child();
		leave_in_linux_hands();
		in_a_thread(leave_on_the_stack);
		return 0;
	}
	find_in_anonymous_memory();
	find_beside_what_is_written();
	find_through_linux();
	find_behind_the_end_of_a_file();
	in_a_thread(find_on_the_stack);
	puts(found ? "found" : "nothing");
	return found;
}
