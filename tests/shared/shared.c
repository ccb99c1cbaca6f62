// SPDX-License-Identifier: GPL-2.0
// Claims about shared mappings of files and shared memory: one memory for the program, for system calls and for others.
#define _GNU_SOURCE
#include "claims.h"
#include "faults.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, BYTES = PAGES * PAGE };

/* An unlinked file of `bytes` zeroes in `folder`. */
static int new_file(const char *folder, size_t bytes)
{
	char name[64];
	snprintf(name, sizeof name, "%s/shared-XXXXXX", folder);
	int file = mkstemp(name);
	REQUIRE(file >= 0 && unlink(name) == 0 && ftruncate(file, (off_t)bytes) == 0);
	return file;
}

static char *map(int file, size_t bytes, int protection)
{
	char *memory = mmap(NULL, bytes, protection, MAP_SHARED, file, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static const int RW = PROT_READ | PROT_WRITE;

static void is_coherent(int file)
{
	char *memory = map(file, BYTES, RW), back[16];
	for (int page = 0; page < PAGES; page++) {
		snprintf(memory + page * PAGE, 16, "page %d", page);
		REQUIRE(pread(file, back, 16, page * PAGE) == 16 && strcmp(back, memory + page * PAGE) == 0);
	}
	for (int page = 0; page < PAGES; page += 3) {
		int bytes = snprintf(back, 16, "again %d", page) + 1;
		REQUIRE(pwrite(file, back, (size_t)bytes, page * PAGE + 100) == bytes);
		REQUIRE(strcmp(memory + page * PAGE + 100, back) == 0);
	}
	char *second = map(file, BYTES, RW);
	memory[5 * PAGE + 7] = 'x';
	REQUIRE(second[5 * PAGE + 7] == 'x');
	second[5 * PAGE + 7] = 'y';
	REQUIRE(memory[5 * PAGE + 7] == 'y');
	REQUIRE(munmap(memory, BYTES) == 0 && second[5 * PAGE + 7] == 'y' && munmap(second, BYTES) == 0);
}

static void disk_files_are_coherent(void) { is_coherent(new_file(".", BYTES)); }
static void dev_shm_is_coherent(void) { is_coherent(new_file("/dev/shm", BYTES)); }
static void tmpfs_is_coherent(void) { is_coherent(new_file("/tmp", BYTES)); }

static void memory_files_are_coherent(void)
{
	int file = memfd_create("shared", MFD_CLOEXEC);
	REQUIRE(file >= 0 && ftruncate(file, BYTES) == 0);
	is_coherent(file);
}

static void posix_shared_memory_is_coherent(void)
{
	int file = shm_open("/shared-claim", O_RDWR | O_CREAT | O_EXCL, 0600);
	REQUIRE(file >= 0 && shm_unlink("/shared-claim") == 0 && ftruncate(file, BYTES) == 0);
	is_coherent(file);
}

static void descriptor_may_be_closed(void)
{
	int file = new_file(".", BYTES), other = dup(file);
	char *memory = map(file, BYTES, RW), back = 0;
	REQUIRE(close(file) == 0);
	memory[PAGE] = 'c';
	REQUIRE(pread(other, &back, 1, PAGE) == 1 && back == 'c');
}

static void offsets_count(void)
{
	int file = new_file(".", BYTES);
	REQUIRE(pwrite(file, "here", 5, 7 * PAGE) == 5);
	char *memory = mmap(NULL, PAGE, RW, MAP_SHARED, file, 7 * PAGE);
	REQUIRE(memory != MAP_FAILED && strcmp(memory, "here") == 0);
	REQUIRE_ERROR(mmap(NULL, PAGE, RW, MAP_SHARED, file, 100), EINVAL);
}

static void past_the_end_is_a_bus_error(void)
{
	int file = new_file(".", PAGE + 10);
	char *memory = map(file, 4 * PAGE, RW);
	REQUIRE(memory[PAGE + 9] == 0 && memory[PAGE + 4000] == 0);
	REQUIRE(signal_of(memory + 2 * PAGE, 0) == SIGBUS && signal_of(memory + 3 * PAGE, 1) == SIGBUS);
	REQUIRE(ftruncate(file, 4 * PAGE) == 0 && signal_of(memory + 3 * PAGE, 1) == 0 && memory[3 * PAGE] == 1);
}

static void truncating_takes_pages_away(void)
{
	int file = new_file(".", BYTES);
	char *memory = map(file, BYTES, RW);
	memset(memory, 'a', BYTES);
	REQUIRE(ftruncate(file, 10 * PAGE + 5) == 0);
	REQUIRE(memory[10 * PAGE + 4] == 'a' && memory[10 * PAGE + 5] == 0);
	REQUIRE(signal_of(memory + 11 * PAGE, 0) == SIGBUS && signal_of(memory + BYTES - 1, 1) == SIGBUS);
	REQUIRE(ftruncate(file, BYTES) == 0 && memory[11 * PAGE] == 0 && memory[BYTES - 1] == 0);
}

static void punched_holes_are_zero(void)
{
	int file = new_file("/dev/shm", BYTES);
	char *memory = map(file, BYTES, RW);
	memset(memory, 'a', BYTES);
	REQUIRE(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * PAGE, 5 * PAGE) == 0);
	REQUIRE(memory[3 * PAGE - 1] == 'a' && memory[3 * PAGE] == 0 && memory[8 * PAGE - 1] == 0 && memory[8 * PAGE] == 'a');
	REQUIRE(madvise(memory + 20 * PAGE, PAGE, MADV_REMOVE) == 0 && memory[20 * PAGE] == 0);
	REQUIRE(madvise(memory, BYTES, MADV_DONTNEED) == 0 && memory[0] == 'a' && memory[20 * PAGE] == 0);
}

static void rights_are_honoured(void)
{
	char name[] = "./shared-XXXXXX";
	int file = mkstemp(name);
	REQUIRE(file >= 0 && ftruncate(file, BYTES) == 0);
	int reading = open(name, O_RDONLY), writing = open(name, O_WRONLY);
	REQUIRE(unlink(name) == 0);
	char *memory = map(reading, BYTES, PROT_READ);
	REQUIRE(memory[0] == 0 && signal_of(memory, 1) == SIGSEGV);
	REQUIRE_ERROR(mprotect(memory, PAGE, RW), EACCES);
	REQUIRE_ERROR(read(open("/dev/zero", O_RDONLY), memory, 10), EFAULT);
	REQUIRE_ERROR(mmap(NULL, PAGE, RW, MAP_SHARED, reading, 0), EACCES);
	REQUIRE_ERROR(mmap(NULL, PAGE, RW, MAP_SHARED, writing, 0), EACCES);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 999, 0), EBADF);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open(".", O_RDONLY), 0), ENODEV);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 1 << 25, reading, 0), EOPNOTSUPP);
	REQUIRE(pwrite(writing, "seen", 5, 0) == 5 && strcmp(memory, "seen") == 0);
}

