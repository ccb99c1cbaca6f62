// SPDX-License-Identifier: GPL-2.0
// The measured half of `cargo xtask bench`: run natively and under mcexec in the same boot.
// Usage: bench NAME…   prints one line per name: "NAME NANOSECONDS CALLS BATCHES", the median of its batches, of CALLS
// calls each. Marks for the instruction counter (xtask/counter) bracket each batch.
#define _GNU_SOURCE
#include "measure.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCHES = 9 };
static int scratch_file;

// What has been measured since the last result.
static uint64_t calls_per_batch, batches;

static uint64_t begin_batch(uint64_t calls)
{
	calls_per_batch = calls;
	batches++;
	mark();
	return now_ns();
}

// ns since the batch began.
static double end_batch(uint64_t began)
{
	uint64_t end = now_ns();
	mark();
	return (double)(end - began);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof *values, by_value);
	return values[count / 2];
}

// What one reading of the clock costs; subtracted where single calls are timed.
static double clock_cost(void)
{
	double v[101];
	for (int i = 0; i < 101; i++) {
		uint64_t t = now_ns();
		v[i] = (double)(now_ns() - t);
	}
	return median(v, 101);
}

static double per_call(int calls, void (*call)(void))
{
	double v[BATCHES];
	for (int i = 0; i < calls / 10; i++)
		call();
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = begin_batch(calls);
		for (int i = 0; i < calls; i++)
			call();
		v[b] = end_batch(t) / calls;
	}
	return median(v, BATCHES);
}

static void local_call(void) { syscall(SYS_getpid); }
static void delegated_call(void) { syscall(SYS_lseek, scratch_file, 0, SEEK_SET); }

// The control row: nothing but arithmetic, must not differ between the two kernels.
static void compute(void) { compute_steps(2000); }

static void pause_ns(uint64_t ns)
{
	uint64_t end = now_ns() + ns;
	while (now_ns() < end)
		__builtin_ia32_pause();
}

static double delegated_after_pause(void)
{
	double v[200], cost = clock_cost();
	for (int i = 0; i < 200; i++) {
		pause_ns(1000000);
		uint64_t t = begin_batch(1);
		delegated_call();
		v[i] = end_batch(t) - cost;
	}
	return median(v, 200);
}

// The same after pauses of 1 to 5 ms that nobody can foretell.
static double delegated_after_random_pause(void)
{
	double v[200], cost = clock_cost();
	uint64_t state = now_ns();
	for (int i = 0; i < 200; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		pause_ns(1000000 + (state >> 33) % 4000000);
		uint64_t t = begin_batch(1);
		delegated_call();
		v[i] = end_batch(t) - cost;
	}
	return median(v, 200);
}

static char *fresh(size_t bytes)
{
	char *p = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		perror("bench: mmap");
		exit(1);
	}
	return p;
}

static void read_all(char *buffer, size_t bytes)
{
	if (pread(scratch_file, buffer, bytes, 0) != (ssize_t)bytes) {
		perror("bench: pread");
		exit(1);
	}
}

static double pread_reused(size_t bytes)
{
	int calls = bytes >= 1 << 20 ? 40 : bytes >= 1 << 16 ? 400 : 4000;
	char *buffer = fresh(bytes);
	double v[BATCHES];
	read_all(buffer, bytes);
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = begin_batch(calls);
		for (int i = 0; i < calls; i++)
			read_all(buffer, bytes);
		v[b] = end_batch(t) / calls;
	}
	munmap(buffer, bytes);
	return median(v, BATCHES);
}

// A buffer that was never touched: mmap and first use are counted, munmap is not.
static double pread_fresh(size_t bytes)
{
	double v[101], cost = clock_cost();
	int rounds = bytes >= 1 << 20 ? 31 : 101;
	for (int i = 0; i < rounds; i++) {
		uint64_t t = begin_batch(1);
		char *buffer = fresh(bytes);
		read_all(buffer, bytes);
		v[i] = end_batch(t) - cost;
		munmap(buffer, bytes);
	}
	return median(v, rounds);
}

static double map_touch_unmap(int huge_pages)
{
	const size_t bytes = 64 << 20;
	double v[BATCHES];
	for (int b = 0; b < BATCHES; b++) {
		uint64_t t = begin_batch(bytes >> 12);
		char *p = fresh(bytes);
		if (!huge_pages)
			madvise(p, bytes, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < bytes; i += 4096)
			p[i] = 1;
		munmap(p, bytes);
		v[b] = end_batch(t) / (double)(bytes >> 12);
	}
	return median(v, BATCHES);
}

// The first touch of each page of memory that was given back before. Too little for large pages.
static double demand_fault(void)
{
	const size_t bytes = 1 << 20;
	double v[BATCHES];
	char *p = fresh(bytes);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (int b = 0; b < BATCHES; b++) {
		if (madvise(p, bytes, MADV_DONTNEED)) {
			perror("bench: madvise");
			exit(1);
		}
		uint64_t t = begin_batch(bytes >> 12);
		for (size_t i = 0; i < bytes; i += 4096)
			p[i] = 1;
		v[b] = end_batch(t) / (double)(bytes >> 12);
	}
	munmap(p, bytes);
	return median(v, BATCHES);
}

// Two threads on two cores hand a word to and fro; each side is given `pause` ns before it hands on, so that with a
// long one the other has given up looking and sleeps. ns per hand-over, the pauses not counted.
struct ping_pong {
	_Atomic uint32_t turn;
	uint64_t pause;
	int rounds;
	int cpu[2];
};

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set)) {
		perror("bench: sched_setaffinity");
		exit(1);
	}
}

