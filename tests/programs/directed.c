// SPDX-License-Identifier: GPL-2.0
// Claims about signals that come from another process, or from a timer, to one thread; and about
// signals that are taken without a handler.
#define _GNU_SOURCE
#include "claims.h"
#include "handlers.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREAD_OF_PIDFD 1
#define MANY 50

static atomic_int handled, handler_tid, handler_value, target_tid, stop;
static int channel[2];

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	handler_value = info->si_value.sival_int;
	handler_tid = gettid();
	handled++;
}

static void block(int signal)
{
	sigset_t set = set_of(signal);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

static void nap(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };
	while (nanosleep(&time, &time) != 0 && errno == EINTR)
		;
}

static void wait_for(atomic_int *word, int value)
{
	for (int ms = 0; *word < value; ms++) {
		REQUIRE(ms < 20000);
		nap(1);
	}
}

/* What another process does, once the caller is where the signal is to find it. */
static pid_t later(void (*send)(pid_t process, pid_t thread), pid_t thread)
{
	pid_t process = getpid(), child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		nap(50);
		send(process, thread);
		_exit(0);
	}
	return child;
}

static void ended_well(pid_t child)
{
	int status;
	while (waitpid(child, &status, 0) != child)
		REQUIRE(errno == EINTR);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *compute(void *unused)
{
	target_tid = gettid();
	while (!stop)
		;
	return unused;
}

static void *read_nothing(void *unused)
{
	char byte;
	target_tid = gettid();
	while (!stop)
		REQUIRE(read(channel[0], &byte, 1) == -1 && errno == EINTR);
	return unused;
}

static void *sleep_long(void *unused)
{
	struct timespec hour = { 3600, 0 };
	target_tid = gettid();
	while (!stop)
		REQUIRE(nanosleep(&hour, NULL) == -1 && errno == EINTR);
	return unused;
}

static void *wait_at_word(void *unused)
{
	static int word;
	target_tid = gettid();
	while (!stop)
		REQUIRE(syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0) == -1 && errno == EINTR);
	return unused;
}

static void by_tgkill(pid_t process, pid_t thread)
{
	REQUIRE(syscall(SYS_tgkill, process, thread, SIGUSR1) == 0);
}

static void by_tkill(pid_t process, pid_t thread)
{
	(void)process;
	REQUIRE(syscall(SYS_tkill, thread, SIGUSR1) == 0);
}

static void by_pidfd(pid_t process, pid_t thread)
{
	int fd = syscall(SYS_pidfd_open, thread, process == thread ? 0 : O_EXCL);
	REQUIRE(fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, THREAD_OF_PIDFD) == 0);
}

static void by_queue(pid_t process, pid_t thread)
{
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_int = 4711;
	REQUIRE(syscall(SYS_rt_tgsigqueueinfo, process, thread, SIGUSR1, &info) == 0);
}

