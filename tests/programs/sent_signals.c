// SPDX-License-Identifier: GPL-2.0
// Claims about signals that other processes send: those that faults bring about, too, obey handlers and masks; one thread
// can be told; and as many wait as the limit says.
#define _GNU_SOURCE
#include "claims.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What parent and child tell each other. */
static struct shared {
	volatile int ready, go, thread;
	volatile sig_atomic_t caught;
} *shared;

static void share(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE(shared != MAP_FAILED);
}

static void pause_ms(long ms)
{
	struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static void until(volatile int *word)
{
	for (int ms = 0; !*word && ms < 20000; ms++)
		pause_ms(1);
	REQUIRE(*word);
}

static int status_of(pid_t child)
{
	int status;
	REQUIRE(waitpid(child, &status, 0) == child);
	return status;
}

static bool is_over(pid_t child)
{
	siginfo_t info = { 0 };
	REQUIRE(waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
	return info.si_pid == child;
}

static void note(int signal)
{
	shared->caught = signal;
}

static const int of_faults[] = { SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };
enum { FAULTS = sizeof of_faults / sizeof *of_faults };

static void block(int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

/* A child that has done what `prepare` says gets `signal`, once while it computes and once while it waits. Its status. */
static int sent_to_child(int signal, void (*prepare)(int))
{
	int status = -1;
	for (int waits = 0; waits < 2; waits++) {
		*shared = (struct shared){ 0 };
		int ends[2];
		REQUIRE(pipe(ends) == 0);
		pid_t child = fork();
		if (child == 0) {
			prepare(signal);
			shared->ready = 1;
			char byte;
			if (waits)
				while (read(ends[0], &byte, 1) != 1)
					;
			else
				while (!shared->go)
					;
			_exit(shared->caught);
		}
		until(&shared->ready);
		REQUIRE(kill(child, signal) == 0);
		pause_ms(50);
		shared->go = 1;
		REQUIRE(write(ends[1], "x", 1) == 1 && close(ends[0]) == 0 && close(ends[1]) == 0);
		int last = status_of(child);
		REQUIRE(status == -1 || status == last);
		status = last;
	}
	return status;
}

static void do_nothing(int number)
{
	(void)number;
}

static void catch(int number)
{
	REQUIRE(signal(number, note) != SIG_ERR);
}

static void ignore(int number)
{
	REQUIRE(signal(number, SIG_IGN) != SIG_ERR);
}

static void catch_and_block(int number)
{
	catch(number);
	block(number);
}

static void catch_and_ignore(int number)
{
	catch(number);
	ignore(number);
}

static void catch_and_forget(int number)
{
	catch(number);
	REQUIRE(signal(number, SIG_DFL) != SIG_ERR);
}

static void signals_of_faults_that_others_send_are_signals_like_others(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	share();
	for (int i = 0; i < FAULTS; i++) {
		int number = of_faults[i];
		REQUIRE(sent_to_child(number, catch) == number << 8);
		REQUIRE(sent_to_child(number, ignore) == 0);
		REQUIRE(sent_to_child(number, block) == 0);
		REQUIRE(sent_to_child(number, catch_and_block) == 0);
		REQUIRE(sent_to_child(number, catch_and_ignore) == 0);
		REQUIRE(sent_to_child(number, do_nothing) == number);
		REQUIRE(sent_to_child(number, catch_and_forget) == number);
	}
}

static void faults_of_the_programs_own_are_not_hidden_by_them(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	pid_t child = fork();
	if (child == 0) {
		ignore(SIGSEGV);
		*(volatile char *)8 = 1;
		_exit(0);
	}
	REQUIRE(status_of(child) == SIGSEGV);
}

static void *compute(void *mask)
{
	if (mask)
		REQUIRE(pthread_sigmask(SIG_SETMASK, mask, NULL) == 0);
	shared->thread = gettid();
	while (!shared->go)
		;
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	shared->ready = 1;
	for (;;)
		;
	return NULL;
}

/* A child whose second thread computes and blocks the signals of `mask`, if that is not NULL. */
static pid_t with_thread(sigset_t *mask)
{
	*shared = (struct shared){ 0 };
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		REQUIRE(pthread_create(&thread, NULL, compute, mask) == 0);
		pause_ms(20000);
		_exit(9);
	}
	until(&shared->thread);
	pause_ms(20);
	return child;
}

static void a_default_action_takes_effect_in_any_thread(void)
{
	share();
	pid_t child = with_thread(NULL);
	REQUIRE(syscall(SYS_tgkill, child, shared->thread, SIGTERM) == 0);
	REQUIRE(status_of(child) == SIGTERM);
}

static void a_thread_that_blocks_a_signal_does_not_die_of_it(void)
{
	share();
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pid_t child = with_thread(&set);
	REQUIRE(syscall(SYS_tgkill, child, shared->thread, SIGTERM) == 0);
	pause_ms(200);
	REQUIRE(!is_over(child));
	shared->go = 1;
	REQUIRE(status_of(child) == SIGTERM && !shared->ready);
}

static void a_thread_blocks_what_its_maker_blocks(void)
{
	share();
	*shared = (struct shared){ 0 };
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread;
		block(SIGTERM);
		REQUIRE(pthread_create(&thread, NULL, compute, NULL) == 0);
		until(&shared->ready);
		pause_ms(20000);
	}
	until(&shared->thread);
	REQUIRE(kill(child, SIGTERM) == 0 && syscall(SYS_tgkill, child, shared->thread, SIGTERM) == 0);
	pause_ms(200);
	REQUIRE(!is_over(child));
	shared->go = 1;
	REQUIRE(status_of(child) == SIGTERM);
}

/* A user of our own: nothing else of it waits. */
static void limit_signals_of_a_new_user(rlim_t limit)
{
	static uid_t user = 54321;
	REQUIRE(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){ limit, limit }) == 0);
	REQUIRE(setuid(user) == 0);
}

