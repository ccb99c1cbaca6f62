// SPDX-License-Identifier: GPL-2.0
// Claims about whose turn it is: threads that wake beside threads that compute, policies and priorities, in
// the order of running and of waiting.
#define _GNU_SOURCE
#include "claims.h"
#include "threads.h"

#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 8, ROUNDS = 40, NOBODY = 65534 };

static atomic_int stop;
static volatile long turns[MOST + 1];

static void run_on(int cpu)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	REQUIRE(sched_setaffinity(0, sizeof(one), &one) == 0);
}

static int one_cpu(void)
{
	int cpu = sched_getcpu();
	run_on(cpu);
	return cpu;
}

static void stand(int policy, int priority)
{
	struct sched_param parameters = { priority };
	REQUIRE(sched_setscheduler(0, policy, &parameters) == 0);
}

static void require_standing(int policy, int priority, int nice)
{
	struct sched_param parameters;
	REQUIRE(sched_getparam(0, &parameters) == 0);
	REQUIRE(sched_getscheduler(0) == policy && parameters.sched_priority == priority);
	errno = 0;
	REQUIRE(getpriority(PRIO_PROCESS, 0) == nice && errno == 0);
}

static pthread_t start_with(int policy, int priority, void *(*body)(void *), void *argument)
{
	struct sched_param parameters = { priority };
	pthread_attr_t attributes;
	pthread_t thread;
	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, policy);
	pthread_attr_setschedparam(&attributes, &parameters);
	REQUIRE((errno = pthread_create(&thread, &attributes, body, argument)) == 0);
	return thread;
}

/* ---- Who wakes beside who computes ---- */

static _Atomic int64_t awaited = INT64_MAX;
static atomic_int word, sent, ran;
static volatile long early[MOST], late[MOST];

/* Counts its turns of the loop: those when a thread should be running here, and the others. */
static void *compute(void *index)
{
	intptr_t i = (intptr_t)index;
	while (!stop) {
		if (sent > ran || now_ns() >= awaited)
			late[i]++;
		else
			early[i]++;
	}
	return NULL;
}

static long sum(volatile long *counts)
{
	long all = 0;
	for (int i = 0; i < MOST; i++)
		all += counts[i];
	return all;
}

static void begin_computing(int count, pthread_t *threads)
{
	stop = 0;
	for (intptr_t i = 0; i < count; i++)
		threads[i] = start(compute, (void *)i);
}

static void end_computing(int count, pthread_t *threads)
{
	stop = 1;
	for (int i = 0; i < count; i++)
		end_of(threads[i]);
}

/* Whether more than `times` as many turns were late as were not, since it was asked last. */
static int was_late(int times)
{
	static long last_early, last_late;
	long now_early = sum(early), now_late = sum(late);
	int answer = now_late - last_late > times * (now_early - last_early);
	last_early = now_early;
	last_late = now_late;
	return answer;
}

/* A host that takes a processor away in the middle makes rounds late, so only most of them have to be in time. */
static void require_mostly_in_time(int rounds_late)
{
	printf("%d of %d rounds late\n", rounds_late, ROUNDS);
	REQUIRE(rounds_late < ROUNDS / 2);
}

static void sleepers_wake_at_once_beside_threads_that_compute(void)
{
	one_cpu();
	for (int count = 1; count <= 2; count++) {
		pthread_t threads[MOST];
		begin_computing(count, threads);
		pause_ms(300);
		was_late(1);
		int rounds_late = 0;
		for (int i = 0; i < ROUNDS; i++) {
			int64_t end = now_ns() + 1000000;
			struct timespec until = { end / 1000000000, end % 1000000000 };
			awaited = end;
			REQUIRE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0);
			awaited = INT64_MAX;
			// They compute for a millisecond before each time, and have ten and more if they have their slices first.
			rounds_late += was_late(3);
		}
		end_computing(count, threads);
		require_mostly_in_time(rounds_late);
	}
}

static void *wait_for_word(void *cpu)
{
	run_on((int)(intptr_t)cpu);
	for (int i = 1; i <= ROUNDS; i++) {
		while (word != i)
			syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, i - 1, NULL, NULL, 0);
		ran = i;
	}
	return NULL;
}

