// SPDX-License-Identifier: GPL-2.0
// Claims about waits until a time of a clock: they notice that it is set, and touch nothing of their caller's.
#define _GNU_SOURCE
#include "claims.h"

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FAR_S = 30, JUMP_S = 1000 };

static int64_t ns_of(clockid_t clock)
{
	struct timespec now;
	REQUIRE(clock_gettime(clock, &now) == 0);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

static struct timespec in(clockid_t clock, long ms)
{
	int64_t then = ns_of(clock) + ms * 1000000;
	return (struct timespec){ then / 1000000000, then % 1000000000 };
}

static void pause_ms(long ms)
{
	struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, held = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t other = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER, never_mono = PTHREAD_COND_INITIALIZER;
static sem_t none;

static int in_condition(const struct timespec *until)
{
	pthread_mutex_lock(&mutex);
	int error = pthread_cond_timedwait(&never, &mutex, until);
	pthread_mutex_unlock(&mutex);
	return error;
}

static int in_semaphore(const struct timespec *until)
{
	return sem_timedwait(&none, until) ? errno : 0;
}

static int in_mutex(const struct timespec *until)
{
	return pthread_mutex_timedlock(&held, until);
}

static int in_inheriting_mutex(const struct timespec *until)
{
	static unsigned word;
	word = syscall(SYS_getpid); /* somebody's: the main thread does not wait here */
	return syscall(SYS_futex, &word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, until, NULL, 0) ? errno : 0;
}

static int in_sleep(const struct timespec *until)
{
	return clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, until, NULL) ? EINTR : ETIMEDOUT;
}

static int in_waitv(const struct timespec *until)
{
	static uint32_t word;
	struct { uint64_t value, address; uint32_t flags, reserved; } entry = { 0, (uintptr_t)&word, 2 | 128, 0 };
	return syscall(449, &entry, 1, 0, until, CLOCK_REALTIME) < 0 ? errno : 0;
}

static int (*const waits[])(const struct timespec *) = {
	in_condition, in_semaphore, in_mutex, in_inheriting_mutex, in_sleep, in_waitv,
};
enum { WAITS = sizeof waits / sizeof *waits };

static volatile int64_t woken_at[WAITS];
static int results[WAITS];

static void *wait_for_far(void *number)
{
	struct timespec until = in(CLOCK_REALTIME, FAR_S * 1000L);
	int i = (intptr_t)number;
	results[i] = waits[i](&until);
	woken_at[i] = ns_of(CLOCK_MONOTONIC);
	return NULL;
}

static int relative_result, monotonic_result;

static void *wait_for_others(void *monotonic)
{
	struct timespec until = in(CLOCK_MONOTONIC, 1500);
	if (monotonic) {
		pthread_mutex_lock(&other);
		monotonic_result = pthread_cond_clockwait(&never_mono, &other, CLOCK_MONOTONIC, &until);
		pthread_mutex_unlock(&other);
	} else {
		relative_result = clock_nanosleep(CLOCK_REALTIME, 0, &(struct timespec){ 1, 500000000 }, NULL);
	}
	return (void *)(intptr_t)(ns_of(CLOCK_MONOTONIC) / 1000000);
}

static void set_ahead(long seconds)
{
	struct timespec then = in(CLOCK_REALTIME, seconds * 1000);
	REQUIRE(clock_settime(CLOCK_REALTIME, &then) == 0);
}

static void waits_on_the_clock_that_is_set_end_when_it_says_so(void)
{
	pthread_t threads[WAITS], others[2];
	REQUIRE(sem_init(&none, 0, 0) == 0 && pthread_mutex_lock(&held) == 0);
	for (intptr_t i = 0; i < WAITS; i++)
		REQUIRE(pthread_create(&threads[i], NULL, wait_for_far, (void *)i) == 0);
	int64_t began = ns_of(CLOCK_MONOTONIC);
	for (intptr_t i = 0; i < 2; i++)
		REQUIRE(pthread_create(&others[i], NULL, wait_for_others, (void *)i) == 0);
	pause_ms(500);
	for (int i = 0; i < WAITS; i++)
		REQUIRE(woken_at[i] == 0);
	set_ahead(JUMP_S);
	int64_t set = ns_of(CLOCK_MONOTONIC);
	for (int i = 0; i < WAITS; i++)
		REQUIRE(pthread_join(threads[i], NULL) == 0);
	set_ahead(-JUMP_S);
	for (int i = 0; i < WAITS; i++)
		REQUIRE(results[i] == ETIMEDOUT && woken_at[i] - set < 5000000000L);
	for (int i = 0; i < 2; i++) {
		void *ended_ms;
		REQUIRE(pthread_join(others[i], &ended_ms) == 0);
		REQUIRE((intptr_t)ended_ms - began / 1000000 >= 1500);
	}
	REQUIRE(relative_result == 0 && monotonic_result == ETIMEDOUT);
}

static void *wait_a_second(void *unused)
{
	(void)unused;
	struct timespec until = in(CLOCK_REALTIME, 1000);
	REQUIRE(sem_timedwait(&none, &until) == -1 && errno == ETIMEDOUT);
	return (void *)(intptr_t)(ns_of(CLOCK_MONOTONIC) / 1000000);
}

static void a_clock_that_is_set_back_makes_them_longer(void)
{
	pthread_t thread;
	REQUIRE(sem_init(&none, 0, 0) == 0);
	int64_t began = ns_of(CLOCK_MONOTONIC);
	REQUIRE(pthread_create(&thread, NULL, wait_a_second, NULL) == 0);
	pause_ms(300);
	set_ahead(-2);
	void *ended_ms;
	REQUIRE(pthread_join(thread, &ended_ms) == 0);
	set_ahead(2);
	REQUIRE((intptr_t)ended_ms - began / 1000000 >= 2900);
}

static void no_wait_ends_before_its_time(void)
{
	static uint32_t word;
	for (int i = 0; i < 200; i++) {
		bool real = i & 1;
		clockid_t clock = real ? CLOCK_REALTIME : CLOCK_MONOTONIC;
		int op = FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | (real ? FUTEX_CLOCK_REALTIME : 0);
		int64_t end = ns_of(clock) + 1000000 + i * 1000;
		struct timespec until = { end / 1000000000, end % 1000000000 };
		REQUIRE_ERROR(syscall(SYS_futex, &word, op, 0, &until, NULL, -1), ETIMEDOUT);
		/* The two kernels' clocks are less than this apart. */
		REQUIRE(ns_of(clock) >= end - 100000);
	}
}

/* A call with stack pointer `sp`. */
static long call_on(char *sp, long number, long a, long b, long c, long d, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = 0, r9 __asm__("r9") = f;
	long result = number;
	__asm__ volatile("mov %%rsp, %%rbx; mov %1, %%rsp; syscall; mov %%rbx, %%rsp"
			 : "+a"(result)
			 : "r"(sp), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "rbx", "memory");
	return result;
}

static void a_wait_touches_nothing_of_the_callers_stack(void)
{
	static uint32_t word;
	static struct timespec until;
	char *stack = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(stack != MAP_FAILED && mprotect(stack, 4096, PROT_NONE) == 0);
	stack += 4096;
	for (long room = 4096; room >= 0; room = room > 64 ? room / 2 : room - 64) {
		memset(stack, 0x5a, 4096);
		until = in(CLOCK_REALTIME, 1);
		int op = FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME;
		REQUIRE(call_on(stack + room, SYS_futex, (long)&word, op, 0, (long)&until, -1) == -ETIMEDOUT);
		for (int i = 0; i < 4096; i++)
			REQUIRE(stack[i] == 0x5a);
	}
}

static const struct claim claims[] = {
	CLAIM(waits_on_the_clock_that_is_set_end_when_it_says_so),
	CLAIM(a_clock_that_is_set_back_makes_them_longer),
	CLAIM(no_wait_ends_before_its_time),
	CLAIM(a_wait_touches_nothing_of_the_callers_stack),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
