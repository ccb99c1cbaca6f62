// SPDX-License-Identifier: GPL-2.0
// Claims about programs that see nothing of /proc and /dev: they fork and execute all the same. The current folder is
// empty; it becomes their root, with a copy of the program as `again`, which says how it was executed, and ends with 6.
#define _GNU_SOURCE
#include "claims.h"
#include "described.h"
#include <grp.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>

#define NOBODY 65534

static char *again[] = {"name", "again", NULL};
/* The copy, as the jail names it. */
static const char *program = "/again";

static volatile sig_atomic_t signals;
static int *volatile nowhere;

static void count(int signal)
{
	(void)signal;
	signals++;
}

static void *fork_in_thread(void *argument)
{
	IN_CHILD("a thread's child", say("here"));
	return argument;
}

static void start_a_thread(void)
{
	pthread_t thread;
	int failed = pthread_create(&thread, NULL, fork_in_thread, NULL);

	if (!failed)
		pthread_join(thread, NULL);
	say("thread %d", failed);
}

static void execute_everything(void)
{
	int status, failed;
	pid_t child;

	IN_CHILD("exec", execve(program, again, environ); say("exec: %m"); _exit(1));
	child = vfork();
	if (child == 0) {
		execve(program, again, environ);
		_exit(errno);
	}
	if (child > 0 && waitpid(child, &status, 0) == child)
		say_end("vfork and exec", status);
	failed = posix_spawn(&child, program, NULL, NULL, again, environ);
	if (failed)
		say("posix_spawn: %s", strerrorname_np(failed));
	else if (waitpid(child, &status, 0) == child)
		say_end("posix_spawn", status);
	IN_CHILD("exec of nothing", execve("/nothing", again, environ); say("exec: %m"); _exit(1));
	IN_CHILD("exec of its own name", execve("/proc/self/exe", again, environ); say("exec: %m"); _exit(1));
}

static void do_everything(void)
{
	int status, *shared;
	pid_t child;

	IN_CHILD("fork", say("here"); IN_CHILD("of a child", say("there")));
	child = vfork();
	if (child == 0)
		_exit(3);
	say("vfork %d", child > 0);
	if (child > 0 && waitpid(child, &status, 0) == child)
		say_end("vfork", status);
	start_a_thread();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		say("mmap: %m");
	else
		IN_CHILD("shared memory", *shared = 7);
	say("shared %d", shared == MAP_FAILED ? -1 : *shared);
	signal(SIGALRM, count);
	alarm(0);
	raise(SIGALRM);
	say("signals %d", signals);
	REPORT(open("/proc/self/status", O_RDONLY) >= 0);
	REPORT(access("/dev/null", F_OK));
	REPORT(kill(getppid(), 0));
	IN_CHILD("killed", abort());
	IN_CHILD("faulted", *nowhere = 1);
	execute_everything();
	const char *wanted = getenv("ROUNDS");
	int ended = 0, rounds = wanted ? atoi(wanted) : 40;

	for (int round = 0; round < rounds; round++) {
		child = fork();
		if (child == 0) {
			/* Every other one executes, and is not heard. */
			close(STDOUT_FILENO);
			if (round % 2)
				execve(program, again, environ);
			_exit(1);
		}
		ended += child > 0 && waitpid(child, &status, 0) == child;
	}
	say("forks %d", ended);
	execve(program, again, environ);
	say("exec: %m");
}

static void become_nobody(void)
{
	REPORT(setgroups(0, NULL) | setgid(NOBODY) | setuid(NOBODY));
}

static void enter_root(void)
{
	copy(EXECUTED, "again", 0755);
	REPORT(chmod(".", 0755));
	REPORT(chroot("."));
	REPORT(chdir("/"));
}

