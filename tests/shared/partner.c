// SPDX-License-Identifier: GPL-2.0
// One of two programs that share a file: `partner FILE init`, then `partner FILE 0|1 ROUNDS` twice at the same time, which
// take turns, write each other's pages and check them. `partner FILE hold` locks the mutex and waits for ever;
// `partner FILE inherit` locks it when the holder has died.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 32, WORDS = 512 };

struct arena {
	pthread_mutex_t mutex;
	pthread_cond_t turn_changed;
	sem_t finished;
	int turn;
	int held;
	uint64_t pages[PAGES][WORDS] __attribute__((aligned(4096)));
};

#define MUST(condition)                                                                    \
	do {                                                                               \
		if (!(condition)) {                                                        \
			printf("line %d: not %s (errno %s)\n", __LINE__, #condition,       \
			       strerrorname_np(errno));                                    \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

static void init(struct arena *arena)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t condition;
	MUST(pthread_mutexattr_init(&mutex) == 0 && pthread_condattr_init(&condition) == 0);
	MUST(pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED) == 0);
	MUST(pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST) == 0);
	MUST(pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED) == 0);
	MUST(pthread_mutex_init(&arena->mutex, &mutex) == 0);
	MUST(pthread_cond_init(&arena->turn_changed, &condition) == 0);
	MUST(sem_init(&arena->finished, 1, 0) == 0);
}

static void play(struct arena *arena, int me, int rounds)
{
	for (int round = 0; round < rounds; round++) {
		MUST(pthread_mutex_lock(&arena->mutex) == 0);
		while (arena->turn != me)
			MUST(pthread_cond_wait(&arena->turn_changed, &arena->mutex) == 0);
		uint64_t *page = arena->pages[round % PAGES];
		for (int word = 0; word < WORDS; word++) {
			MUST(page[word] == (uint64_t)(2 * (round / PAGES) + me));
			page[word]++;
		}
		arena->turn = !me;
		MUST(pthread_cond_signal(&arena->turn_changed) == 0 && pthread_mutex_unlock(&arena->mutex) == 0);
	}
	if (me == 0)
		MUST(sem_wait(&arena->finished) == 0);
	else
		MUST(sem_post(&arena->finished) == 0);
	puts("played");
}

static void hold(struct arena *arena)
{
	MUST(pthread_mutex_lock(&arena->mutex) == 0);
	arena->held = 1;
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

static void inherit(struct arena *arena)
{
	puts("waiting");
	fflush(stdout);
	MUST(pthread_mutex_lock(&arena->mutex) == EOWNERDEAD && arena->held == 1);
	MUST(pthread_mutex_consistent(&arena->mutex) == 0 && pthread_mutex_unlock(&arena->mutex) == 0);
	puts("inherited");
}

int main(int argc, char **argv)
{
	MUST(argc >= 3);
	int file = open(argv[1], O_RDWR | O_CREAT, 0600);
	MUST(file >= 0 && ftruncate(file, sizeof(struct arena)) == 0);
	struct arena *arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	MUST(arena != MAP_FAILED);
	if (strcmp(argv[2], "init") == 0)
		init(arena);
	else if (strcmp(argv[2], "hold") == 0)
		hold(arena);
	else if (strcmp(argv[2], "inherit") == 0)
		inherit(arena);
	else
		play(arena, atoi(argv[2]), atoi(argv[3]));
	return 0;
}
