// SPDX-License-Identifier: GPL-2.0
// Claims about descriptors: a program has all of them, and needs none to fork or execute. `PROGRAM again` says which it
// has, and ends with 6.
#define _GNU_SOURCE
#include "claims.h"
#include "described.h"
#include <dirent.h>
#include <pthread.h>
#include <spawn.h>

static char *again[] = {"name", "again", NULL};

static void limit_to(rlim_t number)
{
	struct rlimit limit = {number, number};

	if (setrlimit(RLIMIT_NOFILE, &limit))
		say("setrlimit: %m");
}

/* Opens as many as there can be. */
static void fill(void)
{
	int last = -1, next, count = 0;

	while ((next = open("/", O_PATH)) >= 0) {
		last = next;
		count++;
	}
	say("opened %d, the last %d, then %s", count, last, strerrorname_np(errno));
}

static void *nothing(void *argument)
{
	return argument;
}

static void *fork_in_thread(void *argument)
{
	IN_CHILD("a thread's child", say("here"));
	return argument;
}

static void start_threads(void)
{
	pthread_t thread;
	void *result = NULL;
	int failed = pthread_create(&thread, NULL, nothing, "");

	say("thread %d", failed);
	if (!failed)
		pthread_join(thread, &result);
	if (pthread_create(&thread, NULL, fork_in_thread, NULL) == 0)
		pthread_join(thread, &result);
}

/* All ways to a child and to a new program. */
static void start_everything(void)
{
	int status;
	pid_t child;

	IN_CHILD("fork", say("here"); IN_CHILD("of a child", say("there")));
	child = vfork();
	if (child == 0)
		_exit(3);
	say("vfork %d", child > 0);
	if (child > 0 && waitpid(child, &status, 0) == child)
		say_end("vfork", status);
	child = vfork();
	if (child == 0) {
		execve("/proc/self/exe", again, environ);
		_exit(4);
	}
	if (child > 0 && waitpid(child, &status, 0) == child)
		say_end("vfork and exec", status);
	int failed = posix_spawn(&child, EXECUTED, NULL, NULL, again, environ);

	if (failed)
		say("posix_spawn: %s", strerrorname_np(failed));
	else if (waitpid(child, &status, 0) == child)
		say_end("posix_spawn", status);
	start_threads();
	IN_CHILD("dynamic", execl("/bin/true", "true", NULL); _exit(1));
	IN_CHILD("exec", execve(EXECUTED, again, environ); say("%m"); _exit(1));
	execve("/proc/self/exe", again, environ);
	say("exec: %s", strerrorname_np(errno));
}

static void closed_standard_descriptors_stay_closed(void)
{
	dup2(1, 9);
	setenv("REPORT_TO", "9", 1);
	for (int closed = 1; closed < 8; closed++) {
		say("closed %d", closed);
		IN_CHILD("so many", for (int number = 0; number < 3; number++) if (closed >> number & 1) close(number);
			 start_everything());
	}
}

static void no_descriptor_at_all_is_enough(void)
{
	/* What is printed comes by a pipe that has no number while it happens. */
	IN_CHILD("none", syscall(SYS_close_range, 0, ~0U, 0); pid_t child = fork(); int status;
		 if (child == 0) execl("/bin/true", "true", NULL); if (waitpid(child, &status, 0) != child || status) _exit(1);
		 child = vfork(); if (child == 0) _exit(0); if (waitpid(child, &status, 0) != child || status) _exit(2);
		 if (open("/", O_PATH) != 0) _exit(3); execl("/bin/sh", "sh", "-c", "exit 5", NULL));
}

static void a_full_table_is_enough(void)
{
	IN_CHILD("twenty", limit_to(20); fill(); start_everything());
	IN_CHILD("four", limit_to(4); fill(); start_everything());
	for (int spare = 1; spare < 5; spare++)
		IN_CHILD("with spare ones", limit_to(12); fill(); for (int i = 0; i < spare; i++) close(11 - i);
			 start_everything());
}

static void the_smallest_limits_are_enough(void)
{
	for (int limit = 3; limit >= 0; limit--) {
		say("limit %d", limit);
		IN_CHILD("so few", limit_to(limit); REPORT(open("/", O_PATH)); REPORT(dup(1)); REPORT(fcntl(1, F_DUPFD, 0));
			 start_everything());
	}
}

static void the_numbers_are_the_programs(void)
{
	struct dirent *entry;
	struct rlimit limit;

	REPORT(open("/", O_PATH));
	REPORT(open("/", O_PATH));
	static const char *const folders[] = {"/proc/self/fd", "/proc/self/fdinfo", "/proc/thread-self/fd", "/dev/fd"};

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		DIR *folder = opendir(folders[i]);

		while ((entry = readdir(folder)))
			if (*entry->d_name != '.')
				say("%s: %s", folders[i], entry->d_name);
		closedir(folder);
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	REPORT(setrlimit(RLIMIT_NOFILE, &limit));
	int wrong = 0;

	for (int number = 5; number < (int)limit.rlim_cur; number++)
		wrong += open("/", O_PATH) != number;
	say("wrong numbers: %d", wrong);
	REPORT(open("/", O_PATH));
	for (int number = 3; number < (int)limit.rlim_cur; number++)
		wrong += dup2(0, number) != number;
	say("wrong numbers: %d", wrong);
	REPORT(syscall(SYS_close_range, 3, ~0U, 0));
	REPORT(open("/", O_PATH));
	start_everything();
}

static void the_highest_number_is_the_programs(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	REPORT(setrlimit(RLIMIT_NOFILE, &limit));
	int top = limit.rlim_max - 1;

	REPORT(dup2(0, top) == top);
	REPORT(dup2(0, top + 1));
	REPORT(fcntl(0, F_DUPFD, top));
	REPORT(fcntl(0, F_DUPFD, top - 1) == top - 1);
	REPORT(dup3(0, top, O_CLOEXEC) == top);
	REPORT(dup2(0, 2147483647));
	REPORT(close(2147483647));
	REPORT(close(-1));
	start_everything();
}

static void ranges_are_closed_as_natively(void)
{
	for (int number = 3; number < 20; number++)
		dup2(0, number);
	REPORT(syscall(SYS_close_range, 15, ~0U, 4));
	say_descriptors();
	IN_CHILD("exec", execve(EXECUTED, again, environ));
	REPORT(syscall(SYS_close_range, 12, 13, 2));
	REPORT(syscall(SYS_close_range, 5, 4, 0));
	REPORT(syscall(SYS_close_range, 3, 4, 99));
	REPORT(syscall(SYS_close_range, 0x100000003, 0x100000005, 0));
	say_descriptors();
	for (int number = 3; number < 2000; number++)
		close(number);
	REPORT(open("/", O_PATH));
	IN_CHILD("exec", execve(EXECUTED, again, environ));
	dup2(1, 9);
	setenv("REPORT_TO", "9", 1);
	REPORT(syscall(SYS_close_range, 0, 8, 0));
	start_everything();
}

static const struct claim claims[] = {
	CLAIM(closed_standard_descriptors_stay_closed),
	CLAIM(no_descriptor_at_all_is_enough),
	CLAIM(a_full_table_is_enough),
	CLAIM(the_smallest_limits_are_enough),
	CLAIM(the_numbers_are_the_programs),
	CLAIM(the_highest_number_is_the_programs),
	CLAIM(ranges_are_closed_as_natively),
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "again") == 0) {
		describe(argc, argv);
		return 6;
	}
	return RUN_CLAIMS(claims, argc, argv);
}
