// SPDX-License-Identifier: GPL-2.0
// Claims about the names of a program's own file: `PROGRAM again` says how it was executed, and ends with 6. The current
// folder is empty.
#define _GNU_SOURCE
#include "claims.h"
#include "described.h"
#include <pthread.h>
#include <signal.h>

static char self[4096];

static void execute(const char *path)
{
	execl(path, "name", "again", path, NULL);
	say("execl %s: %s", without_numbers(path), strerrorname_np(errno));
	_exit(1);
}

static void execute_at(int directory, const char *path, int flags)
{
	char *argv[] = {"name", "again", NULL};

	syscall(SYS_execveat, directory, path, argv, environ, flags);
	say("execveat %s: %s", path, strerrorname_np(errno));
	_exit(1);
}

/* The path with its %d the process's number. */
static const char *of_process(const char *path, pid_t process)
{
	static char text[256];

	snprintf(text, sizeof(text), path, process, process);
	return text;
}

static void every_name_of_its_own_file_means_the_program(void)
{
	static const char *const names[] = {"/proc/self/exe", "/proc/thread-self/exe", "/proc/%d/exe", "/proc/%d/task/%d/exe",
		"/proc/self/../self/exe", "//proc//self/./exe", "/proc/self/root/proc/self/exe", "/proc/self/cwd/proc/self/exe"};

	REPORT(chdir("/"));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		IN_CHILD(names[i], execute(of_process(names[i], getpid())));
	IN_CHILD("of the parent", execute(of_process("/proc/%d/exe", getppid())));
	IN_CHILD("relative", REPORT(chdir("/proc/self")); execute("exe"));
	IN_CHILD("with a dot", REPORT(chdir("/proc/self")); execute("./exe"));
	IN_CHILD("from below", REPORT(chdir("/proc/self/task")); execute("../exe"));
	IN_CHILD("with a folder", REPORT(chdir("/proc")); execute("self/exe"));
}

static void links_to_its_own_file_mean_the_program(void)
{
	REPORT(symlink("/proc/self/exe", "one"));
	REPORT(symlink("one", "two"));
	REPORT(symlink("/proc/self", "own"));
	IN_CHILD("link", execute("one"));
	IN_CHILD("link to a link", execute("./two"));
	IN_CHILD("link to the folder", execute("own/exe"));
	IN_CHILD("no link is to be followed", execute_at(AT_FDCWD, "one", AT_SYMLINK_NOFOLLOW));
	IN_CHILD("nor this one", execute_at(AT_FDCWD, "/proc/self/exe", AT_SYMLINK_NOFOLLOW));
	IN_CHILD("but in a folder", execute_at(AT_FDCWD, "own/exe", 0));
	IN_CHILD("a slash behind it", execute("/proc/self/exe/"));
}

static void descriptors_of_its_own_file_mean_the_program(void)
{
	int file = open("/proc/self/exe", O_RDONLY), path = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int link = open("/proc/self/exe", O_PATH | O_NOFOLLOW | O_CLOEXEC), folder = open("/proc/self", O_PATH | O_CLOEXEC);
	char *argv[] = {"name", "again", NULL};

	IN_CHILD("fexecve", fexecve(file, argv, environ); say("%m"));
	IN_CHILD("fexecve O_PATH", fexecve(path, argv, environ); say("%m"));
	IN_CHILD("the empty path", execute_at(file, "", AT_EMPTY_PATH));
	IN_CHILD("the empty path of O_PATH", execute_at(path, "", AT_EMPTY_PATH));
	IN_CHILD("the link itself", execute_at(link, "", AT_EMPTY_PATH));
	IN_CHILD("no empty path", execute_at(file, "", 0));
	IN_CHILD("a folder", execute_at(folder, "exe", 0));
	IN_CHILD("a folder, no link", execute_at(folder, "exe", AT_SYMLINK_NOFOLLOW));
	IN_CHILD("/proc/self/fd", execute(of_process("/proc/self/fd/%d", file)));
	IN_CHILD("/proc/self/fd of O_PATH", execute(of_process("/proc/self/fd/%d", path)));
	IN_CHILD("/dev/fd", execute(of_process("/dev/fd/%d", file)));
}

static void its_own_file_cannot_be_written(void)
{
	/* A copy, for it can be written where that is wrong. */
	copy(self, "copy", 0755);
	IN_CHILD("copy", execl("./copy", "copy", "write", NULL));
	REPORT_WHETHER(open("copy", O_WRONLY));
}

static void write_own_file(void)
{
	REPORT(open("/proc/self/exe", O_WRONLY));
	REPORT(open("copy", O_RDWR));
	REPORT(truncate("copy", 0));
	IN_CHILD("a child's", REPORT(open("copy", O_RDWR | O_TRUNC)));
}

