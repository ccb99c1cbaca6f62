// SPDX-License-Identifier: GPL-2.0
// Claims about timers of timer_create(2): overruns, those that count CPU time, and sleeping on such a clock.
#define _GNU_SOURCE
#include "claims.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif
#define MS 1000000L

static volatile sig_atomic_t runs, overrun, code, value, by_thread;
static volatile long sink;

static void count(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	runs++;
	overrun = info->si_overrun;
	code = info->si_code;
	value = info->si_value.sival_int;
	by_thread = gettid();
}

static void handle(int signal)
{
	struct sigaction action = { .sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_RESTART };
	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

static void mask(int how, int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	REQUIRE(pthread_sigmask(how, &set, NULL) == 0);
}

static void pause_ms(long ms)
{
	struct timespec rest = { ms / 1000, ms % 1000 * MS };
	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static int64_t ns_of(clockid_t clock)
{
	struct timespec now;
	REQUIRE(clock_gettime(clock, &now) == 0);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

/* Computes until `clock` has advanced so much. */
static void compute(clockid_t clock, long ms)
{
	for (int64_t end = ns_of(clock) + ms * MS; ns_of(clock) < end;)
		for (int i = 0; i < 2000; i++)
			sink += i;
}

static timer_t timer(clockid_t clock, int notify, int signal)
{
	struct sigevent event = { .sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_int = 77 };
	event.sigev_notify_thread_id = gettid();
	timer_t timer;
	REQUIRE(timer_create(clock, &event, &timer) == 0);
	return timer;
}

static void set(timer_t timer, int flags, int64_t first, int64_t interval)
{
	struct itimerspec wanted = {
		{ interval / (1000 * MS), interval % (1000 * MS) }, { first / (1000 * MS), first % (1000 * MS) },
	};
	REQUIRE(timer_settime(timer, flags, &wanted, NULL) == 0);
}

static int64_t left(timer_t timer)
{
	struct itimerspec now;
	REQUIRE(timer_gettime(timer, &now) == 0);
	return now.it_value.tv_sec * 1000 * MS + now.it_value.tv_nsec;
}

static void one_signal_tells_of_all_expiries_while_it_was_blocked(void)
{
	int signals[] = { SIGALRM, SIGRTMIN };
	for (int i = 0; i < 2; i++) {
		int signal = signals[i];
		handle(signal);
		timer_t it = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, signal);
		mask(SIG_BLOCK, signal);
		runs = 0;
		set(it, 0, 20 * MS, 20 * MS);
		pause_ms(210);
		REQUIRE(timer_getoverrun(it) == 0);
		mask(SIG_UNBLOCK, signal);
		int seen = timer_getoverrun(it);
		REQUIRE(timer_delete(it) == 0);
		REQUIRE(runs >= 1 && code == SI_TIMER && value == 77);
		if (runs == 1)
			REQUIRE(overrun >= 9 && overrun <= 20 && seen == overrun);
		REQUIRE_ERROR(timer_getoverrun(it), EINVAL);
	}
}

static void who_waits_for_the_signal_is_told_of_overruns_too(void)
{
	handle(SIGUSR1);
	mask(SIG_BLOCK, SIGUSR1);
	timer_t it = timer(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGUSR1);
	set(it, 0, 20 * MS, 20 * MS);
	pause_ms(150);
	sigset_t awaited;
	sigemptyset(&awaited);
	sigaddset(&awaited, SIGUSR1);
	siginfo_t info;
	REQUIRE(sigwaitinfo(&awaited, &info) == SIGUSR1 && info.si_code == SI_TIMER);
	REQUIRE(info.si_overrun >= 6 && timer_getoverrun(it) == info.si_overrun);
}

static void two_timers_of_one_signal_tell_each_for_itself(void)
{
	handle(SIGUSR1);
	mask(SIG_BLOCK, SIGUSR1);
	timer_t one = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1), other = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1);
	set(one, 0, 10 * MS, 0);
	set(other, 0, 20 * MS, 0);
	pause_ms(60);
	mask(SIG_UNBLOCK, SIGUSR1);
	REQUIRE(runs == 2 && timer_getoverrun(one) == 0 && timer_getoverrun(other) == 0);
}

static void a_timer_that_is_set_anew_or_deleted_takes_its_signal_back(void)
{
	handle(SIGUSR1);
	mask(SIG_BLOCK, SIGUSR1);
	timer_t it = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1);
	set(it, 0, 10 * MS, 0);
	pause_ms(60);
	set(it, 0, 0, 0);
	mask(SIG_UNBLOCK, SIGUSR1);
	mask(SIG_BLOCK, SIGUSR1);
	set(it, 0, 10 * MS, 0);
	pause_ms(60);
	REQUIRE(timer_delete(it) == 0);
	mask(SIG_UNBLOCK, SIGUSR1);
	REQUIRE(runs == 0);
}

static void a_timer_on_the_time_of_the_process_expires(void)
{
	handle(SIGPROF);
	timer_t it = timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGPROF);
	set(it, 0, 10 * MS, 10 * MS);
	REQUIRE(left(it) > 0 && left(it) <= 10 * MS);
	compute(CLOCK_PROCESS_CPUTIME_ID, 400);
	REQUIRE(runs >= 10 && runs <= 45 && code == SI_TIMER && value == 77);
	REQUIRE(timer_delete(it) == 0);
	REQUIRE_ERROR(timer_delete(it), EINVAL);
}

