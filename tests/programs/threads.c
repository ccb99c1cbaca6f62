// SPDX-License-Identifier: GPL-2.0
// Claims about threads: their lives, their locks, the cores they run on.
#define _GNU_SOURCE
#include "claims.h"
#include "threads.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *tid_of_thread(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)gettid();
}

static void threads_start_and_end(void)
{
	for (int i = 0; i < 300; i++) {
		pid_t tid = (pid_t)(intptr_t)end_of(start(tid_of_thread, NULL));
		REQUIRE(tid > 0 && tid != getpid());
	}
	REQUIRE(gettid() == getpid());
}

static __thread int own = 7;

static void *change_own(void *index)
{
	REQUIRE(own == 7);
	own = (int)(intptr_t)index;
	for (int i = 0; i < 100; i++) {
		sched_yield();
		REQUIRE(own == (int)(intptr_t)index);
	}
	return NULL;
}

static void thread_local_storage_is_each_threads_own(void)
{
	run_in(FEW, change_own);
	REQUIRE(own == 7);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void *count_locked(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20000; i++) {
		REQUIRE(pthread_mutex_lock(&mutex) == 0);
		counter++;
		REQUIRE(pthread_mutex_unlock(&mutex) == 0);
	}
	return NULL;
}

static void mutexes_exclude(void)
{
	run_in(FEW, count_locked);
	REQUIRE(counter == FEW * 20000);
}

static int turn;