static void reaches(void (*send)(pid_t, pid_t), void *(*body)(void *))
{
	pthread_t thread;
	handled = stop = target_tid = handler_value = 0;
	REQUIRE(pthread_create(&thread, NULL, body, NULL) == 0);
	wait_for(&target_tid, 1);
	pid_t child = later(send, target_tid);
	wait_for(&handled, 1);
	ended_well(child);
	REQUIRE(handled == 1 && handler_tid == target_tid);
	REQUIRE(send != by_queue || handler_value == 4711);
	stop = 1;
	REQUIRE(pthread_kill(thread, SIGUSR1) == 0);
	/* The kick may come before the thread waits again: kick until it has gone. */
	struct timespec soon;
	do {
		pthread_kill(thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += 10000000;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(thread, NULL, &soon) == ETIMEDOUT);
}

static void reaches_everywhere(void (*send)(pid_t, pid_t))
{
	void *(*const bodies[])(void *) = { compute, read_nothing, sleep_long, wait_at_word };
	REQUIRE(pipe(channel) == 0);
	handle(SIGUSR1, handler, 0);
	for (int i = 0; i < 4; i++)
		reaches(send, bodies[i]);
}

static void tgkill_from_outside_reaches_its_thread(void)
{
	reaches_everywhere(by_tgkill);
}

static void tkill_from_outside_reaches_its_thread(void)
{
	reaches_everywhere(by_tkill);
}

static void pidfd_signals_from_outside_reach_their_thread(void)
{
	reaches_everywhere(by_pidfd);
}

static void queued_signals_from_outside_reach_their_thread(void)
{
	reaches_everywhere(by_queue);
}

/* A handler that comes after the threads, and one thread that blocks what another gets. */
static void late_handlers_and_masks_count(void)
{
	pthread_t thread;
	block(SIGUSR1);
	REQUIRE(pthread_create(&thread, NULL, compute, NULL) == 0);
	wait_for(&target_tid, 1);
	handle(SIGUSR1, handler, 0);
	ended_well(later(by_tgkill, getpid()));
	ended_well(later(by_tgkill, target_tid));
	nap(50);
	sigset_t pending, set = set_of(SIGUSR1);
	REQUIRE(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) && handled == 0);
	REQUIRE(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
	wait_for(&handled, 1);
	REQUIRE(handled == 1 && handler_tid == getpid());
	stop = 1;
	REQUIRE(pthread_join(thread, NULL) == 0 && handled == 1);
}

static void many_by_queue(pid_t process, pid_t thread)
{
	siginfo_t info = { .si_signo = SIGRTMIN, .si_code = SI_QUEUE };
	for (int i = 0; i < MANY; i++)
		REQUIRE(syscall(SYS_rt_tgsigqueueinfo, process, thread, SIGRTMIN, &info) == 0);
}

static void no_realtime_signal_is_lost(void)
{
	pthread_t thread;
	handle(SIGRTMIN, handler, 0);
	REQUIRE(pthread_create(&thread, NULL, compute, NULL) == 0);
	wait_for(&target_tid, 1);
	ended_well(later(many_by_queue, target_tid));
	wait_for(&handled, MANY);
	nap(20);
	REQUIRE(handled == MANY && handler_tid == target_tid);
	stop = 1;
	REQUIRE(pthread_join(thread, NULL) == 0);
}

static void send_term(pid_t process, pid_t thread)
{
	REQUIRE(syscall(SYS_tgkill, process, thread, SIGTERM) == 0);
}

static void a_deadly_signal_to_the_main_thread_ends_the_process(void)
{
	int status;
	pid_t victim = fork();
	if (victim == 0) {
		for (;;)
			;
	}
	nap(50);
	send_term(victim, victim);
	REQUIRE(waitpid(victim, &status, 0) == victim && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	victim = fork();
	if (victim == 0) {
		block(SIGTERM);
		nap(200);
		_exit(7);
	}
	nap(100);
	send_term(victim, victim);
	REQUIRE(waitpid(victim, &status, 0) == victim && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void arm(clockid_t clock, int how, int signal, int thread, timer_t *timer, long first_ms, long each_ms)
{
	struct sigevent event = { .sigev_notify = how, .sigev_signo = signal, .sigev_value.sival_int = 99 };
	event._sigev_un._tid = thread;
	struct itimerspec time = { { 0, each_ms * 1000000 }, { 0, first_ms * 1000000 } };
	REQUIRE(timer_create(clock, &event, timer) == 0 && timer_settime(*timer, 0, &time, NULL) == 0);
}

static void timer_signals_reach_their_thread(void)
{
	pthread_t thread;
	timer_t timer;
	handle(SIGRTMIN + 1, handler, 0);
	REQUIRE(pthread_create(&thread, NULL, compute, NULL) == 0);
	wait_for(&target_tid, 1);
	arm(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 1, target_tid, &timer, 20, 20);
	wait_for(&handled, 5);
	REQUIRE(handler_tid == target_tid && handler_value == 99);
	REQUIRE(timer_delete(timer) == 0);
	arm(CLOCK_REALTIME, SIGEV_THREAD_ID, SIGRTMIN + 1, getpid(), &timer, 20, 20);
	handled = 0;
	wait_for(&handled, 5);
	REQUIRE(handler_tid == getpid() && timer_delete(timer) == 0);
	stop = 1;
	REQUIRE(pthread_join(thread, NULL) == 0);
}

static atomic_int notified;

static void notify(union sigval value)
{
	notified += value.sival_int;
}

static void timers_call_functions(void)
{
	timer_t timer[3];
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify };
	struct itimerspec time = { { 0, 5000000 }, { 0, 5000000 } }, rest;
	for (int i = 0; i < 3; i++) {
		event.sigev_value.sival_int = 1 << 8 * i;
		REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer[i]) == 0);
		REQUIRE(timer_settime(timer[i], 0, &time, NULL) == 0);
	}
	for (int ms = 0; (notified & 0xff) < 5 || (notified >> 8 & 0xff) < 5 || notified >> 16 < 5; ms++) {
		REQUIRE(ms < 10000);
		nap(1);
	}
	for (int i = 0; i < 3; i++)
		REQUIRE(timer_gettime(timer[i], &rest) == 0 && timer_delete(timer[i]) == 0);
}

static void blocked_sigpipe_waits_and_can_be_taken(void)
{
	sigset_t pending, set = set_of(SIGPIPE);
	struct timespec at_once = { 0, 0 };
	siginfo_t info;
	REQUIRE(pipe(channel) == 0 && close(channel[0]) == 0);
	block(SIGPIPE);
	REQUIRE_ERROR(sigtimedwait(&set, &info, &at_once), EAGAIN);
	for (int i = 0; i < 2; i++) {
		REQUIRE_ERROR(write(channel[1], "x", 1), EPIPE);
		REQUIRE(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE));
		REQUIRE(sigtimedwait(&set, &info, &at_once) == SIGPIPE && info.si_pid == getpid());
		REQUIRE(sigpending(&pending) == 0 && !sigismember(&pending, SIGPIPE));
	}
	REQUIRE(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void blocked_sigpipe_is_handled_when_it_is_unblocked(void)
{
	sigset_t set = set_of(SIGPIPE);
	REQUIRE(pipe(channel) == 0 && close(channel[0]) == 0);
	handle(SIGPIPE, handler, 0);
	block(SIGPIPE);
	REQUIRE_ERROR(write(channel[1], "x", 1), EPIPE);
	nap(5);
	REQUIRE(handled == 0 && pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
	for (long turns = 0; handled == 0; turns++)
		REQUIRE(turns < 1000000000);
	REQUIRE(handled == 1 && handler_tid == getpid());
}

static void unblocked_sigpipe_ends_the_process(void)
{
	int status;
	REQUIRE(pipe(channel) == 0 && close(channel[0]) == 0);
	block(SIGPIPE);
	pid_t child = fork();
	if (child == 0) {
		sigset_t set = set_of(SIGPIPE);
		REQUIRE_ERROR(write(channel[1], "x", 1), EPIPE);
		nap(5);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		_exit(1);
	}
	REQUIRE(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
}

static void sigpipe_of_a_thread_with_everything_blocked_waits(void)
{
	sigset_t all, pending;
	REQUIRE(pipe(channel) == 0 && close(channel[0]) == 0);
	sigfillset(&all);
	REQUIRE(pthread_sigmask(SIG_SETMASK, &all, NULL) == 0);
	REQUIRE_ERROR(write(channel[1], "x", 1), EPIPE);
	nap(10);
	REQUIRE(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE));
}

static void by_kill(pid_t process, pid_t signal)
{
	REQUIRE(kill(process, signal) == 0);
}

static void read_signal(int fd, int signal, pid_t sender)
{
	struct signalfd_siginfo info;
	REQUIRE(read(fd, &info, sizeof(info)) == sizeof(info));
	REQUIRE(info.ssi_signo == (unsigned)signal && info.ssi_pid == (unsigned)sender);
}

static void signalfd_reads_what_is_meant_for_the_program(void)
{
	sigset_t set = set_of(SIGUSR1), pending;
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGCHLD);
	/* One with a handler, two with the default action, one of which is to ignore it. */
	handle(SIGUSR1, handler, 0);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	int fd = signalfd(-1, &set, SFD_CLOEXEC);
	REQUIRE(fd >= 0);
	for (int round = 0; round < 5; round++) {
		pid_t child = later(by_kill, round % 2 ? SIGUSR1 : SIGUSR2);
		read_signal(fd, round % 2 ? SIGUSR1 : SIGUSR2, child);
		read_signal(fd, SIGCHLD, child);
		ended_well(child);
	}
	REQUIRE(handled == 0);
	ended_well(later(by_kill, SIGUSR1));
	REQUIRE(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	REQUIRE(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
	wait_for(&handled, 1);
	REQUIRE(handled == 1);
}

static void own_signals_can_be_read_from_a_signalfd(void)
{
	sigset_t set = set_of(SIGUSR1);
	block(SIGUSR1);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	REQUIRE(fd >= 0 && kill(getpid(), SIGUSR1) == 0);
	read_signal(fd, SIGUSR1, getpid());
	REQUIRE(raise(SIGUSR1) == 0);
	read_signal(fd, SIGUSR1, getpid());
	struct signalfd_siginfo info;
	REQUIRE_ERROR(read(fd, &info, sizeof(info)), EAGAIN);
}

static void waiting_for_signals_from_outside(void)
{
	sigset_t set = set_of(SIGUSR1);
	siginfo_t info;
	block(SIGUSR1);
	for (int i = 0; i < 10; i++) {
		pid_t child = later(by_kill, SIGUSR1);
		struct timespec limit = { 10, 0 };
		REQUIRE(sigtimedwait(&set, &info, &limit) == SIGUSR1);
		REQUIRE(info.si_pid == child && info.si_code == SI_USER);
		ended_well(child);
	}
	struct timespec limit = { 0, 10000000 };
	REQUIRE_ERROR(sigtimedwait(&set, &info, &limit), EAGAIN);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(tgkill_from_outside_reaches_its_thread),
		CLAIM(tkill_from_outside_reaches_its_thread),
		CLAIM(pidfd_signals_from_outside_reach_their_thread),
		CLAIM(queued_signals_from_outside_reach_their_thread),
		CLAIM(late_handlers_and_masks_count),
		CLAIM(no_realtime_signal_is_lost),
		CLAIM(a_deadly_signal_to_the_main_thread_ends_the_process),
		CLAIM(timer_signals_reach_their_thread),
		CLAIM(timers_call_functions),
		CLAIM(blocked_sigpipe_waits_and_can_be_taken),
		CLAIM(blocked_sigpipe_is_handled_when_it_is_unblocked),
		CLAIM(unblocked_sigpipe_ends_the_process),
		CLAIM(sigpipe_of_a_thread_with_everything_blocked_waits),
		CLAIM(signalfd_reads_what_is_meant_for_the_program),
		CLAIM(own_signals_can_be_read_from_a_signalfd),
		CLAIM(waiting_for_signals_from_outside),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
