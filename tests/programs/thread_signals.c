// SPDX-License-Identifier: GPL-2.0
// Claims about signals for one of several threads.
#define _GNU_SOURCE
#include "claims.h"
#include "handlers.h"
#include "threads.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static int channel[2];
static atomic_int handler_tid;

static void note_tid(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)info, (void)context;
	handler_tid = gettid();
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
	handle(SIGUSR1, note_tid, 0);
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
	REQUIRE_ERROR(read(channel[0], &byte, 1), EINTR);
	return unused;
}

static void *poll_until_signal(void *unused)
{
	struct pollfd fd = { channel[0], POLLIN, 0 };
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
	REQUIRE(pipe(channel) == 0);
	handle(SIGUSR1, note_tid, 0);
	interrupt(read_until_signal);
	interrupt(poll_until_signal);
	interrupt(sleep_until_signal);
}

static void *read_through_signal(void *unused)
{
	char byte;
	ready_tid = gettid();
	REQUIRE(read(channel[0], &byte, 1) == 1 && byte == 'x');
	return unused;
}

static void a_restartable_call_of_a_thread_goes_on(void)
{
	REQUIRE(pipe(channel) == 0);
	handle(SIGUSR1, note_tid, SA_RESTART);
	pthread_t thread = start(read_through_signal, NULL);
	wait_for(&ready_tid);
	pause_ms(20);
	REQUIRE(pthread_kill(thread, SIGUSR1) == 0);
	wait_for(&handler_tid);
	REQUIRE(write(channel[1], "x", 1) == 1);
	end_of(thread);
}

static void a_signal_to_the_process_goes_where_it_is_not_blocked(void)
{
	sigset_t set = set_of(SIGUSR1);
	handle(SIGUSR1, note_tid, 0);
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
	sigset_t set = set_of(SIGALRM);
	handle(SIGALRM, note_tid, 0);
	pthread_t thread = start(spin_for_signal, NULL);
	wait_for(&ready_tid);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	alarm(1);
	end_of(thread);
	REQUIRE(handler_tid == ready_tid);
}

static void *take_signal(void *unused)
{
	sigset_t set = set_of(SIGUSR1);
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
	sigset_t set = set_of(SIGUSR1);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	pthread_t thread = start(take_signal, NULL);
	wait_for(&ready_tid);
	pause_ms(20);
	REQUIRE(kill(getpid(), SIGUSR1) == 0);
	end_of(thread);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(a_signal_reaches_the_thread_it_is_for),
		CLAIM(a_signal_interrupts_the_call_of_its_thread),
		CLAIM(a_restartable_call_of_a_thread_goes_on),
		CLAIM(a_signal_to_the_process_goes_where_it_is_not_blocked),
		CLAIM(an_alarm_reaches_a_thread_that_lets_it),
		CLAIM(a_thread_can_wait_for_signals),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
