// SPDX-License-Identifier: GPL-2.0
// Claims about user namespaces, which Linux gives only to a process with one thread: to the program itself, to a child
// from its beginning, and to one that goes into another's.
#define _GNU_SOURCE
#include "claims.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whom a namespace does not know. */
#define NOBODY 65534

/* What a child ends with if it could do all. */
#define DONE 7

static void put(pid_t process, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", process, file);
	int map = open(path, O_WRONLY);

	REQUIRE(map >= 0);
	REQUIRE(write(map, text, strlen(text)) == (ssize_t)strlen(text));
	close(map);
}

/* Whoever `process` is outside, it is root in its namespace. */
static void make_root(pid_t process)
{
	put(process, "uid_map", "0 0 1");
	put(process, "setgroups", "deny");
	put(process, "gid_map", "0 0 1");
}

static void require_done(pid_t child)
{
	int status;

	REQUIRE(child > 0);
	REQUIRE(waitpid(child, &status, 0) == child);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == DONE);
}

/* Does the rest of the claim in a child, and goes on here once that has done all. */
static int in_child(void)
{
	pid_t child = fork();

	if (child)
		require_done(child);
	return child == 0;
}

static void enter_own(void)
{
	REQUIRE(unshare(CLONE_NEWUSER) == 0);
	REQUIRE(getuid() == NOBODY && geteuid() == NOBODY && getgid() == NOBODY);
	make_root(getpid());
	REQUIRE(getuid() == 0 && getegid() == 0);
}

static void a_program_with_one_thread_gets_one(void)
{
	if (!in_child())
		return;
	enter_own();
	REQUIRE(unshare(CLONE_NEWUTS) == 0);
	REQUIRE(sethostname("inside", 6) == 0);
	/* And one in that. */
	REQUIRE(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0);
	REQUIRE(getuid() == NOBODY);
	_exit(DONE);
}

static volatile sig_atomic_t caught;

static void catch(int signal)
{
	caught = signal;
}

static void *namespace_of_thread(void *text)
{
	return (void *)readlink("/proc/thread-self/ns/user", text, 64);
}

static void signals_and_threads_are_as_before(void)
{
	struct sigaction action = {.sa_handler = catch};
	char own[64] = "", of_thread[64] = "", byte;
	pthread_t thread;
	int ends[2];

	if (!in_child())
		return;
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	enter_own();
	kill(getpid(), SIGUSR1);
	REQUIRE(caught == SIGUSR1);
	REQUIRE(pipe(ends) == 0);
	alarm(1);
	REQUIRE_ERROR(read(ends[0], &byte, 1), EINTR);
	REQUIRE(caught == SIGALRM);
	REQUIRE(pthread_create(&thread, NULL, namespace_of_thread, of_thread) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	REQUIRE(readlink("/proc/self/ns/user", own, sizeof(own) - 1) > 0);
	REQUIRE(strcmp(own, of_thread) == 0);
	if (in_child())
		_exit(getuid() == 0 ? DONE : 1);
	_exit(DONE);
}

static void *wait_for_end(void *end)
{
	char byte;

	return (void *)read(*(int *)end, &byte, 1);
}

static void *try_often(void *refused)
{
	for (int i = 0; i < 5; i++)
		*(int *)refused += unshare(CLONE_NEWUSER) == -1 && errno == EINVAL;
	return refused;
}

static void threads_that_ask_at_once_are_refused_and_hear_signals(void)
{
	struct sigaction action = {.sa_handler = catch, .sa_flags = SA_RESTART};
	int refused[4] = {0};
	pthread_t threads[4];

	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, try_often, &refused[i]) == 0);
	for (int i = 0; i < 4; i++) {
		REQUIRE(pthread_join(threads[i], NULL) == 0);
		/* The last ones may be alone with the thread that waits, but never without it. */
		REQUIRE(refused[i] == 5);
	}
	pid_t child = fork();

	if (child == 0)
		_exit(kill(getppid(), SIGUSR1) == 0 ? DONE : 1);
	require_done(child);
	for (int i = 0; i < 1000 && caught != SIGUSR1; i++)
		usleep(10000);
	REQUIRE(caught == SIGUSR1);
}

static void a_second_thread_keeps_it_from_that(void)
{
	pthread_t thread;
	int ends[2];

	if (!in_child())
		return;
	REQUIRE(pipe(ends) == 0);
	REQUIRE(pthread_create(&thread, NULL, wait_for_end, &ends[0]) == 0);
	REQUIRE_ERROR(unshare(CLONE_NEWUSER), EINVAL);
	close(ends[1]);
	REQUIRE(pthread_join(thread, NULL) == 0);
	/* Who is joined has done its last, and is not gone yet. */
	for (int tries = 0; unshare(CLONE_NEWUSER) != 0; tries++) {
		REQUIRE(errno == EINVAL && tries < 1000);
		usleep(1000);
	}
	REQUIRE(getuid() == NOBODY);
	_exit(DONE);
}

static void a_child_begins_in_one(void)
{
	int ends[2];
	char byte;

	REQUIRE(pipe(ends) == 0);
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0);

	if (child == 0) {
		close(ends[1]);
		REQUIRE(read(ends[0], &byte, 1) == 0);
		REQUIRE(getuid() == 0);
		REQUIRE(sethostname("inside", 6) == 0);
		_exit(DONE);
	}
	REQUIRE(child > 0);
	make_root(child);
	close(ends[0]);
	close(ends[1]);
	require_done(child);
}

static void a_child_is_the_first_of_a_namespace(void)
{
	static const int flags[] = {CLONE_NEWPID, CLONE_NEWPID | CLONE_NEWUSER, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS};

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		pid_t child = (pid_t)syscall(SYS_clone, flags[i] | SIGCHLD, 0, NULL, NULL, 0);

		if (child == 0) {
			REQUIRE(getpid() == 1 && getppid() == 0);
			if (in_child())
				_exit(getpid() > 1 && getppid() == 1 ? DONE : 1);
			_exit(DONE);
		}
		require_done(child);
		REQUIRE(child > 1 && getpid() != 1);
	}
}

static void one_goes_into_that_of_another(void)
{
	int ready[2], ends[2];
	char path[64], byte;

	REQUIRE(pipe(ready) == 0 && pipe(ends) == 0);
	pid_t child = fork();

	if (child == 0) {
		close(ends[1]);
		enter_own();
		REQUIRE(write(ready[1], "x", 1) == 1);
		(void)!read(ends[0], &byte, 1);
		_exit(DONE);
	}
	REQUIRE(read(ready[0], &byte, 1) == 1);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
	if (in_child()) {
		int other = open(path, O_RDONLY), own = open("/proc/self/ns/user", O_RDONLY);

		REQUIRE_ERROR(setns(own, CLONE_NEWUSER), EINVAL);
		REQUIRE(setns(other, CLONE_NEWUSER) == 0);
		REQUIRE(getuid() == 0);
		REQUIRE_ERROR(setns(own, 0), EPERM);
		_exit(DONE);
	}
	close(ends[1]);
	close(ends[0]);
	require_done(child);
}

static const struct claim claims[] = {
	CLAIM(a_program_with_one_thread_gets_one),
	CLAIM(signals_and_threads_are_as_before),
	CLAIM(threads_that_ask_at_once_are_refused_and_hear_signals),
	CLAIM(a_second_thread_keeps_it_from_that),
	CLAIM(a_child_begins_in_one),
	CLAIM(a_child_is_the_first_of_a_namespace),
	CLAIM(one_goes_into_that_of_another),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
