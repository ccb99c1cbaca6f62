// SPDX-License-Identifier: GPL-2.0
// Claims about threads: their lives, what they wait for, where they run, signals for one of them.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FEW = 4 };

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000l + t.tv_nsec;
}

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	while (nanosleep(&t, &t) != 0)
		;
}

static struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec t;
	clock_gettime(clock, &t);
	t.tv_nsec += ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static pthread_t start(void *(*body)(void *), void *argument)
{
	pthread_t thread;
	REQUIRE((errno = pthread_create(&thread, NULL, body, argument)) == 0);
	return thread;
}

static void *end_of(pthread_t thread)
{
	void *result;
	REQUIRE((errno = pthread_join(thread, &result)) == 0);
	return result;
}

// Runs `body` in `count` threads, with 0, 1, … as argument, until all have ended.
static void run_in(int count, void *(*body)(void *))
{
	pthread_t threads[count];
	for (intptr_t i = 0; i < count; i++)
		threads[i] = start(body, (void *)i);
	for (int i = 0; i < count; i++)
		end_of(threads[i]);
}

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

static atomic_int handler_tid;

static void note_tid(int signal)
{
	(void)signal;
	handler_tid = gettid();
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_handler = note_tid, .sa_flags = flags };
	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

static atomic_int ready_tid;

static void *spin_for_signal(void *unused)
{
	ready_tid = gettid();
	while (handler_tid == 0)
		;
	return unused;
}

static void wait_for(atomic_int *word)
{
	int64_t limit = now_ns() + 5000000000;
	while (*word == 0) {
		REQUIRE(now_ns() < limit);
		pause_ms(1);
	}
}

static void a_signal_reaches_the_thread_it_is_for(void)
{
	handle(SIGUSR1, 0);
	pthread_t thread = start(spin_for_signal, NULL);
	wait_for(&ready_tid);
	REQUIRE(pthread_kill(thread, SIGUSR1) == 0);
	end_of(thread);
	REQUIRE(handler_tid == ready_tid && handler_tid != getpid());
	REQUIRE_ERROR(syscall(SYS_tgkill, getpid(), 1, SIGUSR1), ESRCH);
}

static void *read_until_signal(void *unused)
{
	char byte;
	ready_tid = gettid();
	REQUIRE_ERROR(read(pipes[0][0], &byte, 1), EINTR);
	return unused;
}

static void *poll_until_signal(void *unused)
{
	struct pollfd fd = { pipes[0][0], POLLIN, 0 };
	ready_tid = gettid();
	REQUIRE_ERROR(poll(&fd, 1, 20000), EINTR);
	return unused;
}

static void *sleep_until_signal(void *unused)
{
	struct timespec t = { 20, 0 }, left = { 0, 0 };
	ready_tid = gettid();
	REQUIRE_ERROR(nanosleep(&t, &left), EINTR);
	REQUIRE(left.tv_sec > 10 && left.tv_sec < 20);
	return unused;
}

static void interrupt(void *(*body)(void *))
{
	ready_tid = handler_tid = 0;
	pthread_t thread = start(body, NULL);
	wait_for(&ready_tid);
	pause_ms(20);
	int64_t before = now_ns();
	REQUIRE(pthread_kill(thread, SIGUSR1) == 0);
	end_of(thread);
	REQUIRE(handler_tid == ready_tid && now_ns() - before < 5000000000);
}

static void a_signal_interrupts_the_call_of_its_thread(void)
{
	REQUIRE(pipe(pipes[0]) == 0);
	handle(SIGUSR1, 0);
	interrupt(read_until_signal);
	interrupt(poll_until_signal);
	interrupt(sleep_until_signal);
}

static void *read_through_signal(void *unused)
{
	char byte;
	ready_tid = gettid();
	REQUIRE(read(pipes[0][0], &byte, 1) == 1 && byte == 'x');
	return unused;
}

static void a_restartable_call_of_a_thread_goes_on(void)
{
	REQUIRE(pipe(pipes[0]) == 0);
	handle(SIGUSR1, SA_RESTART);
	pthread_t thread = start(read_through_signal, NULL);
	wait_for(&ready_tid);
	pause_ms(20);
	REQUIRE(pthread_kill(thread, SIGUSR1) == 0);
	wait_for(&handler_tid);
	REQUIRE(write(pipes[0][1], "x", 1) == 1);
	end_of(thread);
}

