// SPDX-License-Identifier: GPL-2.0
// meddle PID: tries to change the limits and CPUs of another user's process, and prints what came of each attempt.
// meddle lying PROGRAM…: executes the program where Linux answers all that asks for rights with success: who trusts
// the answers of its system calls trusts this filter.
// meddle blind PROGRAM…: executes it where nobody can ask for limits.
// meddle hoard: takes more memory than it may, then computes for ever.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void install(struct sock_filter *filter, unsigned short length)
{
	struct sock_fprog program = { length, filter };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("seccomp");
		exit(9);
	}
}

static void lie(void)
{
	// Calls of the process for itself (first argument 0) are made, all others succeed without being made.
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_geteuid, 6, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	install(filter, sizeof filter / sizeof *filter);
}

static void be_blind(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prlimit64, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	install(filter, sizeof filter / sizeof *filter);
}

static void say(const char *what, long result)
{
	printf("%s: %s\n", what, result < 0 ? strerror(errno) : "done");
}

static void meddle(int victim)
{
	static const struct {
		const char *name;
		int number;
	} all[] = {
		{ "data", RLIMIT_DATA }, { "stack", RLIMIT_STACK }, { "locked", RLIMIT_MEMLOCK }, { "space", RLIMIT_AS },
		{ "time", RLIMIT_CPU },
	};
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	say("cpus", sched_setaffinity(victim, sizeof one, &one));
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct rlimit little = { 1, 1 };
		say(all[i].name, prlimit(victim, all[i].number, &little, NULL));
	}
	struct rlimit seen;
	say("look", prlimit(victim, RLIMIT_AS, NULL, &seen));
}

// What only the privileged may, for the process itself.
static void take(void)
{
	struct rlimit less = { 1 << 20, 1 << 20 }, more = { 1 << 30, 1 << 30 };
	say("less", setrlimit(RLIMIT_MEMLOCK, &less));
	say("more", setrlimit(RLIMIT_MEMLOCK, &more));
	void *memory = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("lock", mlock(memory, 4 << 20));
}

static void hoard(void)
{
	void *memory = mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	say("memory", memory == MAP_FAILED ? -1 : 0);
	for (volatile unsigned long count = 0;; count++)
		continue;
}

int main(int count, char **arguments)
{
	if (count > 2) {
		strcmp(arguments[1], "lying") == 0 ? lie() : be_blind();
		execvp(arguments[2], arguments + 2);
		perror(arguments[2]);
		return 9;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	if (strcmp(arguments[1], "hoard") == 0)
		hoard();
	meddle(atoi(arguments[1]));
	take();
	return 0;
}
