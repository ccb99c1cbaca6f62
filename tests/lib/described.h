/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs that execute, fork and use up descriptors share. They print what happens; the script compares
 * what native Linux has them print. Nothing that differs from run to run is printed: numbers of three digits and more
 * in names are processes.
 *
 * The lines go to the descriptor that $REPORT_TO names, else to standard output, each by one write, so that a fork
 * repeats none.
 */
#ifndef DESCRIBED_H
#define DESCRIBED_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A program that says how it was executed. */
#define EXECUTED "/usr/local/lib/mckernel-tests/executed"

static void say(const char *format, ...)
{
	const char *to = getenv("REPORT_TO");
	char line[1024];
	va_list arguments;

	va_start(arguments, format);
	int length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length] = '\n';
	if (write(to ? atoi(to) : 1, line, length + 1) < 0)
		_exit(99);
}

static inline void say_result(const char *what, long result)
{
	if (result == -1)
		say("%s: %s", what, strerrorname_np(errno));
	else
		say("%s: %ld", what, result);
}

/* Prints a call and its value or error. */
#define REPORT(call)                                        \
	do {                                                \
		errno = 0;                                  \
		long result_ = (long)(call);                \
		say_result(#call, result_);                 \
	} while (0)

/* Prints a call and whether it has worked, for values that nobody knows beforehand. */
#define REPORT_WHETHER(call)                                \
	do {                                                \
		errno = 0;                                  \
		long result_ = (long)(call);                \
		say_result(#call, result_ == -1 ? -1 : 0);  \
	} while (0)

static inline void say_end(const char *what, int status)
{
	if (WIFEXITED(status))
		say("%s: exit %d", what, WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		say("%s: signal %d", what, WTERMSIG(status));
	else
		say("%s: status %x", what, status);
}

/* Runs the statements in a child, and prints how it ends. */
#define IN_CHILD(name, ...)                                                       \
	do {                                                                      \
		pid_t child_ = fork();                                            \
		if (child_ == 0) {                                                \
			__VA_ARGS__;                                              \
			_exit(0);                                                 \
		}                                                                 \
		int status_ = 0;                                                  \
		if (child_ < 0)                                                   \
			say("%s: fork: %s", name, strerrorname_np(errno));        \
		else if (waitpid(child_, &status_, 0) == child_)                  \
			say_end(name, status_);                                   \
		else                                                              \
			say("%s: wait: %s", name, strerrorname_np(errno));        \
	} while (0)

/* The text without the numbers of processes, in one of a few buffers. */
static inline const char *without_numbers(const char *text)
{
	static char buffers[4][256];
	static unsigned int next;
	char *buffer = buffers[next++ % 4], *out = buffer;

	while (*text && out < buffer + 250) {
		size_t digits = strspn(text, "0123456789");

		if (digits >= 3) {
			*out++ = 'N';
			text += digits;
		} else {
			*out++ = *text++;
		}
	}
	*out = 0;
	return buffer;
}

static inline void say_arguments(int argc, char **argv)
{
	say("argc %d, executed as %s", argc, without_numbers((const char *)getauxval(AT_EXECFN)));
	for (int i = 0; i < argc && i < 8; i++)
		say("argument %d: %.100s", i, without_numbers(argv[i]));
	for (char **variable = environ; *variable; variable++)
		if (strncmp(*variable, "MC", 2) == 0 || strncmp(*variable, "LD_", 3) == 0)
			say("environment: %.100s", *variable);
}

static inline void say_names(void)
{
	char path[256] = "", name[17] = "";
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length < 0 ? 0 : length] = 0;
	prctl(PR_GET_NAME, name);
	say("exe %s, name %s", length < 0 ? strerrorname_np(errno) : without_numbers(path), without_numbers(name));
}

static inline void say_credentials(void)
{
	unsigned int header[2] = {0x20080522, 0}, sets[6] = {0};
	uid_t user[3];
	gid_t group[3];

	getresuid(&user[0], &user[1], &user[2]);
	getresgid(&group[0], &group[1], &group[2]);
	syscall(SYS_capget, header, sets);
	say("users %d %d %d, groups %d %d %d and %d more", user[0], user[1], user[2], group[0], group[1], group[2], getgroups(0, NULL));
	say("auxv: %lu %lu %lu %lu, secure %lu", getauxval(AT_UID), getauxval(AT_EUID), getauxval(AT_GID), getauxval(AT_EGID),
	    getauxval(AT_SECURE));
	say("capabilities %x.%x %x.%x %x.%x, ambient net_raw %d", sets[0], sets[3], sets[1], sets[4], sets[2], sets[5],
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 13, 0, 0));
	say("dumpable %d, keepcaps %d, no_new_privs %d, securebits %x", prctl(PR_GET_DUMPABLE), prctl(PR_GET_KEEPCAPS),
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), prctl(PR_GET_SECUREBITS));
}

/* The numbers that are open, and the first that is free. */
static inline void say_descriptors(void)
{
	char list[512] = "";
	struct rlimit limit = {64, 64};

	getrlimit(RLIMIT_NOFILE, &limit);
	for (int number = 0; number < 1100 && strlen(list) < 480; number++) {
		int flags = fcntl(number, F_GETFD);

		if (flags >= 0)
			sprintf(list + strlen(list), " %d%s", number, flags & FD_CLOEXEC ? "c" : "");
	}
	say("limit %lu, open%s", (unsigned long)limit.rlim_cur, list);
	int first = open("/", O_PATH);

	say_result("the first free", first);
	if (first >= 0)
		close(first);
}

/* Makes the file `path` of the bytes. */
static inline void make(const char *path, const void *bytes, size_t length, mode_t mode)
{
	int file = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0700);

	if (write(file, bytes, length) != (ssize_t)length || fchmod(file, mode) || close(file))
		say("make %s: %m", path);
}

/* Reads the beginning of a file. */
static inline size_t read_file(const char *path, char *bytes, size_t most)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = read(file, bytes, most);

	close(file);
	return length < 0 ? 0 : length;
}

static inline void copy(const char *from, const char *to, mode_t mode)
{
	static char bytes[4 << 20];

	make(to, bytes, read_file(from, bytes, sizeof(bytes)), mode);
}

static inline void describe(int argc, char **argv)
{
	say_arguments(argc, argv);
	say_names();
	say_credentials();
	say_descriptors();
}

#endif
