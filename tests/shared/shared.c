// SPDX-License-Identifier: GPL-2.0
// Claims about shared mappings of files and shared memory: one memory for the program, for system calls and for others.
#define _GNU_SOURCE
#include "claims.h"
#include "faults.h"
#include "shared_files.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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

static volatile sig_atomic_t rung;

static void on_alarm(int signal)
{
	rung = signal;
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
	CLAIM(system_v_memory_is_shared),
	CLAIM(system_v_memory_goes_where_it_is_told),
	CLAIM(shared_code_runs),
	CLAIM(large_private_files_come_by_need),
	CLAIM(no_store_is_lost),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