static void say_whether_same(const char *path)
{
	struct stat one, other;
	char link[4096] = "";
	ssize_t length = readlink(path, link, sizeof(link) - 1);

	if (stat(path, &one) || stat(self, &other))
		say("%s: %m", without_numbers(path));
	else
		say("%s: same %d, link %s", without_numbers(path), one.st_ino == other.st_ino && one.st_dev == other.st_dev,
		    length < 0 ? "none" : strrchr(link, '/'));
	char head[5] = "";
	int file = open(path, O_RDONLY);

	REPORT(read(file, head, 4));
	say("head %s", head + 1);
	close(file);
}

static void whoever_looks_at_its_own_file_sees_the_program(void)
{
	say_whether_same("/proc/self/exe");
	say_whether_same("/proc/thread-self/exe");
	say_whether_same(of_process("/proc/%d/exe", getpid()));
	pid_t child = fork();

	if (child == 0)
		for (;;)
			pause();
	say_whether_same(of_process("/proc/%d/exe", child));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	IN_CHILD("of the parent", say_whether_same(of_process("/proc/%d/exe", getppid())));
}

static void its_own_file_is_there_when_its_name_is_not(void)
{
	copy(self, "copy", 0755);
	IN_CHILD("renamed", execl("./copy", "copy", "rename", NULL));
	copy(self, "copy", 0755);
	IN_CHILD("replaced", execl("./copy", "copy", "replace", NULL));
	copy(self, "copy", 0755);
	IN_CHILD("unlinked", execl("./copy", "copy", "unlink", NULL));
	REPORT(access("copy", F_OK));
}

static void lose_name(const char *how)
{
	if (strcmp(how, "rename") == 0)
		REPORT(rename("copy", "other"));
	if (strcmp(how, "unlink") == 0)
		REPORT(unlink("copy"));
	if (strcmp(how, "replace") == 0) {
		REPORT_WHETHER(open("other", O_CREAT | O_RDWR, 0755));
		REPORT(rename("other", "copy"));
	}
	say_names();
	execute("/proc/self/exe");
}

static void *execute_in_thread(void *path)
{
	execute(path);
	return path;
}

static void threads_have_the_name_too(void)
{
	static const char *const names[] = {"/proc/self/exe", "/proc/thread-self/exe", "/proc/self/task/%d/exe", "/proc/%d/exe"};
	pthread_t thread;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		IN_CHILD(names[i], pthread_create(&thread, NULL, execute_in_thread, (void *)of_process(names[i], getpid()));
			 pthread_join(thread, NULL));
}

static void the_program_of_the_program_is_the_program_again(void)
{
	for (const char *count = "54321"; *count; count++)
		IN_CHILD(count, execl("/proc/self/exe", "name", "count", count, NULL));
	/* The shell is another program than its parent. */
	IN_CHILD("of another program", execl("/bin/sh", "sh", "-c", "/proc/$PPID/exe again; readlink /proc/$PPID/exe", NULL));
	IN_CHILD("by a shell's descriptor", execl("/bin/sh", "sh", "-c", "exec 5</proc/$PPID/exe; /proc/self/fd/5 again", NULL));
	/* An interpreter's own file is the interpreter's, not the script's. */
	IN_CHILD("of a shell", execl("/bin/sh", "sh", "-c", "exec /proc/self/exe -c 'echo $0; readlink /proc/$$/exe'", NULL));
}

static const struct claim claims[] = {
	CLAIM(every_name_of_its_own_file_means_the_program),
	CLAIM(links_to_its_own_file_mean_the_program),
	CLAIM(descriptors_of_its_own_file_mean_the_program),
	CLAIM(its_own_file_cannot_be_written),
	CLAIM(whoever_looks_at_its_own_file_sees_the_program),
	CLAIM(its_own_file_is_there_when_its_name_is_not),
	CLAIM(threads_have_the_name_too),
	CLAIM(the_program_of_the_program_is_the_program_again),
};

int main(int argc, char **argv)
{
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (length < 0)
		say("no own file: %m");
	if (argc == 3 && strcmp(argv[1], "count") == 0) {
		char less[8] = "";

		snprintf(less, sizeof(less), "%s", argv[2] + 1);
		say("left %s", less);
		if (*less)
			execl("/proc/self/exe", "name", "count", less, NULL);
		return *less;
	}
	if (argc == 2 && (strcmp(argv[1], "rename") == 0 || strcmp(argv[1], "unlink") == 0 || strcmp(argv[1], "replace") == 0))
		lose_name(argv[1]);
	if (argc == 2 && strcmp(argv[1], "write") == 0) {
		write_own_file();
		return 6;
	}
	if (argc > 1 && strcmp(argv[1], "again") == 0) {
		describe(argc, argv);
		return 6;
	}
	return RUN_CLAIMS(claims, argc, argv);
}