static void threads_that_another_core_wakes_run_at_once_beside_one_that_computes(void)
{
	cpu_set_t all;
	REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
	int cpu = one_cpu(), other = -1;
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &all) && i != cpu)
			other = i;
	if (other < 0)
		return;
	pthread_t threads[MOST];
	begin_computing(1, threads);
	run_on(other);
	pthread_t waiter = start(wait_for_word, (void *)(intptr_t)cpu);
	int rounds_late = 0;
	for (int i = 1; i <= ROUNDS; i++) {
		pause_ms(2);
		word = i;
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
		sent = i;
		while (ran != i)
			sched_yield();
		rounds_late += was_late(1);
	}
	end_of(waiter);
	end_computing(1, threads);
	require_mostly_in_time(rounds_late);
}

/* ---- Shares and priorities ---- */

static void *count_turns(void *index)
{
	while (!stop)
		turns[(intptr_t)index]++;
	return NULL;
}

static void *count_nicely(void *index)
{
	REQUIRE(setpriority(PRIO_PROCESS, 0, 10) == 0);
	REQUIRE(getpriority(PRIO_PROCESS, 0) == 10);
	return count_turns(index);
}

static void *count_idly(void *index)
{
	stand(SCHED_IDLE, 0);
	require_standing(SCHED_IDLE, 0, 0);
	return count_turns(index);
}

static void *count_as_batch(void *index)
{
	stand(SCHED_BATCH, 0);
	require_standing(SCHED_BATCH, 0, 0);
	return count_turns(index);
}

/* Lets two threads compute beside each other under a main thread that is above both. */
static void share(pthread_t first, pthread_t second, long ms)
{
	pause_ms(50);
	turns[0] = turns[1] = 0;
	pause_ms(ms);
	long seen[2] = { turns[0], turns[1] };
	stop = 1;
	end_of(first);
	end_of(second);
	stop = 0;
	turns[0] = seen[0];
	turns[1] = seen[1];
	printf("%ld and %ld turns\n", seen[0], seen[1]);
}

static void nice_threads_have_a_smaller_share(void)
{
	one_cpu();
	stand(SCHED_FIFO, 50);
	pthread_t one = start_with(SCHED_OTHER, 0, count_turns, (void *)0);
	pthread_t other = start_with(SCHED_OTHER, 0, count_nicely, (void *)1);
	share(one, other, 1500);
	// Their weights are 1024 and 110.
	REQUIRE(turns[1] > 0 && turns[0] > 4 * turns[1] && turns[0] < 100 * turns[1]);
}

static void idle_threads_have_what_others_leave(void)
{
	one_cpu();
	stand(SCHED_FIFO, 50);
	pthread_t one = start_with(SCHED_OTHER, 0, count_as_batch, (void *)0);
	pthread_t other = start_with(SCHED_OTHER, 0, count_idly, (void *)1);
	share(one, other, 600);
	REQUIRE(turns[0] > 5 * turns[1]);
}

static void a_lower_priority_does_not_run_while_a_higher_one_does(void)
{
	one_cpu();
	stand(SCHED_FIFO, 50);
	pthread_t one = start_with(SCHED_FIFO, 6, count_turns, (void *)0);
	pthread_t other = start_with(SCHED_RR, 5, count_turns, (void *)1);
	share(one, other, 200);
	REQUIRE(turns[0] > 0 && turns[1] == 0);
}

static void round_robin_takes_turns_and_fifo_does_not(void)
{
	one_cpu();
	stand(SCHED_FIFO, 50);
	pthread_t one = start_with(SCHED_RR, 5, count_turns, (void *)0);
	pthread_t other = start_with(SCHED_RR, 5, count_turns, (void *)1);
	share(one, other, 1500);
	REQUIRE(turns[0] > turns[1] / 8 && turns[1] > turns[0] / 8);
	one = start_with(SCHED_FIFO, 5, count_turns, (void *)0);
	other = start_with(SCHED_FIFO, 5, count_turns, (void *)1);
	share(one, other, 300);
	REQUIRE((turns[0] == 0) != (turns[1] == 0));
}

