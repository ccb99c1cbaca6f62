// SPDX-License-Identifier: GPL-2.0
// Claims about a process that is sent a thousand signals while it waits in every way there is. The sender is another
// process and sends the next one when the last one was handled, so each has to be counted.
//
// `signal_storm all` does everything in one process, between two lines it waits for.
#define _GNU_SOURCE
#include "claims.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 1000
#define NUDGE SIGHUP

static atomic_int handled;
static int acknowledge[2], silent[2];

static void handler(int signal)
{
	int before = errno;
	handled += signal != NUDGE;
	if (signal == SIGUSR1 && write(acknowledge[1], "", 1) != 1)
		_exit(99);
	errno = before;
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	REQUIRE(sigaction(signal, &action, NULL) == 0);
}

static void change(int how, int signal)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signal);
	REQUIRE(sigprocmask(how, &set, NULL) == 0);
}

/* Starts the sender. When all is sent it nudges on, as the last signal may come just before the receiver waits. */
static pid_t begin(int flags)
{
	handled = 0;
	REQUIRE(pipe2(acknowledge, O_CLOEXEC) == 0 && pipe2(silent, O_CLOEXEC) == 0);
	handle(SIGUSR1, flags);
	handle(NUDGE, 0);
	pid_t receiver = getpid(), sender = fork();
	REQUIRE(sender >= 0);
	if (sender == 0) {
		char byte;
		for (int i = 0; i < ROUNDS; i++)
			if (kill(receiver, SIGUSR1) != 0 || read(acknowledge[0], &byte, 1) != 1)
				_exit(1);
		while (kill(receiver, NUDGE) == 0)
			usleep(5000);
		_exit(0);
	}
	return sender;
}

static void end(pid_t sender)
{
	int status;
	REQUIRE(handled == ROUNDS && kill(sender, SIGKILL) == 0);
	while (waitpid(sender, &status, 0) != sender)
		REQUIRE(errno == EINTR);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && handled == ROUNDS);
	for (int i = 0; i < 2; i++)
		REQUIRE(close(acknowledge[i]) == 0 && close(silent[i]) == 0);
}

static void storm_in_a_delegated_read(void)
{
	char byte;
	pid_t sender = begin(0);
	while (handled < ROUNDS)
		REQUIRE_ERROR(read(silent[0], &byte, 1), EINTR);
	end(sender);
}

static void storm_in_a_read_that_goes_on(void)
{
	char byte;
	pid_t sender = begin(SA_RESTART);
	REQUIRE_ERROR(read(silent[0], &byte, 1), EINTR);
	end(sender);
}

static void storm_in_a_futex(void)
{
	static int word;
	pid_t sender = begin(0);
	while (handled < ROUNDS)
		REQUIRE_ERROR(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EINTR);
	end(sender);
}

static void storm_in_nanosleep(void)
{
	struct timespec hour = { 3600, 0 }, rest;
	pid_t sender = begin(SA_RESTART);
	while (handled < ROUNDS) {
		REQUIRE_ERROR(nanosleep(&hour, &rest), EINTR);
		REQUIRE(rest.tv_sec >= 3598 && rest.tv_nsec < 1000000000);
	}
	end(sender);
}

static void storm_in_waitpid(void)
{
	int status;
	pid_t sleeper = fork();
	if (sleeper == 0)
		for (;;)
			pause();
	pid_t sender = begin(0);
	while (handled < ROUNDS)
		REQUIRE_ERROR(waitpid(sleeper, &status, 0), EINTR);
	end(sender);
	REQUIRE(kill(sleeper, SIGKILL) == 0 && waitpid(sleeper, &status, 0) == sleeper && WTERMSIG(status) == SIGKILL);
}

static void storm_in_sigsuspend(void)
{
	sigset_t none;
	sigemptyset(&none);
	change(SIG_BLOCK, SIGUSR1);
	pid_t sender = begin(0);
	for (int i = 1; i <= ROUNDS; i++) {
		REQUIRE_ERROR(sigsuspend(&none), EINTR);
		REQUIRE(handled == i);
	}
	end(sender);
	change(SIG_UNBLOCK, SIGUSR1);
}

static void storm_while_computing(void)
{
	pid_t sender = begin(0);
	while (handled < ROUNDS)
		;
	end(sender);
}

/* Faster than they are handled: those of one number become one, queued ones are all there. */
static void storm_without_pause(void)
{
	handle(SIGUSR2, 0);
	handle(SIGRTMIN + 2, 0);
	handled = 0;
	pid_t receiver = getpid(), sender = fork();
	if (sender == 0) {
		union sigval value = { .sival_int = 1 };
		for (int i = 0; i < ROUNDS; i++) {
			while (sigqueue(receiver, SIGRTMIN + 2, value) != 0)
				if (errno != EAGAIN)
					_exit(1);
			usleep(i % 16 == 0);
		}
		_exit(0);
	}
	int status;
	while (waitpid(sender, &status, 0) != sender)
		REQUIRE(errno == EINTR);
	for (int ms = 0; handled < ROUNDS; ms++) {
		REQUIRE(ms < 10000);
		poll(NULL, 0, 1);
	}
	REQUIRE(status == 0 && handled == ROUNDS);
	handled = 0;
	for (int i = 0; i < ROUNDS; i++)
		REQUIRE(kill(receiver, SIGUSR2) == 0);
	REQUIRE(handled == ROUNDS);
}

static const struct claim claims[] = {
	CLAIM(storm_in_a_delegated_read),
	CLAIM(storm_in_a_read_that_goes_on),
	CLAIM(storm_in_a_futex),
	CLAIM(storm_in_nanosleep),
	CLAIM(storm_in_waitpid),
	CLAIM(storm_in_sigsuspend),
	CLAIM(storm_while_computing),
	CLAIM(storm_without_pause),
};

int main(int argc, char **argv)
{
	char line[8];
	if (argc < 2 || strcmp(argv[1], "all") != 0)
		return RUN_CLAIMS(claims, argc, argv);
	REQUIRE(write(1, "before\n", 7) == 7 && read(0, line, sizeof(line)) > 0);
	for (size_t i = 0; i < sizeof(claims) / sizeof(*claims); i++)
		claims[i].check();
	REQUIRE(write(1, "after\n", 6) == 6 && read(0, line, sizeof(line)) > 0);
	return 0;
}