static void protection_can_change(void)
{
	int file = new_file(".", BYTES);
	char *memory = map(file, BYTES, RW);
	memset(memory, 'a', BYTES);
	REQUIRE(mprotect(memory, 2 * PAGE, PROT_READ) == 0 && mprotect(memory + 4 * PAGE, PAGE, PROT_NONE) == 0);
	REQUIRE(memory[0] == 'a' && signal_of(memory + PAGE, 1) == SIGSEGV && signal_of(memory + 4 * PAGE, 0) == SIGSEGV);
	REQUIRE(signal_of(memory + 2 * PAGE, 1) == 0 && memory[2 * PAGE] == 1);
	REQUIRE_ERROR(pread(file, memory, 1, 9), EFAULT);
	REQUIRE(mprotect(memory, BYTES, RW) == 0 && signal_of(memory, 1) == 0 && memory[4 * PAGE] == 'a');
}

static void calls_use_the_memory(void)
{
	int file = new_file(".", BYTES), zero = open("/dev/zero", O_RDONLY), ends[2];
	char *memory = map(file, BYTES, RW), back[8];
	memset(memory, 'a', BYTES);
	REQUIRE(read(zero, memory + PAGE - 4, 8) == 8);
	REQUIRE(memory[PAGE - 5] == 'a' && memory[PAGE - 4] == 0 && memory[PAGE + 3] == 0 && memory[PAGE + 4] == 'a');
	REQUIRE(pipe(ends) == 0 && write(ends[1], memory + PAGE, 8) == 8 && read(ends[0], back, 8) == 8);
	REQUIRE(memcmp(back, "\0\0\0\0aaaa", 8) == 0);
}

