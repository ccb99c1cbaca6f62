// SPDX-License-Identifier: GPL-2.0
// Claims about PR_SET_PDEATHSIG: the parent that counts is the thread that made the child.
#define _GNU_SOURCE
#include "claims.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms)
{
	struct timespec rest = { ms / 1000, ms % 1000 * 1000000 };
	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static int wanted(void)
{
	int signal = -1;
	REQUIRE(prctl(PR_GET_PDEATHSIG, &signal) == 0);
	return signal;
}

/* A child that waits for ever, when it has asked for `signal`. */
static pid_t make_child(int signal)
{
	int ends[2];
	char byte;
	REQUIRE(pipe(ends) == 0);
	pid_t child = fork();
	if (child == 0) {
		REQUIRE(prctl(PR_SET_PDEATHSIG, signal) == 0 && wanted() == signal);
		REQUIRE(write(ends[1], "r", 1) == 1);
		for (;;)
			pause();
	}
	REQUIRE(child > 0 && read(ends[0], &byte, 1) == 1 && close(ends[0]) == 0 && close(ends[1]) == 0);
	return child;
}

static bool is_over(pid_t child, int *status)
{
	pid_t over = waitpid(child, status, WNOHANG);
	REQUIRE(over == 0 || over == child);
	return over == child;
}

static volatile int may_end;

static void *make_in_thread(void *place)
{
	*(volatile pid_t *)place = make_child(SIGTERM);
	while (!may_end)
		pause_ms(5);
	return NULL;
}

static void a_child_is_told_when_the_thread_that_made_it_ends(void)
{
	volatile pid_t child = 0;
	pthread_t thread;
	REQUIRE(pthread_create(&thread, NULL, make_in_thread, (void *)&child) == 0);
	while (!child)
		pause_ms(5);
	int status;
	pause_ms(100);
	REQUIRE(!is_over(child, &status));
	may_end = 1;
	REQUIRE(pthread_join(thread, NULL) == 0);
	for (int i = 0; !is_over(child, &status); i++) {
		REQUIRE(i < 200);
		pause_ms(10);
	}
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void *do_nothing(void *unused)
{
	(void)unused;
	return NULL;
}

static void the_end_of_other_threads_is_none_of_its_business(void)
{
	pid_t child = make_child(SIGTERM);
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		REQUIRE(pthread_create(&thread, NULL, do_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
	}
	int status;
	pause_ms(200);
	REQUIRE(!is_over(child, &status));
	REQUIRE(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
}

static void it_is_told_when_the_process_ends(void)
{
	REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	for (int kills = 0; kills < 2; kills++) {
		int ends[2], status;
		pid_t grandchild;
		REQUIRE(pipe(ends) == 0);
		pid_t child = fork();
		if (child == 0) {
			grandchild = make_child(SIGUSR1);
			REQUIRE(write(ends[1], &grandchild, sizeof grandchild) == sizeof grandchild);
			if (kills)
				kill(getpid(), SIGKILL);
			_exit(0);
		}
		REQUIRE(read(ends[0], &grandchild, sizeof grandchild) == sizeof grandchild);
		REQUIRE(waitpid(child, &status, 0) == child);
		REQUIRE(waitpid(grandchild, &status, 0) == grandchild && WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
	}
}

static void *ask(void *unused)
{
	(void)unused;
	REQUIRE(wanted() == 0 && prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && wanted() == SIGUSR1);
	return NULL;
}

static void each_thread_asks_for_itself_and_no_child_inherits_it(void)
{
	REQUIRE(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0 && wanted() == SIGUSR2);
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		REQUIRE(pthread_create(&thread, NULL, ask, NULL) == 0 && pthread_join(thread, NULL) == 0);
	}
	REQUIRE(wanted() == SIGUSR2);
	int status;
	pid_t child = fork();
	if (child == 0)
		_exit(wanted());
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE_ERROR(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
}

static const struct claim claims[] = {
	CLAIM(a_child_is_told_when_the_thread_that_made_it_ends),
	CLAIM(the_end_of_other_threads_is_none_of_its_business),
	CLAIM(it_is_told_when_the_process_ends),
	CLAIM(each_thread_asks_for_itself_and_no_child_inherits_it),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
