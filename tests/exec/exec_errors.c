// SPDX-License-Identifier: GPL-2.0
// Claims about exec that fails: the error comes back to the program, which is what it was. The current folder is empty.
#define _GNU_SOURCE
#include "claims.h"
#include "described.h"
#include <elf.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>

static char *argv[] = {"name", "one", NULL};
static char program[4 << 20];
static size_t program_bytes;

/* How the file is executed in a child: an error is printed, and what it ends with. */
static void try(const char *path)
{
	IN_CHILD(path, execve(path, argv, environ); say("execve %s: %s", path, strerrorname_np(errno)); _exit(1));
}

static void try_bytes(const char *name, const void *bytes, size_t length)
{
	make(name, bytes, length, 0755);
	try(name);
	unlink(name);
}

static void try_text(const char *name, const char *text)
{
	try_bytes(name, text, strlen(text));
}

static void what_is_no_program_is_an_error(void)
{
	try("nothing");
	try("/bin/true/x");
	try(".");
	try("/dev/null");
	try("/proc/self/status");
	try("");
	make("data", "#!/bin/true\n", 12, 0644);
	try("data");
	REPORT(symlink("loop", "loop"));
	try("loop");
	REPORT(mkfifo("fifo", 0755));
	try("fifo");
	char *path = malloc(8192);

	memset(path, 'p', 8191);
	path[8191] = 0;
	errno = 0;
	say_result("a long path", execve(path, argv, environ));
	path[300] = 0;
	errno = 0;
	say_result("a long name", execve(path, argv, environ));
}

static void what_has_no_known_format_is_an_error(void)
{
	static const char zeroes[4096];

	try_text("empty", "");
	try_text("garbage", "echo hi\n");
	try_text("one byte", "x");
	try_bytes("zeroes", zeroes, sizeof(zeroes));
	try_text("for another system", "MZ\220");
	for (size_t length = 4; length < 64; length += 10)
		try_bytes("truncated", program, length);
	try_bytes("only a header", program, 64);
	try_bytes("half the program headers", program, 100);
	try_bytes("half the program", program, program_bytes / 2);
}

/* Executes the program with bytes of its header changed. */
static void with(const char *name, size_t offset, const void *bytes, size_t length)
{
	char before[64];

	memcpy(before, program + offset, length);
	memcpy(program + offset, bytes, length);
	try_bytes(name, program, program_bytes);
	memcpy(program + offset, before, length);
}

static void with_half(const char *name, size_t offset, unsigned short value)
{
	with(name, offset, &value, sizeof(value));
}

static void headers_for_other_machines_are_errors(void)
{
	with("32 bits", EI_CLASS, (char[]){ELFCLASS32}, 1);
	with("no class", EI_CLASS, (char[]){9}, 1);
	with("other byte order", EI_DATA, (char[]){ELFDATA2MSB}, 1);
	with("other version", EI_VERSION, (char[]){7}, 1);
	with("other system", EI_OSABI, (char[]){77}, 1);
	with_half("other machine", offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
	with_half("386", offsetof(Elf64_Ehdr, e_machine), EM_386);
	with_half("object", offsetof(Elf64_Ehdr, e_type), ET_REL);
	with_half("core", offsetof(Elf64_Ehdr, e_type), ET_CORE);
	with_half("no type", offsetof(Elf64_Ehdr, e_type), ET_NONE);
	with_half("odd headers", offsetof(Elf64_Ehdr, e_phentsize), 55);
	with_half("no headers", offsetof(Elf64_Ehdr, e_phnum), 0);
	with_half("many headers", offsetof(Elf64_Ehdr, e_phnum), 0xffff);
	with("headers elsewhere", offsetof(Elf64_Ehdr, e_phoff), &(Elf64_Off){1UL << 40}, 8);
	with("headers nowhere", offsetof(Elf64_Ehdr, e_phoff), &(Elf64_Off){~0UL}, 8);
}

/* The program header of that type. */
static Elf64_Phdr *header(unsigned int type)
{
	Elf64_Ehdr *file = (Elf64_Ehdr *)program;
	Elf64_Phdr *headers = (Elf64_Phdr *)(program + file->e_phoff);

	for (int i = 0; i < file->e_phnum; i++)
		if (headers[i].p_type == type)
			return &headers[i];
	say("no such program header");
	exit(1);
}

static void with_interpreter(const char *name, const char *path)
{
	static char before[4 << 20];
	Elf64_Phdr *interpreter = header(PT_INTERP);

	memcpy(before, program, program_bytes);
	strncpy(program + interpreter->p_offset, path, interpreter->p_filesz);
	try_bytes(name, program, program_bytes);
	memcpy(program, before, program_bytes);
}

static void interpreters_that_are_none_are_errors(void)
{
	program_bytes = read_file("/bin/true", program, sizeof(program));
	Elf64_Phdr *interpreter = header(PT_INTERP), before = *interpreter;

	make("i", program, 63, 0755);
	with_interpreter("short", "./i");
	make("i", "", 0, 0755);
	with_interpreter("empty", "./i");
	make("i", "this is a text that is longer than the header of a program would be.\n\n", 70, 0755);
	with_interpreter("text", "./i");
	make("i", program, 4096, 0644);
	with_interpreter("no right", "./i");
	make("i", "#!/bin/true\n", 12, 0755);
	with_interpreter("script", "./i");
	program[EI_CLASS] = ELFCLASS32;
	make("i", program, 4096, 0755);
	program[EI_CLASS] = ELFCLASS64;
	with_interpreter("32 bits", "./i");
	with_interpreter("nothing", "./absent");
	with_interpreter("no path", "");
	with_interpreter("folder", "/tmp");
	with_interpreter("not a path", "\377\376");
	static const Elf64_Xword sizes[] = {0, 1, 2, 4096, 4097};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		interpreter->p_filesz = sizes[i];
		say("a path of %lu bytes", sizes[i]);
		try_bytes("size", program, program_bytes);
	}
	*interpreter = before;
	interpreter->p_offset = 1UL << 40;
	try_bytes("elsewhere", program, program_bytes);
	*interpreter = before;
	interpreter->p_type = PT_NULL;
	try_bytes("none", program, program_bytes);
}

