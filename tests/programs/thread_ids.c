// SPDX-License-Identifier: GPL-2.0
// Claims about ids of threads: those of threads that have ended.
#define _GNU_SOURCE
#include "claims.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 12 };

static void *tell_id(void *place)
{
	*(pid_t *)place = gettid();
	return NULL;
}

static pid_t id_of_ended_thread(void)
{
	pthread_t thread;
	pid_t id = 0;
	REQUIRE(pthread_create(&thread, NULL, tell_id, &id) == 0 && pthread_join(thread, NULL) == 0);
	return id;
}

static void threads_one_after_the_other_have_different_ids(void)
{
	pid_t ids[THREADS];
	for (int i = 0; i < THREADS; i++) {
		ids[i] = id_of_ended_thread();
		REQUIRE(ids[i] != getpid());
		for (int j = 0; j < i; j++)
			REQUIRE(ids[j] != ids[i]);
	}
}

/* Linux takes a moment to take a thread out after it was joined. */
static bool fails_soon(int (*call)(const char *), const char *path)
{
	for (int i = 0; i < 100; i++) {
		if (call(path) < 0)
			return errno == ENOENT;
		usleep(10000);
	}
	return false;
}

static int stat_it(const char *path)
{
	struct stat status;
	return stat(path, &status);
}

static int open_it(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd;
}

static int access_it(const char *path)
{
	return access(path, F_OK);
}

static void nothing_in_proc_is_left_of_a_thread_that_has_ended(void)
{
	char path[64];
	pid_t id = id_of_ended_thread();
	snprintf(path, sizeof path, "/proc/self/task/%d", id);
	REQUIRE(fails_soon(stat_it, path) && fails_soon(open_it, path) && fails_soon(access_it, path));
	snprintf(path, sizeof path, "/proc/%d/task/%d/stat", getpid(), id);
	REQUIRE(fails_soon(stat_it, path) && fails_soon(open_it, path));
	snprintf(path, sizeof path, "/proc/self/task/%d/stat", gettid());
	REQUIRE(stat_it(path) == 0 && open_it(path) >= 0);
	int entries = 0;
	DIR *directory = opendir("/proc/self/task");
	REQUIRE(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		entries += entry->d_name[0] != '.';
	REQUIRE(entries == 1);
	REQUIRE_ERROR(syscall(SYS_tgkill, getpid(), id, 0), ESRCH);
}

static const struct claim claims[] = {
	CLAIM(threads_one_after_the_other_have_different_ids),
	CLAIM(nothing_in_proc_is_left_of_a_thread_that_has_ended),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