static void have_own_mounts(void)
{
	copy(EXECUTED, "again", 0755);
	program = EXECUTED;
	REPORT(unshare(CLONE_NEWNS));
	REPORT(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

static void an_empty_root_is_enough(void)
{
	IN_CHILD("root", enter_root(); do_everything());
	IN_CHILD("nobody", enter_root(); become_nobody(); do_everything());
}

static void no_proc_is_enough(void)
{
	IN_CHILD("unmounted", have_own_mounts(); REPORT(umount2("/proc", MNT_DETACH)); do_everything());
	IN_CHILD("covered", have_own_mounts(); REPORT(mount("t", "/proc", "tmpfs", 0, "mode=0755")); do_everything());
	IN_CHILD("unreadable", have_own_mounts(); REPORT(mount("t", "/proc", "tmpfs", 0, "mode=0700")); become_nobody();
		 do_everything());
}

static void hidden_processes_are_enough(void)
{
	static const char *const options[] = {"hidepid=1", "hidepid=2", "hidepid=4", "subset=pid", "hidepid=2,subset=pid"};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		IN_CHILD(options[i], have_own_mounts(); REPORT(mount("p", "/proc", "proc", 0, options[i])); become_nobody();
			 do_everything());
}

static void no_devices_are_enough(void)
{
	IN_CHILD("covered", have_own_mounts(); REPORT(mount("t", "/dev", "tmpfs", 0, "mode=0755")); do_everything());
	IN_CHILD("both", have_own_mounts(); REPORT(mount("t", "/dev", "tmpfs", 0, "mode=0755"));
		 REPORT(mount("t", "/proc", "tmpfs", 0, "mode=0755")); become_nobody(); do_everything());
}

static void a_root_of_its_own_is_enough(void)
{
	IN_CHILD("pivoted", have_own_mounts(); program = "/again"; REPORT(mkdir("root", 0755));
		 REPORT(mount("t", "root", "tmpfs", 0, "mode=0755")); REPORT(chdir("root")); copy(EXECUTED, "again", 0755);
		 REPORT(syscall(SYS_pivot_root, ".", ".")); REPORT(umount2(".", MNT_DETACH)); REPORT(chdir("/"));
		 do_everything());
}

/* Gives up all rights to files but those to what is below `path`. */
static void confine_to(const char *path, unsigned long long rights)
{
	struct landlock_ruleset_attr all = {.handled_access_fs = (1ULL << 13) - 1};
	int rules = syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);

	REPORT_WHETHER(rules);
	if (path) {
		struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = open(path, O_PATH | O_CLOEXEC)};

		REPORT(syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0));
		close(rule.parent_fd);
	}
	REPORT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	REPORT(syscall(SYS_landlock_restrict_self, rules, 0));
	close(rules);
}

static void no_right_to_any_file_is_enough(void)
{
	unsigned long long run = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;

	program = EXECUTED;
	IN_CHILD("none", confine_to(NULL, 0); do_everything());
	IN_CHILD("to run it", confine_to(EXECUTED, run); do_everything());
	IN_CHILD("only to execute it", confine_to(EXECUTED, LANDLOCK_ACCESS_FS_EXECUTE); do_everything());
	IN_CHILD("nobody", become_nobody(); confine_to(EXECUTED, run); do_everything());
	IN_CHILD("twice", confine_to("/usr", run); confine_to(EXECUTED, run); do_everything());
}

static void everything_at_once_is_enough(void)
{
	struct rlimit three = {3, 3};

	IN_CHILD("all", enter_root(); become_nobody(); confine_to("/again", LANDLOCK_ACCESS_FS_EXECUTE);
		 REPORT(setrlimit(RLIMIT_NOFILE, &three)); do_everything());
}

static const struct claim claims[] = {
	CLAIM(an_empty_root_is_enough),
	CLAIM(no_proc_is_enough),
	CLAIM(hidden_processes_are_enough),
	CLAIM(no_devices_are_enough),
	CLAIM(a_root_of_its_own_is_enough),
	CLAIM(no_right_to_any_file_is_enough),
	CLAIM(everything_at_once_is_enough),
};

int main(int argc, char **argv)
{
	return RUN_CLAIMS(claims, argc, argv);
}
