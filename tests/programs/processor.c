// SPDX-License-Identifier: GPL-2.0
// Claims about processor state that calls and signals must leave alone.
#define _GNU_SOURCE
#include "claims.h"

#include <immintrin.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef uint32_t words[8];

static volatile sig_atomic_t runs;

#define ON_REGISTERS(instruction)                                                                                         \
	instruction(0) instruction(1) instruction(2) instruction(3) instruction(4) instruction(5) instruction(6) instruction(7) \
	instruction(8) instruction(9) instruction(10) instruction(11) instruction(12) instruction(13) instruction(14) instruction(15)
#define LOAD(n) "vmovdqu 32*" #n "(%[in]), %%ymm" #n "\n"
#define STORE(n) "vmovdqu %%ymm" #n ", 32*" #n "(%[out])\n"

/* All vector registers are loaded, the call is made, and they are stored: nothing of the compiler comes in between. */
static __attribute__((target("avx2"))) int vectors_survive(long number, long a, long b)
{
	static words in[16], out[16];
	static uint32_t seed = 1;
	for (uint32_t *word = in[0]; word < in[16]; word++)
		*word = seed = seed * 1664525u + 1013904223u;
	memset(out, 0, sizeof out);
	register long in_pointer asm("r8") = (long)in;
	register long out_pointer asm("r9") = (long)out;
	asm volatile(ON_REGISTERS(LOAD) "syscall\n" ON_REGISTERS(STORE)
		     : "+a"(number)
		     : "D"(a), "S"(b), "d"(0l), [in] "r"(in_pointer), [out] "r"(out_pointer)
		     : "rcx", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
		       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
	return memcmp(in, out, sizeof in) == 0;
}

static __attribute__((target("avx2"))) void clobber(int signal)
{
	(void)signal;
	runs++;
	asm volatile("vpcmpeqd %%ymm0, %%ymm0, %%ymm0; vmovdqa %%ymm0, %%ymm1; vmovdqa %%ymm0, %%ymm7; vmovdqa %%ymm0, %%ymm15;"
		     "fninit; fldz; fldz" ::: "xmm0", "xmm1", "xmm7", "xmm15");
}

static void vector_registers_survive_calls(void)
{
	REQUIRE(__builtin_cpu_supports("avx2"));
	for (int i = 0; i < 300; i++) {
		REQUIRE(vectors_survive(SYS_lseek, 0, 0));
		REQUIRE(vectors_survive(SYS_getppid, 0, 0));
		REQUIRE(vectors_survive(SYS_getpid, 0, 0));
		REQUIRE(vectors_survive(SYS_sched_yield, 0, 0));
		if (i % 50 == 0)
			REQUIRE(vectors_survive(SYS_poll, 0, 0) && vectors_survive(SYS_nanosleep, (long)&(long[2]){ 0, 1000000 }, 0));
	}
}

static void vector_registers_survive_signals(void)
{
	REQUIRE(signal(SIGUSR1, clobber) == SIG_DFL);
	for (int i = 0; i < 50; i++)
		REQUIRE(vectors_survive(SYS_kill, getpid(), SIGUSR1) && runs == i + 1);
}

static void x87_stack_and_control_words_survive(void)
{
	uint32_t mxcsr = 0x1f80 | 0x6000, mxcsr_after;
	uint16_t control = 0x037f | 0x0c00, control_after;
	double top, below;
	REQUIRE(signal(SIGUSR1, clobber) == SIG_DFL);
	asm volatile("fldcw %0; ldmxcsr %1; fldpi; fld1" : : "m"(control), "m"(mxcsr));
	long pid, raised = SYS_kill, sought = SYS_lseek;
	asm volatile("syscall" : "=a"(pid) : "a"(SYS_getpid) : "rcx", "r11", "memory");
	asm volatile("syscall" : "+a"(sought) : "D"(0l), "S"(0l), "d"(1l) : "rcx", "r11", "memory");
	asm volatile("syscall" : "+a"(raised) : "D"(pid), "S"((long)SIGUSR1) : "rcx", "r11", "memory");
	asm volatile("fstpl %0; fstpl %1; fstcw %2; stmxcsr %3" : "=m"(top), "=m"(below), "=m"(control_after), "=m"(mxcsr_after));
	REQUIRE(raised == 0 && runs == 1);
	REQUIRE(top == 1.0 && below > 3.14159 && below < 3.1416);
	REQUIRE(control_after == control && (mxcsr_after & 0xffc0) == mxcsr);
}

static void program_starts_with_linuxs_control_words(void)
{
	uint16_t control;
	asm volatile("fstcw %0" : "=m"(control));
	REQUIRE(control == 0x37f && (_mm_getcsr() & 0xffc0) == 0x1f80);
}

static __attribute__((target("fsgsbase"))) void segment_bases_survive_calls(void)
{
	uint64_t fs = _readfsbase_u64(), from_call, *place = &from_call;
	REQUIRE(syscall(SYS_arch_prctl, 0x1003 /* GET_FS */, place) == 0 && from_call == fs);
	_writegsbase_u64(0x123456789000);
	for (int i = 0; i < 100; i++)
		syscall(i % 2 ? SYS_lseek : SYS_sched_yield, 0, 0, 0);
	REQUIRE(_readgsbase_u64() == 0x123456789000 && _readfsbase_u64() == fs);
	REQUIRE(syscall(SYS_arch_prctl, 0x1001 /* SET_GS */, 0x5000) == 0 && _readgsbase_u64() == 0x5000);
	REQUIRE_ERROR(syscall(SYS_arch_prctl, 0x1001, 0xffff800000000000), EPERM);
}

static void leave(int signal)
{
	_exit(signal == SIGSEGV ? 0 : 2);
}

static void privileged_instructions_are_faults(void)
{
	REQUIRE(signal(SIGSEGV, leave) == SIG_DFL);
	asm volatile("mov %%cr3, %%rax" ::: "rax");
	REQUIRE(!"still here");
}

static long by_gate(long number, long first, long second, long third)
{
	long result;
	register long kept asm("r12") = 0x123456789abcdef0;
	asm volatile("int $0x80" : "=a"(result), "+r"(kept) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
	REQUIRE(kept == 0x123456789abcdef0);
	return result;
}

static void the_gate_of_32_bit_calls_is_open(void)
{
	// i386's numbers of getpid, write, exit and of nothing; only halves of registers count.
	static char text[] = "through the gate";
	int ends[2];
	REQUIRE(pipe(ends) == 0);
	REQUIRE(by_gate(20, 0, 0, 0) == getpid());
	REQUIRE(by_gate(0x500000014, 0, 0, 0) == getpid());
	REQUIRE(by_gate(9999, 0, 0, 0) == -ENOSYS && by_gate(4, 999, 0, 0) == -EBADF);
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	REQUIRE(low != MAP_FAILED && memcpy(low, text, sizeof text) == low);
	REQUIRE(by_gate(4, ends[1] | 1l << 40, (long)low, sizeof text) == sizeof text);
	char read_back[sizeof text];
	REQUIRE(read(ends[0], read_back, sizeof text) == sizeof text && memcmp(read_back, text, sizeof text) == 0);
	pid_t child = fork();
	if (child == 0)
		by_gate(1, 42, 0, 0);
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(vector_registers_survive_calls),
		CLAIM(vector_registers_survive_signals),
		CLAIM(x87_stack_and_control_words_survive),
		CLAIM(program_starts_with_linuxs_control_words),
		CLAIM(segment_bases_survive_calls),
		CLAIM(privileged_instructions_are_faults),
		CLAIM(the_gate_of_32_bit_calls_is_open),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