static void a_signal_to_the_process_goes_where_it_is_not_blocked(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	handle(SIGUSR1, 0);
	pthread_t thread = start(spin_for_signal, NULL);
	wait_for(&ready_tid);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	REQUIRE(kill(getpid(), SIGUSR1) == 0);
	end_of(thread);
	REQUIRE(handler_tid == ready_tid);
	sigset_t pending;
	REQUIRE(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
}

static void an_alarm_reaches_a_thread_that_lets_it(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	handle(SIGALRM, 0);
	pthread_t thread = start(spin_for_signal, NULL);
	wait_for(&ready_tid);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	alarm(1);
	end_of(thread);
	REQUIRE(handler_tid == ready_tid);
}

static void *take_signal(void *unused)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	siginfo_t info;
	ready_tid = gettid();
	REQUIRE(sigwaitinfo(&set, &info) == SIGUSR1);
	REQUIRE(info.si_signo == SIGUSR1 && info.si_code == SI_USER && info.si_pid == getpid());
	struct timespec limit = { 0, 20000000 };
	REQUIRE_ERROR(sigtimedwait(&set, &info, &limit), EAGAIN);
	return unused;
}

static void a_thread_can_wait_for_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	pthread_t thread = start(take_signal, NULL);
	wait_for(&ready_tid);
	pause_ms(20);
	REQUIRE(kill(getpid(), SIGUSR1) == 0);
	end_of(thread);
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

static volatile long *page;
static __thread sigjmp_buf escape;

static void leave_writing(int signal)
{
	(void)signal;
	siglongjmp(escape, 1);
}

static void *write_page(void *unused)
{
	running = 1;
	if (sigsetjmp(escape, 1) == 0)
		for (;;)
			++*page;
	return unused;
}

// What one thread takes away is gone for the others when the call returns, whatever their cores remember.
static void a_revoked_right_is_gone_on_all_cores(void)
{
	struct sigaction action = { .sa_handler = leave_writing };
	REQUIRE(sigaction(SIGSEGV, &action, NULL) == 0);
	for (int round = 0; round < 50; round++) {
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		REQUIRE(page != MAP_FAILED);
		running = 0;
		pthread_t thread = start(write_page, NULL);
		while (running == 0 || *page < 1000)
			;
		if (round % 2) {
			REQUIRE(mprotect((void *)page, 4096, PROT_READ) == 0);
			long value = *page;
			for (int i = 0; i < 10000; i++)
				REQUIRE(*page == value);
		} else {
			REQUIRE(munmap((void *)page, 4096) == 0);
		}
		end_of(thread);
	}
}

static void *allocate(void *index)
{
	for (int round = 0; round < 200; round++) {
		size_t bytes = 4096 * (1 + (size_t)round % 40);
		unsigned char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		REQUIRE(p != MAP_FAILED);
		for (size_t i = 0; i < bytes; i += 4096) {
			REQUIRE(p[i] == 0);
			p[i] = (unsigned char)(intptr_t)index;
		}
		for (size_t i = 0; i < bytes; i += 4096)
			REQUIRE(p[i] == (unsigned char)(intptr_t)index);
		REQUIRE(munmap(p, bytes) == 0);
	}
	return NULL;
}

static void threads_map_and_unmap_at_once(void)
{
	run_in(FEW, allocate);
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
		CLAIM(a_signal_reaches_the_thread_it_is_for),
		CLAIM(a_signal_interrupts_the_call_of_its_thread),
		CLAIM(a_restartable_call_of_a_thread_goes_on),
		CLAIM(a_signal_to_the_process_goes_where_it_is_not_blocked),
		CLAIM(an_alarm_reaches_a_thread_that_lets_it),
		CLAIM(a_thread_can_wait_for_signals),
		CLAIM(exit_ends_threads_that_run_or_wait),
		CLAIM(any_thread_can_end_the_process),
		CLAIM(the_process_outlives_its_main_thread),
		CLAIM(mutexes_with_priority_inheritance_exclude),
		CLAIM(an_owner_that_ends_hands_its_word_on),
		CLAIM(robust_mutexes_tell_that_their_owner_died),
		CLAIM(waiters_can_be_requeued),
		CLAIM(a_wake_can_change_a_word),
		CLAIM(bits_choose_who_is_woken),
		CLAIM(a_revoked_right_is_gone_on_all_cores),
		CLAIM(threads_map_and_unmap_at_once),
		CLAIM(barriers_of_memory_are_there),
		CLAIM(threads_inherit_what_their_maker_became),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