static void other_threads_have_a_part_of_each_second_beside_real_time(void)
{
	one_cpu();
	stand(SCHED_FIFO, 50);
	pthread_t one = start_with(SCHED_FIFO, 5, count_turns, (void *)0);
	pthread_t other = start_with(SCHED_OTHER, 0, count_turns, (void *)1);
	share(one, other, 3000);
	REQUIRE(turns[1] > 0 && turns[0] > 4 * turns[1]);
}

static pthread_barrier_t all_there;

static void *yield_to_the_other(void *index)
{
	intptr_t i = (intptr_t)index;
	pthread_barrier_wait(&all_there);
	for (int n = 0; n < 100; n++) {
		turns[i]++;
		REQUIRE(labs(turns[0] - turns[1]) <= 1);
		sched_yield();
	}
	turns[1 - i] = turns[i] = 100;
	return NULL;
}

static void fifo_threads_that_yield_take_turns(void)
{
	one_cpu();
	stand(SCHED_FIFO, 50);
	turns[0] = turns[1] = 0;
	REQUIRE(pthread_barrier_init(&all_there, NULL, 3) == 0);
	pthread_t one = start_with(SCHED_FIFO, 5, yield_to_the_other, (void *)0);
	pthread_t other = start_with(SCHED_FIFO, 5, yield_to_the_other, (void *)1);
	pthread_barrier_wait(&all_there);
	end_of(one);
	end_of(other);
}

static void a_priority_that_is_raised_counts_at_once(void)
{
	one_cpu();
	stand(SCHED_FIFO, 50);
	pthread_t one = start_with(SCHED_FIFO, 6, count_turns, (void *)0);
	pthread_t other = start_with(SCHED_FIFO, 5, count_turns, (void *)1);
	struct sched_param higher = { 7 };
	REQUIRE((errno = pthread_setschedparam(other, SCHED_FIFO, &higher)) == 0);
	share(one, other, 100);
	REQUIRE(turns[0] == 0 && turns[1] > 0);
}

/* ---- The order of waiting ---- */

static uint32_t gate, second_gate;
static int order[8], arrived;
static pthread_mutex_t mutex;

static void *pass_gate(void *number)
{
	syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	order[arrived++] = (int)(intptr_t)number;
	return NULL;
}

static void *pass_mutex(void *number)
{
	REQUIRE(pthread_mutex_lock(&mutex) == 0);
	order[arrived++] = (int)(intptr_t)number;
	REQUIRE(pthread_mutex_unlock(&mutex) == 0);
	return NULL;
}

/* Threads of priority 5, 20, 10, 20, which wait in that order. */
static void start_waiting(void *(*body)(void *), pthread_t *threads)
{
	static const int priorities[] = { 5, 20, 10, 20 };
	for (intptr_t i = 0; i < 4; i++) {
		threads[i] = start_with(SCHED_FIFO, priorities[i], body, (void *)i);
		pause_ms(20);
	}
}

static void require_order(pthread_t *threads)
{
	for (int i = 0; i < 4; i++)
		end_of(threads[i]);
	printf("%d %d %d %d\n", order[0], order[1], order[2], order[3]);
	REQUIRE(order[0] == 1 && order[1] == 3 && order[2] == 2 && order[3] == 0);
}