static void scripts_have_their_limits(void)
{
	char name[16], text[600];

	try_text("no interpreter", "#!\n");
	try_text("only spaces", "#!   \n");
	try_text("arguments", "#! /bin/echo   a  b \nx");
	try_text("no line end", "#!/bin/echo");
	try_text("carriage return", "#!/bin/echo a\r\n");
	try_text("missing", "#!/nothing\n");
	try_text("a folder", "#!/tmp\n");
	try_text("itself", "#!./itself\n");
	try_text("relative", "#!../bin/echo q\n");
	for (int length = 250; length < 262; length++) {
		snprintf(text, sizeof(text), "#!/bin/echo %0*d\n", length - 12, 7);
		try_text("long line", text);
		snprintf(text, sizeof(text), "#!/bin/%0*d\n", length - 7, 7);
		try_text("long path", text);
	}
	make("n0", "#!/bin/echo\n", 12, 0755);
	for (int depth = 1; depth < 8; depth++) {
		snprintf(name, sizeof(name), "n%d", depth);
		snprintf(text, sizeof(text), "#!n%d %d\n", depth - 1, depth);
		make(name, text, strlen(text), 0755);
		try(name);
	}
}

static void what_is_written_is_not_executed(void)
{
	char byte;
	int output[2], input[2];

	copy(EXECUTED, "program", 0755);
	int file = open("program", O_RDWR | O_CLOEXEC);

	try("program");
	REPORT(close(file));
	REPORT(pipe2(output, O_CLOEXEC) | pipe2(input, O_CLOEXEC));
	pid_t child = fork();

	if (child == 0) {
		dup2(output[1], 1);
		dup2(input[0], 0);
		execl("program", "program", "wait", NULL);
		_exit(1);
	}
	/* Its first word says that it runs. */
	close(output[1]);
	REPORT(read(output[0], &byte, 1));
	REPORT(open("program", O_WRONLY));
	REPORT(open("program", O_RDWR));
	REPORT(truncate("program", 0));
	REPORT(open("program", O_RDONLY | O_TRUNC));
	close(input[1]);
	close(input[0]);
	while (read(output[0], &byte, 1) > 0)
		;
	REPORT(waitpid(child, NULL, 0) == child);
	REPORT_WHETHER(open("program", O_WRONLY));
}

static volatile sig_atomic_t signals;

static void count(int signal)
{
	(void)signal;
	signals++;
}

static void *wait_for_end(void *descriptor)
{
	char byte;

	return (void *)read(*(int *)descriptor, &byte, 1);
}

static void after_an_error_the_program_is_what_it_was(void)
{
	int ends[2], closed = open("/", O_PATH | O_CLOEXEC);
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigset_t mask;
	pthread_t thread;
	void *result;

	strcpy(memory, "as before");
	signal(SIGUSR1, count);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	raise(SIGUSR2);
	REPORT(pipe(ends));
	pthread_create(&thread, NULL, wait_for_end, &ends[0]);
	make("bad", program, 100, 0755);
	make("text", "text", 4, 0755);
	for (int round = 0; round < 3; round++) {
		REPORT(execve("nothing", argv, environ));
		REPORT(execve("bad", argv, environ));
		REPORT(execve("text", argv, environ));
		REPORT(syscall(SYS_execve, "/bin/true", 8, environ));
		raise(SIGUSR1);
	}
	sigpending(&mask);
	say("%s, signals %d, waiting %d", memory, signals, sigismember(&mask, SIGUSR2));
	REPORT(fcntl(closed, F_GETFD));
	REPORT(close(ends[1]));
	REPORT(pthread_join(thread, &result));
	say("the thread read %ld", (long)result);
	IN_CHILD("and it forks", say("child"));
	describe(0, argv);
	execv(EXECUTED, argv);
}

static const struct claim claims[] = {
	CLAIM(what_is_no_program_is_an_error),
	CLAIM(what_has_no_known_format_is_an_error),
	CLAIM(headers_for_other_machines_are_errors),
	CLAIM(interpreters_that_are_none_are_errors),
	CLAIM(scripts_have_their_limits),
	CLAIM(what_is_written_is_not_executed),
	CLAIM(after_an_error_the_program_is_what_it_was),
};

int main(int argc, char **arguments)
{
	program_bytes = read_file(EXECUTED, program, sizeof(program));
	return RUN_CLAIMS(claims, argc, arguments);
}
