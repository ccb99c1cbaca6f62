// SPDX-License-Identifier: GPL-2.0
// Turns a process against whom it shares pages with: intruder PID ADDRESS. Has process PID, whatever it is and wants,
// map the page at ADDRESS for reading, then make it writable for itself, and writes there. Says what came of each step:
// "read R protect P write W", with the calls' results or negative errnos.
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static pid_t victim;

static void must(int condition, const char *what)
{
	if (!condition) {
		fprintf(stderr, "intruder: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static ssize_t copy(int writes, uint64_t address, void *buffer, size_t bytes)
{
	struct iovec here = { buffer, bytes }, there = { (void *)address, bytes };
	ssize_t done = writes ? process_vm_writev(victim, &here, 1, &there, 1, 0) : process_vm_readv(victim, &here, 1, &there, 1, 0);
	return done < 0 ? -errno : done;
}

/* A system call instruction in code that the victim has mapped, outside of the window. */
static uint64_t find_syscall(void)
{
	static unsigned char code[1 << 22];
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%d/maps", victim);
	FILE *maps = fopen(path, "r");
	must(maps != NULL, path);
	while (fgets(line, sizeof line, maps) != NULL) {
		uint64_t start, end;
		char rights[8];
		if (sscanf(line, "%lx-%lx %7s", &start, &end, rights) != 3 || rights[2] != 'x' || strstr(line, "mckernel-window") != NULL)
			continue;
		ssize_t bytes = copy(0, start, code, end - start < sizeof code ? end - start : sizeof code);
		for (ssize_t at = 0; at + 1 < bytes; at++)
			if (code[at] == 0x0f && code[at + 1] == 0x05)
				return start + (uint64_t)at;
	}
	must(0, "no system call instruction");
	return 0;
}

/* Has the stopped victim make a call. */
static long call(uint64_t instruction, long number, uint64_t first, uint64_t second, uint64_t third)
{
	struct user_regs_struct saved, registers;
	int status;
	must(ptrace(PTRACE_GETREGS, victim, NULL, &saved) == 0, "registers");
	registers = saved;
	registers.rip = instruction;
	registers.rax = (unsigned long long)number;
	registers.orig_rax = (unsigned long long)-1;
	registers.rdi = first, registers.rsi = second, registers.rdx = third;
	must(ptrace(PTRACE_SETREGS, victim, NULL, &registers) == 0, "registers");
	must(ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL) == 0, "step");
	must(waitpid(victim, &status, __WALL) == victim && WIFSTOPPED(status), "stop");
	must(ptrace(PTRACE_GETREGS, victim, NULL, &registers) == 0, "registers");
	must(registers.rip == instruction + 2, "the call was not made");
	must(ptrace(PTRACE_SETREGS, victim, NULL, &saved) == 0, "registers");
	return (long)registers.rax;
}

int main(int argc, char **argv)
{
	must(argc == 3, "usage: intruder PID ADDRESS");
	victim = atoi(argv[1]);
	uint64_t address = strtoull(argv[2], NULL, 0);
	char bytes[8] = "", evil[8] = "EVIL";
	int status;
	must(ptrace(PTRACE_SEIZE, victim, NULL, NULL) == 0, "seize");
	must(ptrace(PTRACE_INTERRUPT, victim, NULL, NULL) == 0, "interrupt");
	must(waitpid(victim, &status, __WALL) == victim && WIFSTOPPED(status), "stop");
	uint64_t instruction = find_syscall();
	ssize_t before = copy(0, address, bytes, sizeof bytes);
	long protected = call(instruction, SYS_mprotect, address & ~4095ull, 4096, PROT_READ | PROT_WRITE);
	ssize_t written = copy(1, address, evil, 4);
	printf("read %zd %.8s protect %ld write %zd\n", before, bytes, protected, written);
	must(ptrace(PTRACE_DETACH, victim, NULL, NULL) == 0, "detach");
	return 0;
}