/* What the disk has at `offset`, past the page cache. */
static char on_disk(const char *name, off_t offset)
{
	char *block = aligned_alloc(PAGE, PAGE);
	int direct = open(name, O_RDONLY | O_DIRECT);
	REQUIRE(direct >= 0 && pread(direct, block, PAGE, offset) == PAGE && close(direct) == 0);
	return block[0];
}

static void synchronising_reaches_the_disk(void)
{
	char name[] = "./shared-XXXXXX";
	int file = mkstemp(name);
	REQUIRE(file >= 0 && ftruncate(file, BYTES) == 0);
	char *memory = map(file, BYTES, RW);
	for (char round = 'a'; round < 'e'; round++) {
		memory[0] = memory[9 * PAGE] = round;
		REQUIRE((round & 1 ? msync(memory, BYTES, MS_SYNC) : fsync(file)) == 0);
		REQUIRE(on_disk(name, 0) == round && on_disk(name, 9 * PAGE) == round);
	}
	REQUIRE(unlink(name) == 0 && msync(memory, BYTES, MS_ASYNC) == 0);
	REQUIRE(munmap(memory + PAGE, PAGE) == 0);
	REQUIRE_ERROR(msync(memory, BYTES, MS_SYNC), ENOMEM);
}

static void files_can_be_sparse(void)
{
	const size_t huge = (size_t)1 << 40;
	int file = new_file("/dev/shm", huge);
	char *memory = map(file, huge, RW);
	for (size_t at = 0; at < huge; at += huge / 16)
		memory[at + 5] = (char)(1 + at * 16 / huge);
	struct stat state;
	REQUIRE(fstat(file, &state) == 0 && state.st_blocks * 512 <= 16 * PAGE);
	for (size_t at = 0; at < huge; at += huge / 16)
		REQUIRE(memory[at + 5] == (char)(1 + at * 16 / huge));
	REQUIRE(munmap(memory, huge) == 0);
}

