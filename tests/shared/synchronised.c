// SPDX-License-Identifier: GPL-2.0
// Claims about processes that synchronise in memory that they share: mutexes, semaphores, waits for words.
#define _GNU_SOURCE
#include "claims.h"
#include "shared_files.h"

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

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

static const struct claim claims[] = {
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