static void *with_own_timer(void *unused)
{
	(void)unused;
	timer_t it = timer(CLOCK_THREAD_CPUTIME_ID, SIGEV_THREAD_ID, SIGRTMIN);
	set(it, 0, 10 * MS, 10 * MS);
	compute(CLOCK_THREAD_CPUTIME_ID, 300);
	REQUIRE(timer_delete(it) == 0);
	REQUIRE(runs >= 8 && runs <= 35 && by_thread == gettid());
	return NULL;
}

static void a_timer_on_the_time_of_a_thread_tells_that_thread(void)
{
	handle(SIGRTMIN);
	pthread_t thread;
	REQUIRE(pthread_create(&thread, NULL, with_own_timer, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

static void a_time_of_the_clock_can_be_named(void)
{
	handle(SIGUSR1);
	clockid_t clock;
	REQUIRE(pthread_getcpuclockid(pthread_self(), &clock) == 0);
	timer_t it = timer(clock, SIGEV_SIGNAL, SIGUSR1);
	set(it, TIMER_ABSTIME, ns_of(clock) + 30 * MS, 0);
	compute(clock, 20);
	REQUIRE(runs == 0);
	compute(clock, 60);
	REQUIRE(runs == 1 && left(it) == 0);
	set(it, TIMER_ABSTIME, 1, 0);
	compute(clock, 20);
	REQUIRE(runs == 2);
}

static void a_timer_may_tell_nobody(void)
{
	timer_t it = timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_NONE, 0);
	set(it, 0, 20 * MS, 0);
	compute(CLOCK_PROCESS_CPUTIME_ID, 10);
	REQUIRE(left(it) > 0 && left(it) < 20 * MS);
	compute(CLOCK_PROCESS_CPUTIME_ID, 30);
	REQUIRE(left(it) == 0);
}

static void bad_arguments_are_refused(void)
{
	timer_t it;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99 };
	REQUIRE_ERROR(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &it), EINVAL);
	REQUIRE_ERROR(syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, 8, &it), EFAULT);
	REQUIRE_ERROR(syscall(SYS_timer_create, CLOCK_THREAD_CPUTIME_ID, NULL, 8), EFAULT);
	it = timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1);
	struct itimerspec wrong = { { 0, 0 }, { 0, 1000 * MS } };
	REQUIRE_ERROR(timer_settime(it, 0, &wrong, NULL), EINVAL);
	wrong.it_value.tv_nsec = -1;
	REQUIRE_ERROR(timer_settime(it, 0, &wrong, NULL), EINVAL);
	REQUIRE_ERROR(syscall(SYS_timer_settime, it, 0, NULL, NULL), EINVAL);
	REQUIRE_ERROR(syscall(SYS_timer_settime, it, 0, 8, NULL), EFAULT);
	REQUIRE_ERROR(syscall(SYS_timer_gettime, it, 8), EFAULT);
	REQUIRE_ERROR(timer_settime((timer_t)12345, 0, &wrong, NULL), EINVAL);
}

static void *computes(void *stop)
{
	while (!*(volatile int *)stop)
		for (int i = 0; i < 2000; i++)
			sink += i;
	return NULL;
}

static void who_sleeps_on_the_time_of_the_process_wakes_when_others_used_it(void)
{
	static volatile int stop;
	pthread_t thread;
	REQUIRE(pthread_create(&thread, NULL, computes, (void *)&stop) == 0);
	int64_t before = ns_of(CLOCK_PROCESS_CPUTIME_ID);
	REQUIRE(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &(struct timespec){ 0, 50 * MS }, NULL) == 0);
	int64_t now = ns_of(CLOCK_PROCESS_CPUTIME_ID);
	REQUIRE(now - before >= 50 * MS);
	int64_t end = now + 50 * MS;
	struct timespec until = { end / (1000 * MS), end % (1000 * MS) };
	REQUIRE(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &until, NULL) == 0);
	REQUIRE(ns_of(CLOCK_PROCESS_CPUTIME_ID) >= end);
	REQUIRE(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &until, NULL) == 0);
	REQUIRE(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &until, NULL) == EINVAL);
	stop = 1;
	REQUIRE(pthread_join(thread, NULL) == 0);
}

static void a_signal_ends_a_sleep_on_the_time_of_the_process(void)
{
	handle(SIGUSR1);
	timer_t it = timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1);
	set(it, 0, 20 * MS, 0);
	struct timespec rest = { 0, 0 };
	REQUIRE(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &(struct timespec){ 50, 0 }, &rest) == EINTR);
	REQUIRE(runs == 1 && rest.tv_sec >= 49);
}

static const struct claim claims[] = {
	CLAIM(one_signal_tells_of_all_expiries_while_it_was_blocked),
	CLAIM(who_waits_for_the_signal_is_told_of_overruns_too),
	CLAIM(two_timers_of_one_signal_tell_each_for_itself),
	CLAIM(a_timer_that_is_set_anew_or_deleted_takes_its_signal_back),
	CLAIM(a_timer_on_the_time_of_the_process_expires),
	CLAIM(a_timer_on_the_time_of_a_thread_tells_that_thread),
	CLAIM(a_time_of_the_clock_can_be_named),
	CLAIM(a_timer_may_tell_nobody),
	CLAIM(bad_arguments_are_refused),
	CLAIM(who_sleeps_on_the_time_of_the_process_wakes_when_others_used_it),
	CLAIM(a_signal_ends_a_sleep_on_the_time_of_the_process),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