static void freed_addresses_are_ordinary_memory(void)
{
	int file = new_file(".", BYTES), zero = open("/dev/zero", O_RDONLY);
	char *memory = map(file, BYTES, RW);
	memset(memory, 'a', BYTES);
	REQUIRE(mmap(memory + PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == memory + PAGE);
	REQUIRE(memory[PAGE] == 0 && memory[0] == 'a' && memory[2 * PAGE] == 'a');
	memset(memory + PAGE, 'b', PAGE);
	REQUIRE(read(zero, memory + PAGE - 2, PAGE / 2) == PAGE / 2 && memory[PAGE - 3] == 'a' && memory[PAGE] == 0);
	REQUIRE(memory[2 * PAGE - 1] == 'b' && munmap(memory, BYTES) == 0);
	REQUIRE(signal_of(memory, 0) == SIGSEGV);
	REQUIRE_ERROR(read(zero, memory, 1), EFAULT);
	char *again = mmap(memory, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	REQUIRE(again == memory && again[0] == 0 && read(zero, again, BYTES) == BYTES);
	again[0] = 'z';
	REQUIRE(mmap(again, BYTES, RW, MAP_SHARED | MAP_FIXED, file, 0) == again && again[2 * PAGE] == 'a');
}

static void mappings_move_and_grow(void)
{
	int file = new_file(".", BYTES);
	char *memory = map(file, 4 * PAGE, RW);
	memset(memory, 'a', 4 * PAGE);
	REQUIRE(mremap(memory, 4 * PAGE, 2 * PAGE, 0) == memory && signal_of(memory + 2 * PAGE, 0) == SIGSEGV);
	char *grown = mremap(memory, 2 * PAGE, BYTES, MREMAP_MAYMOVE);
	REQUIRE(grown != MAP_FAILED && grown[3 * PAGE] == 'a' && grown[4 * PAGE] == 0);
	grown[BYTES - 1] = 'e';
	char end = 0;
	REQUIRE(pread(file, &end, 1, BYTES - 1) == 1 && end == 'e');
	char *place = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(mremap(grown, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	REQUIRE(place[BYTES - 1] == 'e' && signal_of(grown, 0) == SIGSEGV);
	place[PAGE] = 'm';
	REQUIRE(pread(file, &end, 1, PAGE) == 1 && end == 'm');
}

static void advice_and_questions_are_answered(void)
{
	int file = new_file(".", BYTES);
	char *memory = map(file, BYTES, RW);
	unsigned char there[PAGES];
	memset(memory, 'a', BYTES);
	REQUIRE(mincore(memory, BYTES, there) == 0 && there[0] & 1 && there[PAGES - 1] & 1);
	REQUIRE(mlock(memory, 4 * PAGE) == 0 && munlock(memory, 4 * PAGE) == 0);
	REQUIRE(madvise(memory, BYTES, MADV_SEQUENTIAL) == 0 && madvise(memory, BYTES, MADV_WILLNEED) == 0);
	REQUIRE(madvise(memory, BYTES, MADV_DONTNEED) == 0 && memory[BYTES - 1] == 'a');
	REQUIRE_ERROR(madvise(memory, BYTES, MADV_FREE), EINVAL);
	REQUIRE_ERROR(madvise(memory, BYTES, 12345), EINVAL);
	REQUIRE(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0 && memory[PAGE] == 'a');
}

/* Runs `body` in a child, which must end well. */
static void in_child(void (*body)(char *, int), char *memory, int file)
{
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		body(memory, file);
		_exit(0);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}

static void change_as_child(char *memory, int file)
{
	REQUIRE(memory[0] == 'p' && memory[40 * PAGE] == 0);
	memory[0] = 'c';
	memory[40 * PAGE] = 'd';
	REQUIRE(read(open("/dev/zero", O_RDONLY), memory + PAGE, PAGE) == PAGE);
	char *own = mmap(NULL, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(pread(file, own, BYTES, 0) == BYTES && own[40 * PAGE] == 'd');
	REQUIRE(munmap(memory, BYTES) == 0 && signal_of(memory, 0) == SIGSEGV);
}

static void children_share(int file)
{
	char *memory = map(file, BYTES, RW);
	memory[0] = 'p';
	memory[PAGE] = 'q';
	in_child(change_as_child, memory, file);
	REQUIRE(memory[0] == 'c' && memory[40 * PAGE] == 'd' && memory[PAGE] == 0);
}

static void children_share_files(void) { children_share(new_file(".", BYTES)); }
static void children_share_memory_files(void) { children_share(new_file("/dev/shm", BYTES)); }

static void children_share_zeroes(void)
{
	char *memory = map(open("/dev/zero", O_RDWR), BYTES, RW);
	memory[0] = 'p';
	pid_t child = fork();
	if (child == 0) {
		memory[BYTES - 1] = memory[0];
		_exit(0);
	}
	REQUIRE(waitpid(child, NULL, 0) == child && memory[BYTES - 1] == 'p');
}

static void expect_a_hole(char *memory, int file)
{
	REQUIRE(signal_of(memory, 0) == SIGSEGV && signal_of(memory + PAGE, 0) == 0);
	REQUIRE_ERROR(pread(file, memory, 1, 0), EFAULT);
}

static void children_may_be_denied(void)
{
	int file = new_file(".", BYTES);
	char *memory = map(file, BYTES, RW);
	REQUIRE(madvise(memory, PAGE, MADV_DONTFORK) == 0);
	in_child(expect_a_hole, memory, file);
	REQUIRE(signal_of(memory, 1) == 0);
}

static void vfork_children_see_it(void)
{
	int file = new_file(".", BYTES);
	static char *memory;
	memory = map(file, BYTES, RW);
	memory[0] = 'p';
	pid_t child = vfork();
	if (child == 0) {
		memory[50 * PAGE] = memory[0];
		_exit(0);
	}
	REQUIRE(child > 0 && memory[50 * PAGE] == 'p' && waitpid(child, NULL, 0) == child);
	memory[51 * PAGE] = 'q';
	char back = 0;
	REQUIRE(pread(file, &back, 1, 51 * PAGE) == 1 && back == 'q' && memory[0] == 'p');
}

static void system_v_memory_is_shared(void)
{
	int id = shmget(IPC_PRIVATE, BYTES - 100, IPC_CREAT | 0600);
	REQUIRE(id >= 0);
	char *memory = shmat(id, NULL, 0), *reading = shmat(id, NULL, SHM_RDONLY);
	REQUIRE(memory != (void *)-1 && reading != (void *)-1);
	memory[BYTES - 1] = 's';
	REQUIRE(reading[BYTES - 1] == 's' && signal_of(reading, 1) == SIGSEGV);
	struct shmid_ds state;
	REQUIRE(shmctl(id, IPC_STAT, &state) == 0 && state.shm_nattch == 2);
	REQUIRE(shmctl(id, IPC_RMID, NULL) == 0);
	pid_t child = fork();
	if (child == 0) {
		memory[0] = 'c';
		_exit(shmdt(memory) != 0 || signal_of(memory, 0) != SIGSEGV);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0 && memory[0] == 'c' && reading[0] == 'c');
	REQUIRE(shmdt(memory) == 0 && signal_of(memory, 0) == SIGSEGV);
	REQUIRE_ERROR(shmdt(memory), EINVAL);
	REQUIRE(reading[0] == 'c' && shmdt(reading) == 0);
	REQUIRE_ERROR(shmat(id, NULL, 0), EINVAL);
	char *again = mmap(memory, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	REQUIRE(again == memory && again[0] == 0 && read(open("/dev/zero", O_RDONLY), again, BYTES) == BYTES);
}

static void system_v_memory_goes_where_it_is_told(void)
{
	int id = shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600);
	char *place = mmap(NULL, 2 * BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(id >= 0 && place != MAP_FAILED);
	REQUIRE_ERROR(shmat(id, place, 0), EINVAL);
	REQUIRE_ERROR(shmat(id, place + 5, SHM_REMAP), EINVAL);
	REQUIRE(shmat(id, place + 5, SHM_RND | SHM_REMAP) == place);
	place[0] = 'r';
	REQUIRE(place[BYTES] == 0 && munmap(place, PAGE) == 0 && shmdt(place) == 0);
	REQUIRE(signal_of(place + PAGE, 0) == SIGSEGV && place[BYTES] == 0);
	char *other = shmat(id, NULL, 0);
	REQUIRE(other[0] == 'r' && shmdt(other) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

static void shared_code_runs(void)
{
	static const unsigned char code[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
	int file = new_file(".", PAGE);
	REQUIRE(pwrite(file, code, sizeof code, 0) == sizeof code);
	int (*function)(void) = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0);
	REQUIRE(function != MAP_FAILED && function() == 42);
	REQUIRE(pwrite(file, "\x07", 1, 1) == 1 && function() == 7);
}

/* A large private mapping is read by need, and what is written stays private. */
static void large_private_files_come_by_need(void)
{
	const size_t large = (size_t)3 << 30;
	int file = new_file("/dev/shm", large);
	REQUIRE(pwrite(file, "here", 5, (off_t)large - PAGE) == 5);
	char *memory = mmap(NULL, large, PROT_READ, MAP_PRIVATE, file, 0), back[8];
	REQUIRE(memory != MAP_FAILED && strcmp(memory + large - PAGE, "here") == 0 && memory[large / 2] == 0);
	REQUIRE(signal_of(memory, 1) == SIGSEGV && mprotect(memory + large - 2 * PAGE, 2 * PAGE, RW) == 0);
	strcpy(memory + large - PAGE, "mine");
	REQUIRE(pread(file, back, 5, (off_t)large - PAGE) == 5 && strcmp(back, "here") == 0);
	pid_t child = fork();
	if (child == 0) {
		REQUIRE(strcmp(memory + large - PAGE, "mine") == 0);
		strcpy(memory + large - PAGE, "its");
		_exit(0);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0 && strcmp(memory + large - PAGE, "mine") == 0);
	REQUIRE(read(open("/dev/zero", O_RDONLY), memory + large - 2 * PAGE, PAGE + 2) == PAGE + 2);
	REQUIRE(memory[large - PAGE + 1] == 0 && memory[large - PAGE + 2] == 'n');
	REQUIRE(madvise(memory, large, MADV_DONTNEED) == 0 && strcmp(memory + large - PAGE, "here") == 0);
	REQUIRE(munmap(memory, large) == 0);
	char *zeroes = mmap(NULL, BYTES * 64, PROT_READ, MAP_PRIVATE, open("/dev/zero", O_RDONLY), 0);
	REQUIRE(zeroes != MAP_FAILED && zeroes[BYTES * 64 - 1] == 0);
}

enum { WRITERS = 3, ROUNDS = 200 };

static atomic_int stop;
static char *arena;

static void *count_up(void *argument)
{
	uint64_t mine = (uintptr_t)argument, count = 0;
	while (!atomic_load(&stop))
		for (uint64_t page = 0; page < PAGES; page++, count++)
			atomic_fetch_add((_Atomic uint64_t *)(arena + page * PAGE + 64 * mine), 1);
	return (void *)count;
}

/* No store is lost however often Linux cleans, forgets or writes back the pages meanwhile. */
static void no_store_is_lost(void)
{
	int file = new_file(".", BYTES);
	arena = map(file, BYTES, RW);
	pthread_t threads[WRITERS];
	uint64_t counted[WRITERS] = { 0 }, stored[WRITERS] = { 0 };
	for (uintptr_t i = 0; i < WRITERS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
	for (int round = 0; round < ROUNDS; round++) {
		REQUIRE(msync(arena, BYTES, round % 3 ? MS_SYNC : MS_ASYNC) == 0);
		REQUIRE(madvise(arena + round % 32 * PAGE, 20 * PAGE, MADV_DONTNEED) == 0);
	}
	atomic_store(&stop, 1);
	for (int i = 0; i < WRITERS; i++) {
		void *count;
		REQUIRE(pthread_join(threads[i], &count) == 0);
		counted[i] = (uintptr_t)count;
	}
	char *all = malloc(BYTES);
	REQUIRE(pread(file, all, BYTES, 0) == BYTES);
	for (int i = 0; i < WRITERS; i++) {
		for (int page = 0; page < PAGES; page++)
			stored[i] += *(uint64_t *)(all + page * PAGE + 64 * i);
		REQUIRE(stored[i] == counted[i] && counted[i] > 0);
	}
}

static void execution_lets_go(void)
{
	int id = shmget(IPC_PRIVATE, BYTES, IPC_CREAT | 0600), status;
	char *memory = shmat(id, NULL, 0);
	memory[0] = 'x';
	pid_t child = fork();
	if (child == 0) {
		memory[1] = 'y';
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	struct shmid_ds state;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0 && memory[1] == 'y');
	REQUIRE(shmctl(id, IPC_STAT, &state) == 0 && state.shm_nattch == 1 && shmctl(id, IPC_RMID, NULL) == 0);
}

/* What processes synchronise with, in memory that they share. */
struct shared {
	pthread_mutex_t mutex;
	sem_t ping, pong;
	uint32_t word;
	volatile long count;
};

static void *anonymous(void)
{
	void *memory = mmap(NULL, BYTES, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static void *in_a_file(void)
{
	return map(new_file("/dev/shm", BYTES), BYTES, RW);
}

static struct shared *prepared(void *memory, int protocol)
{
	struct shared *shared = memory;
	pthread_mutexattr_t attributes;
	REQUIRE(pthread_mutexattr_init(&attributes) == 0);
	REQUIRE(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
	REQUIRE(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
	REQUIRE(pthread_mutexattr_setprotocol(&attributes, protocol) == 0);
	REQUIRE(pthread_mutex_init(&shared->mutex, &attributes) == 0);
	REQUIRE(sem_init(&shared->ping, 1, 0) == 0 && sem_init(&shared->pong, 1, 0) == 0);
	return shared;
}

enum { CHILDREN = 3, STEPS = 500 };

static void count_together(struct shared *shared)
{
	pid_t children[CHILDREN];
	for (int i = 0; i < CHILDREN; i++)
		if ((children[i] = fork()) == 0) {
			for (int step = 0; step < STEPS; step++) {
				REQUIRE(pthread_mutex_lock(&shared->mutex) == 0);
				long count = shared->count;
				if (step % 50 == 0)
					sched_yield();
				shared->count = count + 1;
				REQUIRE(pthread_mutex_unlock(&shared->mutex) == 0);
			}
			_exit(0);
		}
	for (int i = 0, status; i < CHILDREN; i++)
		REQUIRE(waitpid(children[i], &status, 0) == children[i] && status == 0);
	REQUIRE(shared->count == CHILDREN * STEPS);
}

static void processes_share_a_mutex(void) { count_together(prepared(anonymous(), PTHREAD_PRIO_NONE)); }
static void processes_share_a_mutex_in_a_file(void) { count_together(prepared(in_a_file(), PTHREAD_PRIO_NONE)); }
static void processes_share_a_mutex_with_owner(void) { count_together(prepared(anonymous(), PTHREAD_PRIO_INHERIT)); }
static void processes_share_a_mutex_with_owner_in_a_file(void) { count_together(prepared(in_a_file(), PTHREAD_PRIO_INHERIT)); }

static void play(struct shared *shared)
{
	pid_t child = fork();
	for (int i = 0; i < STEPS; i++)
		if (child == 0)
			REQUIRE(sem_wait(&shared->ping) == 0 && sem_post(&shared->pong) == 0);
		else
			REQUIRE(sem_post(&shared->ping) == 0 && sem_wait(&shared->pong) == 0);
	if (child == 0)
		_exit(0);
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}

static void processes_wake_each_other(void) { play(prepared(anonymous(), PTHREAD_PRIO_NONE)); }
static void processes_wake_each_other_in_a_file(void) { play(prepared(in_a_file(), PTHREAD_PRIO_NONE)); }

/* A child ends with the mutex locked, in one of three ways. */
static void leave_it_locked(struct shared *shared, int how)
{
	pid_t child = fork();
	if (child == 0) {
		REQUIRE(pthread_mutex_lock(&shared->mutex) == 0 && sem_post(&shared->ping) == 0);
		if (how == 0)
			_exit(0);
		if (how == 1)
			pthread_exit(NULL);
		for (;;)
			pause();
	}
	REQUIRE(sem_wait(&shared->ping) == 0);
	if (how == 2)
		REQUIRE(kill(child, SIGKILL) == 0);
	REQUIRE(pthread_mutex_lock(&shared->mutex) == EOWNERDEAD);
	REQUIRE(pthread_mutex_consistent(&shared->mutex) == 0 && pthread_mutex_unlock(&shared->mutex) == 0);
	REQUIRE(waitpid(child, NULL, 0) == child && pthread_mutex_trylock(&shared->mutex) == 0);
	REQUIRE(pthread_mutex_unlock(&shared->mutex) == 0);
}

static void heirs_learn_of_death(void)
{
	for (int how = 0; how < 3; how++)
		leave_it_locked(prepared(anonymous(), PTHREAD_PRIO_NONE), how);
}

static void heirs_of_a_file_learn_of_death(void)
{
	for (int how = 0; how < 3; how++)
		leave_it_locked(prepared(in_a_file(), PTHREAD_PRIO_NONE), how);
}

static volatile sig_atomic_t rung;

static void on_alarm(int signal)
{
	rung = signal;
}

static void waits_end(struct shared *shared)
{
	struct timespec limit;
	REQUIRE(clock_gettime(CLOCK_REALTIME, &limit) == 0);
	limit.tv_nsec += 50000000;
	limit.tv_sec += limit.tv_nsec / 1000000000;
	limit.tv_nsec %= 1000000000;
	REQUIRE_ERROR(sem_timedwait(&shared->ping, &limit), ETIMEDOUT);
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	REQUIRE(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &soon, NULL) == 0);
	REQUIRE_ERROR(sem_wait(&shared->ping), EINTR);
	REQUIRE(rung == SIGALRM);
	struct timespec relative = { .tv_nsec = 20000000 };
	REQUIRE_ERROR(syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, &relative, NULL, 0), ETIMEDOUT);
	REQUIRE_ERROR(syscall(SYS_futex, &shared->word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
	REQUIRE(syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
}

static void waits_for_processes_end(void) { waits_end(prepared(anonymous(), PTHREAD_PRIO_NONE)); }
static void waits_in_files_end(void) { waits_end(prepared(in_a_file(), PTHREAD_PRIO_NONE)); }

struct waiter {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static long wait_for_any(struct waiter *waiters, unsigned count, const struct timespec *limit)
{
	return syscall(449, waiters, count, 0, limit, CLOCK_MONOTONIC);
}

static void *wake_later(void *word)
{
	usleep(30000);
	atomic_store((_Atomic uint32_t *)word, 1);
	return (void *)syscall(SYS_futex, word, FUTEX_WAKE | ((uintptr_t)word & 8 ? 0 : FUTEX_PRIVATE_FLAG), 1, NULL, NULL, 0);
}

static void one_of_many_words_wakes(void)
{
	static uint32_t words[4];
	uint32_t *shared = anonymous();
	struct waiter waiters[3];
	for (int i = 0; i < 3; i++)
		waiters[i] = (struct waiter){ 0, (uintptr_t)(i < 2 ? &words[i] : shared), i < 2 ? 2 | 128 : 2, 0 };
	struct timespec limit;
	REQUIRE(clock_gettime(CLOCK_MONOTONIC, &limit) == 0);
	REQUIRE_ERROR(wait_for_any(waiters, 3, &limit), ETIMEDOUT);
	pid_t child = fork();
	if (child == 0) {
		usleep(30000);
		*shared = 1;
		_exit(syscall(SYS_futex, shared, FUTEX_WAKE, 1, NULL, NULL, 0) != 1);
	}
	int status;
	REQUIRE(wait_for_any(waiters, 3, NULL) == 2 && waitpid(child, &status, 0) == child && status == 0);
	REQUIRE_ERROR(wait_for_any(waiters, 3, NULL), EAGAIN);
	*shared = 0;
	pthread_t thread;
	void *woken;
	REQUIRE(pthread_create(&thread, NULL, wake_later, &words[0]) == 0);
	REQUIRE(wait_for_any(waiters, 3, NULL) == 0 && pthread_join(thread, &woken) == 0 && (long)woken == 1);
	words[0] = 0;
	REQUIRE_ERROR(wait_for_any(waiters, 0, NULL), EINVAL);
	REQUIRE_ERROR(wait_for_any(waiters, 129, NULL), EINVAL);
	waiters[1].flags = 77;
	REQUIRE_ERROR(wait_for_any(waiters, 3, NULL), EINVAL);
	uint32_t *mirrored = in_a_file();
	struct waiter other = { 1, (uintptr_t)mirrored, 2, 0 };
	REQUIRE_ERROR(wait_for_any(&other, 1, NULL), EAGAIN);
}

static void *ring_all_the_time(void *target)
{
	while (!atomic_load(&stop)) {
		pthread_kill(*(pthread_t *)target, SIGUSR1);
		usleep(20);
	}
	return NULL;
}

/* Signals come all the time; neither the program nor a call finds a page missing because of one. */
static void signals_keep_no_page_away(void)
{
	struct sigaction action = { .sa_handler = on_alarm };
	pthread_t self = pthread_self(), ringer;
	REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
	REQUIRE(pthread_create(&ringer, NULL, ring_all_the_time, &self) == 0);
	for (int round = 0; round < 20; round++) {
		int file = new_file("/dev/shm", BYTES);
		char *memory = map(file, BYTES, RW);
		for (size_t at = 0; at < BYTES; at += 2 * PAGE) {
			REQUIRE(syscall(SYS_getcpu, memory + at, NULL, NULL) == 0);
			memory[at + PAGE] = 1;
		}
		REQUIRE(munmap(memory, BYTES) == 0 && close(file) == 0);
	}
	atomic_store(&stop, 1);
	REQUIRE(pthread_join(ringer, NULL) == 0 && rung == SIGUSR1);
}

static const struct claim claims[] = {
	CLAIM(signals_keep_no_page_away),
	CLAIM(disk_files_are_coherent),
	CLAIM(dev_shm_is_coherent),
	CLAIM(tmpfs_is_coherent),
	CLAIM(memory_files_are_coherent),
	CLAIM(posix_shared_memory_is_coherent),
	CLAIM(descriptor_may_be_closed),
	CLAIM(offsets_count),
	CLAIM(past_the_end_is_a_bus_error),
	CLAIM(truncating_takes_pages_away),
	CLAIM(punched_holes_are_zero),
	CLAIM(rights_are_honoured),
	CLAIM(protection_can_change),
	CLAIM(calls_use_the_memory),
	CLAIM(synchronising_reaches_the_disk),
	CLAIM(files_can_be_sparse),
	CLAIM(freed_addresses_are_ordinary_memory),
	CLAIM(mappings_move_and_grow),
	CLAIM(advice_and_questions_are_answered),
	CLAIM(children_share_files),
	CLAIM(children_share_memory_files),
	CLAIM(children_share_zeroes),
	CLAIM(children_may_be_denied),
	CLAIM(vfork_children_see_it),
	CLAIM(system_v_memory_is_shared),
	CLAIM(system_v_memory_goes_where_it_is_told),
	CLAIM(shared_code_runs),
	CLAIM(large_private_files_come_by_need),
	CLAIM(no_store_is_lost),
	CLAIM(execution_lets_go),
	CLAIM(processes_share_a_mutex),
	CLAIM(processes_share_a_mutex_in_a_file),
	CLAIM(processes_share_a_mutex_with_owner),
	CLAIM(processes_share_a_mutex_with_owner_in_a_file),
	CLAIM(processes_wake_each_other),
	CLAIM(processes_wake_each_other_in_a_file),
	CLAIM(heirs_learn_of_death),
	CLAIM(heirs_of_a_file_learn_of_death),
	CLAIM(waits_for_processes_end),
	CLAIM(waits_in_files_end),
	CLAIM(one_of_many_words_wakes),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
