// SPDX-License-Identifier: GPL-2.0
// Claims about futexes: priority inheritance, owners that end, and whom a wake reaches.
#define _GNU_SOURCE
#include "claims.h"
#include "threads.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int running;
static long counter;

static pthread_mutex_t special;

static void init_special(int protocol, int robust)
{
	pthread_mutexattr_t attributes;
	REQUIRE(pthread_mutexattr_init(&attributes) == 0);
	REQUIRE(pthread_mutexattr_setprotocol(&attributes, protocol) == 0);
	REQUIRE(pthread_mutexattr_setrobust(&attributes, robust) == 0);
	REQUIRE((errno = pthread_mutex_init(&special, &attributes)) == 0);
}

static void *count_special(void *unused)
{
	(void)unused;
	for (int i = 0; i < 5000; i++) {
		REQUIRE((errno = pthread_mutex_lock(&special)) == 0);
		counter++;
		REQUIRE((errno = pthread_mutex_unlock(&special)) == 0);
	}
	return NULL;
}

static void *lock_with_limit(void *unused)
{
	struct timespec until = in_ms(CLOCK_REALTIME, 30);
	REQUIRE((errno = pthread_mutex_timedlock(&special, &until)) == ETIMEDOUT);
	until = in_ms(CLOCK_MONOTONIC, 30);
	REQUIRE((errno = pthread_mutex_clocklock(&special, CLOCK_MONOTONIC, &until)) == ETIMEDOUT);
	REQUIRE(pthread_mutex_trylock(&special) == EBUSY);
	return unused;
}

static void mutexes_with_priority_inheritance_exclude(void)
{
	init_special(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
	run_in(FEW, count_special);
	REQUIRE(counter == FEW * 5000);
	REQUIRE(pthread_mutex_lock(&special) == 0);
	end_of(start(lock_with_limit, NULL));
	REQUIRE(pthread_mutex_unlock(&special) == 0);
	uint32_t word = (uint32_t)gettid();
	REQUIRE_ERROR(syscall(SYS_futex, &word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	word = 1;
	REQUIRE_ERROR(syscall(SYS_futex, &word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM);
}

static void *lock_and_end(void *unused)
{
	REQUIRE(pthread_mutex_lock(&special) == 0);
	running = 1;
	pause_ms(50);
	return unused;
}

static void check_robust(int protocol)
{
	init_special(protocol, PTHREAD_MUTEX_ROBUST);
	running = 0;
	pthread_t thread = start(lock_and_end, NULL);
	while (running == 0)
		;
	REQUIRE((errno = pthread_mutex_lock(&special)) == EOWNERDEAD);
	end_of(thread);
	REQUIRE(pthread_mutex_consistent(&special) == 0 && pthread_mutex_unlock(&special) == 0);
	end_of(start(lock_and_end, NULL));
	REQUIRE((errno = pthread_mutex_lock(&special)) == EOWNERDEAD);
}

static uint32_t owned;

static void *own_and_end(void *unused)
{
	REQUIRE(syscall(SYS_futex, &owned, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	running = 1;
	pause_ms(100);
	return unused;
}

/* Neither the C library nor the thread ever told the kernel of this word's owner. */
static void an_owner_that_ends_hands_its_word_on(void)
{
	running = 0;
	pthread_t thread = start(own_and_end, NULL);
	while (running == 0)
		;
	REQUIRE(syscall(SYS_futex, &owned, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	REQUIRE((owned & FUTEX_TID_MASK) == (uint32_t)gettid() && owned & FUTEX_OWNER_DIED);
	end_of(thread);
}

static void robust_mutexes_tell_that_their_owner_died(void)
{
	check_robust(PTHREAD_PRIO_NONE);
	check_robust(PTHREAD_PRIO_INHERIT);
}

static uint32_t first_word, second_word;

static long futex(uint32_t *word, int operation, uint32_t value, long value2, uint32_t *second, uint32_t value3)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, value2, second, value3);
}

static void *wait_at_first(void *unused)
{
	running++;
	REQUIRE(futex(&first_word, FUTEX_WAIT, 0, 0, NULL, 0) == 0);
	running--;
	return unused;
}

static void waiters_can_be_requeued(void)
{
	pthread_t threads[FEW];
	for (int i = 0; i < FEW; i++)
		threads[i] = start(wait_at_first, NULL);
	while (running < FEW)
		pause_ms(1);
	pause_ms(30);
	REQUIRE_ERROR(futex(&first_word, FUTEX_CMP_REQUEUE, 1, INT_MAX, &second_word, 1), EAGAIN);
	REQUIRE(futex(&first_word, FUTEX_CMP_REQUEUE, 1, INT_MAX, &second_word, 0) == FEW);
	REQUIRE(futex(&first_word, FUTEX_WAKE, INT_MAX, 0, NULL, 0) == 0);
	REQUIRE(futex(&second_word, FUTEX_WAKE, INT_MAX, 0, NULL, 0) == FEW - 1);
	for (int i = 0; i < FEW; i++)
		end_of(threads[i]);
}

static void a_wake_can_change_a_word(void)
{
	pthread_t thread = start(wait_at_first, NULL);
	while (running == 0)
		pause_ms(1);
	pause_ms(30);
	second_word = 5;
	int add_3_if_5 = FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5);
	REQUIRE(futex(&second_word, FUTEX_WAKE_OP, 1, 1, &first_word, (uint32_t)add_3_if_5) == 0 && first_word == 3);
	first_word = 5;
	REQUIRE(futex(&second_word, FUTEX_WAKE_OP, 1, 1, &first_word, (uint32_t)add_3_if_5) == 1 && first_word == 8);
	end_of(thread);
	int clear = FUTEX_OP((FUTEX_OP_ANDN | FUTEX_OP_OPARG_SHIFT), 3, FUTEX_OP_CMP_LT, -1);
	REQUIRE(futex(&second_word, FUTEX_WAKE_OP, 1, 1, &first_word, (uint32_t)clear) == 0 && first_word == 0);
}

static void *wait_with_bit(void *bit)
{
	running++;
	REQUIRE(futex(&first_word, FUTEX_WAIT_BITSET, 0, 0, NULL, (uint32_t)(intptr_t)bit) == 0);
	return NULL;
}

static void bits_choose_who_is_woken(void)
{
	pthread_t one = start(wait_with_bit, (void *)1), two = start(wait_with_bit, (void *)2);
	while (running < 2)
		pause_ms(1);
	pause_ms(30);
	REQUIRE(futex(&first_word, FUTEX_WAKE_BITSET, INT_MAX, 0, NULL, 4) == 0);
	REQUIRE(futex(&first_word, FUTEX_WAKE_BITSET, INT_MAX, 0, NULL, 2) == 1);
	end_of(two);
	REQUIRE(futex(&first_word, FUTEX_WAKE_BITSET, INT_MAX, 0, NULL, 1) == 1);
	end_of(one);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(mutexes_with_priority_inheritance_exclude),
		CLAIM(an_owner_that_ends_hands_its_word_on),
		CLAIM(robust_mutexes_tell_that_their_owner_died),
		CLAIM(waiters_can_be_requeued),
		CLAIM(a_wake_can_change_a_word),
		CLAIM(bits_choose_who_is_woken),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