static void waiters_of_a_futex_wake_by_priority(void)
{
	pthread_t threads[4];
	one_cpu();
	stand(SCHED_FIFO, 1);
	start_waiting(pass_gate, threads);
	for (int i = 1; i <= 4; i++) {
		REQUIRE(syscall(SYS_futex, &gate, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
		while (arrived < i)
			pause_ms(1);
	}
	require_order(threads);
}

static void waiters_that_are_moved_wake_by_priority(void)
{
	pthread_t threads[4];
	one_cpu();
	stand(SCHED_FIFO, 1);
	start_waiting(pass_gate, threads);
	REQUIRE(syscall(SYS_futex, &gate, FUTEX_REQUEUE_PRIVATE, 0, INT_MAX, &second_gate, 0) == 4);
	for (int i = 1; i <= 4; i++) {
		REQUIRE(syscall(SYS_futex, &second_gate, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
		while (arrived < i)
			pause_ms(1);
	}
	require_order(threads);
}

static void mutexes_are_handed_over_by_priority(void)
{
	for (int protocol = PTHREAD_PRIO_NONE; protocol <= PTHREAD_PRIO_INHERIT; protocol++) {
		pthread_t threads[4];
		pthread_mutexattr_t attributes;
		pthread_mutexattr_init(&attributes);
		REQUIRE(pthread_mutexattr_setprotocol(&attributes, protocol) == 0);
		REQUIRE(pthread_mutex_init(&mutex, &attributes) == 0);
		one_cpu();
		stand(SCHED_FIFO, 1);
		arrived = 0;
		REQUIRE(pthread_mutex_lock(&mutex) == 0);
		start_waiting(pass_mutex, threads);
		REQUIRE(pthread_mutex_unlock(&mutex) == 0);
		require_order(threads);
	}
}

static atomic_int release;

static void *hold_mutex(void *index)
{
	REQUIRE(pthread_mutex_lock(&mutex) == 0);
	while (!release)
		turns[(intptr_t)index]++;
	REQUIRE(pthread_mutex_unlock(&mutex) == 0);
	return NULL;
}

static void who_holds_what_a_higher_priority_waits_for_runs_before_those_between(void)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	REQUIRE(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
	REQUIRE(pthread_mutex_init(&mutex, &attributes) == 0);
	one_cpu();
	stand(SCHED_FIFO, 90);
	pthread_t low = start_with(SCHED_FIFO, 5, hold_mutex, (void *)0);
	pause_ms(20);
	pthread_t between = start_with(SCHED_FIFO, 20, count_turns, (void *)1);
	pthread_t high = start_with(SCHED_FIFO, 50, pass_mutex, (void *)7);
	pause_ms(50);
	turns[0] = turns[1] = 0;
	pause_ms(100);
	REQUIRE(turns[0] > 0 && turns[1] == 0 && arrived == 0);
	release = 1;
	end_of(high);
	turns[0] = turns[1] = 0;
	pause_ms(50);
	REQUIRE(arrived == 1 && turns[0] == 0 && turns[1] > 0);
	stop = 1;
	end_of(between);
	end_of(low);
}

static uint32_t words[2];

static void *lock_crosswise(void *index)
{
	int i = (int)(intptr_t)index;
	REQUIRE(syscall(SYS_futex, &words[i], FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0);
	pthread_barrier_wait(&all_there);
	pause_ms(50 * i);
	long result = syscall(SYS_futex, &words[1 - i], FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
	if (result == -1 && errno == EDEADLK)
		arrived++;
	else
		REQUIRE(result == 0 && syscall(SYS_futex, &words[1 - i], FUTEX_UNLOCK_PI_PRIVATE) == 0);
	REQUIRE(syscall(SYS_futex, &words[i], FUTEX_UNLOCK_PI_PRIVATE) == 0);
	return NULL;
}

static void a_circle_of_owners_is_refused(void)
{
	REQUIRE(pthread_barrier_init(&all_there, NULL, 2) == 0);
	pthread_t one = start(lock_crosswise, (void *)0);
	end_of(start(lock_crosswise, (void *)1));
	end_of(one);
	REQUIRE(arrived == 1);
}

/* ---- What is set, read back, inherited and refused ---- */

static void *is_fifo_7(void *unused)
{
	require_standing(SCHED_FIFO, 7, 0);
	return unused;
}

static void require_child(int policy, int priority, int nice)
{
	pid_t child = fork();
	if (child == 0) {
		require_standing(policy, priority, nice);
		_exit(0);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}

static void policies_are_inherited_and_reset_when_asked(void)
{
	stand(SCHED_FIFO, 7);
	is_fifo_7(NULL);
	end_of(start(is_fifo_7, NULL));
	require_child(SCHED_FIFO, 7, 0);
	stand(SCHED_FIFO | SCHED_RESET_ON_FORK, 7);
	require_standing(SCHED_FIFO | SCHED_RESET_ON_FORK, 7, 0);
	require_child(SCHED_OTHER, 0, 0);
	stand(SCHED_BATCH | SCHED_RESET_ON_FORK, 0);
	REQUIRE(setpriority(PRIO_PROCESS, 0, -5) == 0);
	require_child(SCHED_BATCH, 0, 0);
	REQUIRE(nice(9) == 4);
	require_child(SCHED_BATCH, 0, 4);
}

static void bad_policies_and_priorities_are_refused(void)
{
	struct sched_param none = { 0 }, one = { 1 }, most = { 100 };
	REQUIRE_ERROR(sched_setscheduler(0, SCHED_FIFO, &none), EINVAL);
	REQUIRE_ERROR(sched_setscheduler(0, SCHED_RR, &most), EINVAL);
	REQUIRE_ERROR(sched_setscheduler(0, SCHED_OTHER, &one), EINVAL);
	REQUIRE_ERROR(sched_setscheduler(0, 77, &none), EINVAL);
	REQUIRE_ERROR(sched_setscheduler(-1, SCHED_OTHER, &none), EINVAL);
	REQUIRE_ERROR(sched_setscheduler(0x3fffff, SCHED_OTHER, &none), ESRCH);
	REQUIRE_ERROR(sched_setparam(0, NULL), EINVAL);
	REQUIRE_ERROR(sched_setparam(0, (void *)8), EFAULT);
	REQUIRE_ERROR(setpriority(99, 0, 0), EINVAL);
	REQUIRE_ERROR(setpriority(PRIO_PROCESS, 0x3fffff, 0), ESRCH);
	require_standing(SCHED_OTHER, 0, 0);
}

static void limits_of_priority_are_heeded(void)
{
	struct rlimit priority = { 10, 10 }, nice = { 25, 25 };
	struct sched_param ten = { 10 }, eleven = { 11 };
	REQUIRE(setrlimit(RLIMIT_RTPRIO, &priority) == 0 && setrlimit(RLIMIT_NICE, &nice) == 0);
	REQUIRE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	REQUIRE_ERROR(sched_setscheduler(0, SCHED_FIFO, &eleven), EPERM);
	REQUIRE(sched_setscheduler(0, SCHED_FIFO, &ten) == 0);
	require_standing(SCHED_FIFO, 10, 0);
	stand(SCHED_OTHER, 0);
	REQUIRE_ERROR(setpriority(PRIO_PROCESS, 0, -6), EACCES);
	REQUIRE(setpriority(PRIO_PROCESS, 0, -5) == 0);
	require_standing(SCHED_OTHER, 0, -5);
	REQUIRE_ERROR(setpriority(PRIO_PROCESS, 1, 3), EPERM);
}

static const struct claim claims[] = {
	CLAIM(sleepers_wake_at_once_beside_threads_that_compute),
	CLAIM(threads_that_another_core_wakes_run_at_once_beside_one_that_computes),
	CLAIM(nice_threads_have_a_smaller_share),
	CLAIM(idle_threads_have_what_others_leave),
	CLAIM(a_lower_priority_does_not_run_while_a_higher_one_does),
	CLAIM(round_robin_takes_turns_and_fifo_does_not),
	CLAIM(other_threads_have_a_part_of_each_second_beside_real_time),
	CLAIM(fifo_threads_that_yield_take_turns),
	CLAIM(a_priority_that_is_raised_counts_at_once),
	CLAIM(waiters_of_a_futex_wake_by_priority),
	CLAIM(waiters_that_are_moved_wake_by_priority),
	CLAIM(mutexes_are_handed_over_by_priority),
	CLAIM(who_holds_what_a_higher_priority_waits_for_runs_before_those_between),
	CLAIM(a_circle_of_owners_is_refused),
	CLAIM(policies_are_inherited_and_reset_when_asked),
	CLAIM(bad_policies_and_priorities_are_refused),
	CLAIM(limits_of_priority_are_heeded),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