static const union sigval no_value;

static void as_many_signals_wait_as_the_limit_says(void)
{
	block(SIGRTMIN);
	block(SIGRTMIN + 1);
	block(SIGUSR1);
	limit_signals_of_a_new_user(5000);
	for (int i = 0; i < 5000; i++)
		REQUIRE(sigqueue(getpid(), SIGRTMIN, no_value) == 0);
	REQUIRE_ERROR(sigqueue(getpid(), SIGRTMIN, no_value), EAGAIN);
	REQUIRE_ERROR(syscall(SYS_tgkill, getpid(), gettid(), SIGRTMIN), EAGAIN);
	/* What is not queued needs no room, and kill has no error for want of it. */
	REQUIRE(sigqueue(getpid(), SIGUSR1, no_value) == 0 && kill(getpid(), SIGRTMIN + 1) == 0);
	siginfo_t info;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 1);
	REQUIRE(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_code == SI_USER && info.si_pid == 0);
	REQUIRE(sigwaitinfo(&set, &info) == SIGRTMIN + 1 && info.si_code == SI_USER && info.si_pid == 0);
	sigaddset(&set, SIGRTMIN);
	REQUIRE(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_code == SI_QUEUE && info.si_pid == getpid());
	REQUIRE(sigqueue(getpid(), SIGRTMIN, no_value) == 0);
	REQUIRE_ERROR(sigqueue(getpid(), SIGRTMIN, no_value), EAGAIN);
}

static void signals_of_all_processes_of_a_user_are_counted(void)
{
	share();
	block(SIGRTMIN);
	limit_signals_of_a_new_user(10);
	REQUIRE(sigqueue(getpid(), SIGRTMIN, no_value) == 0);
	pid_t child = fork();
	if (child == 0) {
		for (int i = 0; i < 9; i++)
			REQUIRE(sigqueue(getpid(), SIGRTMIN, no_value) == 0);
		REQUIRE_ERROR(sigqueue(getpid(), SIGRTMIN, no_value), EAGAIN);
		shared->ready = 1;
		pause_ms(20000);
		_exit(0);
	}
	until(&shared->ready);
	REQUIRE_ERROR(sigqueue(getpid(), SIGRTMIN, no_value), EAGAIN);
	REQUIRE(kill(child, SIGKILL) == 0 && status_of(child) == SIGKILL);
	for (int i = 0; i < 100 && sigqueue(getpid(), SIGRTMIN, no_value) != 0; i++)
		pause_ms(10);
	REQUIRE(sigqueue(getpid(), SIGRTMIN, no_value) == 0);
}

static void a_lower_limit_counts_from_then_on(void)
{
	block(SIGRTMIN);
	limit_signals_of_a_new_user(5);
	REQUIRE(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){ 1, 5 }) == 0);
	REQUIRE(sigqueue(getpid(), SIGRTMIN, no_value) == 0);
	REQUIRE_ERROR(sigqueue(getpid(), SIGRTMIN, no_value), EAGAIN);
	REQUIRE(setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){ 2, 5 }) == 0);
	REQUIRE(sigqueue(getpid(), SIGRTMIN, no_value) == 0);
	REQUIRE_ERROR(sigqueue(getpid(), SIGRTMIN, no_value), EAGAIN);
}

static void to_stop_and_continue_ends_a_wait_for_signals(void)
{
	share();
	pid_t child = fork();
	if (child == 0) {
		block(SIGUSR1);
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		shared->ready = 1;
		int got = sigtimedwait(&set, NULL, &(struct timespec){ 20, 0 });
		_exit(got == -1 && errno == EINTR ? 3 : 4);
	}
	until(&shared->ready);
	pause_ms(100);
	int status;
	REQUIRE(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	pause_ms(50);
	REQUIRE(kill(child, SIGCONT) == 0 && status_of(child) == 3 << 8);
}

static const struct claim claims[] = {
	CLAIM(to_stop_and_continue_ends_a_wait_for_signals),
	CLAIM(signals_of_faults_that_others_send_are_signals_like_others),
	CLAIM(faults_of_the_programs_own_are_not_hidden_by_them),
	CLAIM(a_default_action_takes_effect_in_any_thread),
	CLAIM(a_thread_that_blocks_a_signal_does_not_die_of_it),
	CLAIM(a_thread_blocks_what_its_maker_blocks),
	CLAIM(as_many_signals_wait_as_the_limit_says),
	CLAIM(signals_of_all_processes_of_a_user_are_counted),
	CLAIM(a_lower_limit_counts_from_then_on),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