static void hand_over(struct ping_pong *game, uint32_t side)
{
	for (int i = 0; i < game->rounds; i++) {
		while (game->turn != side)
			syscall(SYS_futex, &game->turn, FUTEX_WAIT_PRIVATE, !side, NULL, NULL, 0);
		if (game->pause)
			pause_ns(game->pause);
		game->turn = !side;
		syscall(SYS_futex, &game->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
}

static void *other_side(void *argument)
{
	struct ping_pong *game = argument;
	pin(game->cpu[1]);
	hand_over(game, 1);
	return NULL;
}

// The first and the last core this program may use.
static void choose_cores(struct ping_pong *game, const cpu_set_t *all)
{
	game->cpu[0] = -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, all))
			continue;
		if (game->cpu[0] < 0)
			game->cpu[0] = cpu;
		game->cpu[1] = cpu;
	}
	if (game->cpu[0] == game->cpu[1]) {
		fprintf(stderr, "bench: futex: only one core\n");
		exit(1);
	}
}

static double futex_ping_pong(uint64_t pause, int rounds)
{
	double v[BATCHES];
	cpu_set_t all;
	struct ping_pong game = { .pause = pause, .rounds = rounds };
	if (sched_getaffinity(0, sizeof all, &all)) {
		perror("bench: sched_getaffinity");
		exit(1);
	}
	choose_cores(&game, &all);
	pin(game.cpu[0]);
	for (int b = 0; b < BATCHES; b++) {
		pthread_t thread;
		game.turn = 0;
		if (pthread_create(&thread, NULL, other_side, &game)) {
			fprintf(stderr, "bench: pthread_create failed\n");
			exit(1);
		}
		uint64_t t = begin_batch(2 * rounds);
		hand_over(&game, 0);
		pthread_join(thread, NULL);
		v[b] = end_batch(t) / (2 * rounds) - (double)pause;
	}
	sched_setaffinity(0, sizeof all, &all);
	return median(v, BATCHES);
}

static void *nothing(void *argument) { return argument; }

static void create_and_join(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, nothing, NULL)) {
		fprintf(stderr, "bench: pthread_create failed\n");
		exit(1);
	}
	pthread_join(thread, NULL);
}

// A process made for one delegated call.
static void process_per_call(void)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		delegated_call();
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
		perror("bench: fork");
		exit(1);
	}
}

enum { CROWD = 8, CROWD_CALLS = 2000 };

static void *call_often(void *argument)
{
	for (int i = 0; i < CROWD_CALLS; i++)
		delegated_call();
	return argument;
}

// Threads that all make delegated calls: time per call of them all together.
static double delegated_crowd(void)
{
	double v[BATCHES];
	for (int b = 0; b < BATCHES; b++) {
		pthread_t threads[CROWD];
		uint64_t t = begin_batch(CROWD * CROWD_CALLS);
		for (int i = 0; i < CROWD; i++) {
			if (pthread_create(&threads[i], NULL, call_often, NULL)) {
				fprintf(stderr, "bench: pthread_create failed\n");
				exit(1);
			}
		}
		for (int i = 0; i < CROWD; i++)
			pthread_join(threads[i], NULL);
		v[b] = end_batch(t) / (CROWD * CROWD_CALLS);
	}
	return median(v, BATCHES);
}

static double measure(const char *name)
{
	if (!strcmp(name, "control"))
		return per_call(500, compute);
	if (!strcmp(name, "null_local"))
		return per_call(100000, local_call);
	if (!strcmp(name, "null_delegated_b2b") || !strcmp(name, "null_delegated_2cpu"))
		return per_call(50000, delegated_call);
	if (!strcmp(name, "null_delegated_1ms"))
		return delegated_after_pause();
	if (!strcmp(name, "null_delegated_asleep"))
		return delegated_after_random_pause();
	if (!strcmp(name, "pread_4k_reused"))
		return pread_reused(4 << 10);
	if (!strcmp(name, "pread_64k_reused"))
		return pread_reused(64 << 10);
	if (!strcmp(name, "pread_1m_reused"))
		return pread_reused(1 << 20);
	if (!strcmp(name, "pread_4k_fresh"))
		return pread_fresh(4 << 10);
	if (!strcmp(name, "pread_64k_fresh"))
		return pread_fresh(64 << 10);
	if (!strcmp(name, "pread_1m_fresh"))
		return pread_fresh(1 << 20);
	if (!strcmp(name, "mtm"))
		return map_touch_unmap(1);
	if (!strcmp(name, "mtm_nothp"))
		return map_touch_unmap(0);
	if (!strcmp(name, "fault_4k"))
		return demand_fault();
	if (!strcmp(name, "delegated_8x1"))
		return delegated_crowd();
	if (!strcmp(name, "futex_spin"))
		return futex_ping_pong(0, 2000);
	if (!strcmp(name, "futex_block"))
		return futex_ping_pong(1000000, 20);
	if (!strcmp(name, "pthread"))
		return per_call(500, create_and_join);
	if (!strcmp(name, "process_per_call"))
		return per_call(10, process_per_call);
	fprintf(stderr, "bench: %s: no such measurement\n", name);
	exit(2);
}

// A file of 1 MiB on tmpfs.
static void open_scratch_file(void)
{
	static char zeros[1 << 20];
	char path[64];
	snprintf(path, sizeof path, "/dev/shm/bench.%d", (int)getpid());
	scratch_file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (scratch_file < 0 || write(scratch_file, zeros, sizeof zeros) != sizeof zeros) {
		perror(path);
		exit(1);
	}
	unlink(path);
}

int main(int argc, char **argv)
{
	open_scratch_file();
	for (int i = 1; i < argc; i++) {
		batches = 0;
		double ns = measure(argv[i]);
		printf("%s %.1f %lu %lu\n", argv[i], ns, (unsigned long)calls_per_batch, (unsigned long)batches);
	}
	return 0;
}
