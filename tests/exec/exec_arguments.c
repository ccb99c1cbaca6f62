// SPDX-License-Identifier: GPL-2.0
// Claims about arguments and environment of exec: `PROGRAM count` says how many there are.
#define _GNU_SOURCE
#include "claims.h"
#include "described.h"
#include <sys/mman.h>

#define KIB 1024L
#define MIB (1024 * KIB)
/* The longest string, with its end (MAX_ARG_STRLEN). */
#define LONGEST (128 * KIB)

static char *count_arguments[] = {"name", "count", NULL};
static char *nothing[] = {NULL};

static int count(int argc, char **argv)
{
	size_t bytes = 0, variables = 0;

	for (int i = 0; i < argc; i++)
		bytes += strlen(argv[i]);
	while (environ[variables])
		bytes += strlen(environ[variables++]);
	say("argc %d, variables %zu, bytes %zu, last %.9s", argc, variables, bytes, argc ? argv[argc - 1] : "");
	return argc == 1 && !*argv[0] ? 7 : 6;
}

static void execute(char **argv, char **variables)
{
	execve("/proc/self/exe", argv, variables);
	say("execve: %s", strerrorname_np(errno));
	_exit(1);
}

static void limit_stack(rlim_t bytes)
{
	struct rlimit limit = {bytes, RLIM_INFINITY};

	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = bytes;
	if (setrlimit(RLIMIT_STACK, &limit))
		say("setrlimit: %m");
}

static char *text(size_t length)
{
	char *text = malloc(length + 1);

	memset(text, 'a', length);
	text[length] = 0;
	return text;
}

/* Arguments, or variables, that are `bytes` long altogether, in strings of at most `each`. */
static char **strings(size_t bytes, size_t each)
{
	char **strings = calloc(bytes / each + 4, sizeof(*strings));
	size_t used = 2;

	strings[0] = "name";
	strings[1] = "count";
	for (; bytes > each; bytes -= each)
		strings[used++] = text(each - 1);
	strings[used] = text(bytes - 1);
	return strings;
}

static void missing_arguments_are_an_empty_name(void)
{
	IN_CHILD("no environment", execute(count_arguments, NULL));
	IN_CHILD("empty environment", execute(count_arguments, nothing));
	IN_CHILD("empty arguments", execute(nothing, nothing));
	IN_CHILD("no arguments", execute(NULL, nothing));
	IN_CHILD("empty strings", execute((char *[]){"", "count", "", "", NULL}, (char *[]){"", "=", "A", NULL}));
}

static void one_string_is_as_long_as_linux_allows(void)
{
	IN_CHILD("longest argument", execute((char *[]){"name", "count", text(LONGEST - 1), NULL}, nothing));
	IN_CHILD("too long argument", execute((char *[]){"name", "count", text(LONGEST), NULL}, nothing));
	IN_CHILD("longest variable", execute(count_arguments, (char *[]){text(LONGEST - 1), NULL}));
	IN_CHILD("too long variable", execute(count_arguments, (char *[]){text(LONGEST), NULL}));
	IN_CHILD("longest name", execute((char *[]){text(LONGEST - 1), "count", NULL}, nothing));
}

static void all_strings_have_a_quarter_of_the_stack(void)
{
	static const rlim_t stacks[] = {64 * KIB, 512 * KIB, 1 * MIB, 8 * MIB, 20 * MIB, 64 * MIB, RLIM_INFINITY};

	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		rlim_t room = stacks[i] / 4 < 6 * MIB ? stacks[i] / 4 : 6 * MIB;

		if (room < 128 * KIB)
			room = 128 * KIB;
		say("stack %ld", (long)stacks[i]);
		IN_CHILD("nearly full", limit_stack(stacks[i]); execute(strings(room - 8 * KIB, 100000), nothing));
		IN_CHILD("too full", limit_stack(stacks[i]); execute(strings(room + 8 * KIB, 100000), nothing));
		IN_CHILD("variables", limit_stack(stacks[i]);
			 execute(count_arguments, strings(room - 8 * KIB, 100000)));
		IN_CHILD("many short ones", limit_stack(stacks[i]); execute(strings(room / 9 * 5, 10), nothing));
		IN_CHILD("too many short ones", limit_stack(stacks[i]); execute(strings(room / 9 * 11, 10), nothing));
	}
}

/* Whether exec has room for so many bytes. */
static int fits(size_t bytes)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		limit_stack(1 * MIB);
		char **argv = strings(bytes, 100000);

		argv[1] = "quiet";
		execve("/proc/self/exe", argv, nothing);
		_exit(1);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 6;
}

static void the_last_byte_that_fits_is_the_same(void)
{
	size_t fitting = 200 * KIB, not = 300 * KIB;

	while (not - fitting > 1) {
		size_t middle = (fitting + not) / 2;

		*(fits(middle) ? &fitting : &not) = middle;
	}
	say("%zu bytes fit", fitting);
}

static void bad_pointers_are_errors(void)
{
	char *bad = (char *)8, *kernel = (char *)(1UL << 63);
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(page + 4096, 4096);
	memset(page, '/', 4096);
	REPORT(syscall(SYS_execve, bad, count_arguments, nothing));
	REPORT(syscall(SYS_execve, NULL, count_arguments, nothing));
	REPORT(syscall(SYS_execve, kernel, count_arguments, nothing));
	REPORT(syscall(SYS_execve, page, count_arguments, nothing));
	REPORT(syscall(SYS_execve, "/nothing", bad, nothing));
	REPORT(syscall(SYS_execve, "/bin/true", bad, nothing));
	REPORT(syscall(SYS_execve, "/bin/true", kernel, nothing));
	REPORT(syscall(SYS_execve, "/bin/true", page + 4096 - 8, nothing));
	REPORT(syscall(SYS_execve, "/bin/true", ((char *[]){"name", bad, NULL}), nothing));
	REPORT(syscall(SYS_execve, "/bin/true", ((char *[]){"name", kernel, NULL}), nothing));
	REPORT(syscall(SYS_execve, "/bin/true", ((char *[]){"name", page, NULL}), nothing));
	REPORT(syscall(SYS_execve, "/bin/true", count_arguments, bad));
	REPORT(syscall(SYS_execve, "/bin/true", count_arguments, ((char *[]){bad, NULL})));
	/* Strings at the end of a page, and in memory that nobody has touched. */
	strcpy(page + 4096 - 6, "count");
	IN_CHILD("the last bytes", execute((char *[]){"name", page + 4096 - 6, NULL}, nothing));
	char *fresh = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	IN_CHILD("fresh memory", execute((char *[]){"name", "count", fresh, NULL}, nothing));
	IN_CHILD("of a file", execute((char *[]){"name", "count", (char *)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE,
		open("/etc/hostname", O_RDONLY), 0), NULL}, nothing));
}

static const struct claim claims[] = {
	CLAIM(missing_arguments_are_an_empty_name),
	CLAIM(one_string_is_as_long_as_linux_allows),
	CLAIM(all_strings_have_a_quarter_of_the_stack),
	CLAIM(the_last_byte_that_fits_is_the_same),
	CLAIM(bad_pointers_are_errors),
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "quiet") == 0)
		return 6;
	if ((argc > 1 && strcmp(argv[1], "count") == 0) || (argc == 1 && !*argv[0]))
		return count(argc, argv);
	return RUN_CLAIMS(claims, argc, argv);
}