static void *take_turns(void *index)
{
	for (int i = 0; i < 500; i++) {
		pthread_mutex_lock(&mutex);
		while (turn != (int)(intptr_t)index)
			pthread_cond_wait(&cond, &mutex);
		turn = (turn + 1) % FEW;
		counter++;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

static void conditions_hand_over(void)
{
	run_in(FEW, take_turns);
	REQUIRE(counter == FEW * 500);
}

static pthread_barrier_t barrier;
static atomic_int arrived;

static void *meet(void *unused)
{
	(void)unused;
	for (int round = 1; round <= 200; round++) {
		arrived++;
		pthread_barrier_wait(&barrier);
		REQUIRE(arrived == round * FEW);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void barriers_gather(void)
{
	REQUIRE(pthread_barrier_init(&barrier, NULL, FEW) == 0);
	run_in(FEW, meet);
}

static volatile long pair[2];

static void *read_or_write(void *index)
{
	for (int i = 0; i < 3000; i++) {
		if (index == 0) {
			pthread_rwlock_wrlock(&rwlock);
			pair[0]++;
			pair[1]++;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			REQUIRE(pair[0] == pair[1]);
		}
		pthread_rwlock_unlock(&rwlock);
	}
	return NULL;
}

static void readers_see_no_half_written_state(void)
{
	run_in(FEW, read_or_write);
	REQUIRE(pair[0] == 3000);
}

static sem_t there, back;

static void *answer(void *unused)
{
	for (int i = 0; i < 1000; i++) {
		REQUIRE(sem_wait(&there) == 0);
		REQUIRE(sem_post(&back) == 0);
	}
	return unused;
}

static void semaphores_count(void)
{
	REQUIRE(sem_init(&there, 0, 0) == 0 && sem_init(&back, 0, 0) == 0);
	pthread_t thread = start(answer, NULL);
	for (int i = 0; i < 1000; i++) {
		REQUIRE(sem_post(&there) == 0);
		REQUIRE(sem_wait(&back) == 0);
	}
	end_of(thread);
	struct timespec until = in_ms(CLOCK_REALTIME, 20);
	REQUIRE_ERROR(sem_timedwait(&there, &until), ETIMEDOUT);
}

static pid_t tids[500];

static void *arrive_and_wait(void *index)
{
	pthread_mutex_lock(&mutex);
	tids[(intptr_t)index] = gettid();
	counter++;
	pthread_cond_broadcast(&cond);
	while (counter < 500)
		pthread_cond_wait(&cond, &mutex);
	pthread_mutex_unlock(&mutex);
	REQUIRE(getppid() > 0);
	return NULL;
}

static void five_hundred_threads_live_at_once(void)
{
	run_in(500, arrive_and_wait);
	for (int i = 0; i < 500; i++)
		for (int j = 0; j < i; j++)
			REQUIRE(tids[i] > 0 && tids[i] != tids[j]);
}

static cpu_set_t given(void)
{
	cpu_set_t set;
	REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
	return set;
}

static atomic_int running;
static int cpus_wanted;

static void *spin_until_all_run(void *unused)
{
	int64_t limit = now_ns() + 5000000000;
	running++;
	while (running < cpus_wanted)
		REQUIRE(now_ns() < limit);
	return unused;
}

// Threads that never give their core away can meet only if each has a core of its own.
static void threads_spread_over_all_cores(void)
{
	cpu_set_t set = given();
	cpus_wanted = CPU_COUNT(&set);
	run_in(cpus_wanted, spin_until_all_run);
}

static void *spin_past_others(void *unused)
{
	running++;
	int64_t limit = now_ns() + 10000000000;
	while (running < cpus_wanted)
		REQUIRE(now_ns() < limit);
	return unused;
}

static void computing_threads_share_cores_in_time(void)
{
	cpu_set_t set = given();
	cpus_wanted = 3 * CPU_COUNT(&set);
	run_in(cpus_wanted, spin_past_others);
}

static void a_thread_runs_where_it_is_told(void)
{
	cpu_set_t all = given();
	for (int round = 0; round < 20; round++) {
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
			if (!CPU_ISSET(cpu, &all))
				continue;
			cpu_set_t one;
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
			unsigned seen = ~0u;
			REQUIRE(sched_getcpu() == cpu && syscall(SYS_getcpu, &seen, NULL, NULL) == 0 && seen == (unsigned)cpu);
			one = given();
			REQUIRE(CPU_COUNT(&one) == 1 && CPU_ISSET(cpu, &one));
		}
	}
	REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
	cpu_set_t none;
	CPU_ZERO(&none);
	REQUIRE_ERROR(sched_setaffinity(0, sizeof none, &none), EINVAL);
}

static atomic_int go_on = 1;
static atomic_int seen_cpu = -1;

static void *report_cpu(void *unused)
{
	while (go_on)
		seen_cpu = sched_getcpu();
	return unused;
}

static void another_thread_can_be_moved(void)
{
	cpu_set_t all = given();
	pthread_t thread = start(report_cpu, NULL);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		REQUIRE(pthread_setaffinity_np(thread, sizeof one, &one) == 0);
		int64_t limit = now_ns() + 5000000000;
		while (seen_cpu != cpu)
			REQUIRE(now_ns() < limit);
	}
	go_on = 0;
	end_of(thread);
}

static void *sleep_50_ms(void *unused)
{
	pause_ms(50);
	return unused;
}

static void sleeping_threads_leave_their_core(void)
{
	int64_t before = now_ns();
	run_in(40, sleep_50_ms);
	REQUIRE(now_ns() - before >= 50000000 && now_ns() - before < 1500000000);
}

static int pipes[8][2];

static void *read_pipe(void *index)
{
	char byte = 0;
	REQUIRE(read(pipes[(intptr_t)index][0], &byte, 1) == 1);
	return (void *)(intptr_t)byte;
}

static void blocked_calls_do_not_block_each_other(void)
{
	pthread_t threads[8];
	for (intptr_t i = 0; i < 8; i++) {
		REQUIRE(pipe(pipes[i]) == 0);
		threads[i] = start(read_pipe, (void *)i);
	}
	pause_ms(20);
	for (int i = 7; i >= 0; i--) {
		char byte = (char)('a' + i);
		REQUIRE(write(pipes[i][1], &byte, 1) == 1);
		REQUIRE((char)(intptr_t)end_of(threads[i]) == byte);
	}
}

static void *wait_for_ever(void *index)
{
	running++;
	char byte;
	switch ((intptr_t)index) {
	case 0:
		for (;;)
			;
	case 1:
		read(pipes[0][0], &byte, 1);
		break;
	case 2:
		pthread_mutex_lock(&mutex);
		break;
	default:
		pause_ms(100000);
	}
	return NULL;
}

static void start_waiting_threads(void)
{
	REQUIRE(pipe(pipes[0]) == 0);
	pthread_mutex_lock(&mutex);
	for (intptr_t i = 0; i < FEW; i++)
		start(wait_for_ever, (void *)i);
	while (running < FEW)
		pause_ms(1);
	pause_ms(10);
}

static void exit_ends_threads_that_run_or_wait(void)
{
	start_waiting_threads();
	_exit(0);
}

static void *exit_from_thread(void *unused)
{
	(void)unused;
	_exit(0);
}

static void any_thread_can_end_the_process(void)
{
	start_waiting_threads();
	start(exit_from_thread, NULL);
	pause_ms(100000);
	REQUIRE(0);
}

static void *outlive_main(void *unused)
{
	(void)unused;
	pause_ms(50);
	REQUIRE(getppid() > 0);
	syscall(SYS_exit, 0); // the process's status, although the main thread said 3
	return NULL;
}

static void the_process_outlives_its_main_thread(void)
{
	start(outlive_main, NULL);
	syscall(SYS_exit, 3);
}

static void barriers_of_memory_are_there(void)
{
	long known = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	REQUIRE(known > 0 && known & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	REQUIRE(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
	pthread_t thread = start(report_cpu, NULL);
	for (int i = 0; i < 100; i++)
		REQUIRE(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
	go_on = 0;
	end_of(thread);
}

static void *own_user(void *unused)
{
	(void)unused;
	return (void *)(intptr_t)getuid();
}

// What a thread is to Linux is what the thread that made it was at that moment.
static void threads_inherit_what_their_maker_became(void)
{
	end_of(start(own_user, NULL));
	REQUIRE(setuid(12345) == 0);
	for (int i = 0; i < 20; i++)
		REQUIRE(end_of(start(own_user, NULL)) == (void *)12345);
	REQUIRE(getuid() == 12345);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(threads_start_and_end),
		CLAIM(thread_local_storage_is_each_threads_own),
		CLAIM(mutexes_exclude),
		CLAIM(conditions_hand_over),
		CLAIM(barriers_gather),
		CLAIM(readers_see_no_half_written_state),
		CLAIM(semaphores_count),
		CLAIM(five_hundred_threads_live_at_once),
		CLAIM(threads_spread_over_all_cores),
		CLAIM(computing_threads_share_cores_in_time),
		CLAIM(a_thread_runs_where_it_is_told),
		CLAIM(another_thread_can_be_moved),
		CLAIM(sleeping_threads_leave_their_core),
		CLAIM(blocked_calls_do_not_block_each_other),
		CLAIM(exit_ends_threads_that_run_or_wait),
		CLAIM(any_thread_can_end_the_process),
		CLAIM(the_process_outlives_its_main_thread),
		CLAIM(barriers_of_memory_are_there),
		CLAIM(threads_inherit_what_their_maker_became),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
