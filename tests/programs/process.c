// SPDX-License-Identifier: GPL-2.0
// Claims about what a program finds when it starts, about time, waiting and random numbers.
#define _GNU_SOURCE
#include "claims.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static char **arguments;
static int argument_count;

static int64_t elapsed_ns(const struct timespec *from)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - from->tv_sec) * 1000000000l + now.tv_nsec - from->tv_nsec;
}

static struct timespec now(void)
{
	struct timespec t;
	REQUIRE(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return t;
}

static int about_20_ms(int64_t ns)
{
	return ns >= 20000000 && ns < 1000000000;
}

static void initial_stack_has_linuxs_layout(void)
{
	REQUIRE(((long *)arguments)[-1] == argument_count && arguments[argument_count] == NULL);
	REQUIRE(arguments + argument_count + 1 == environ && ((uintptr_t)(arguments - 1) & 15) == 0);
	char **end = environ;
	while (*end)
		end++;
	ElfW(auxv_t) *entry = (void *)(end + 1);
	REQUIRE((char *)arguments < arguments[0] && arguments[0] < arguments[1] && arguments[1] < environ[0]);
	for (; entry->a_type != AT_NULL; entry++)
		REQUIRE(entry->a_type == AT_HWCAP /* glibc's own idea */ || getauxval(entry->a_type) == entry->a_un.a_val);
	REQUIRE((char *)entry < (char *)getauxval(AT_RANDOM) && getauxval(AT_RANDOM) < (uintptr_t)arguments[0]);
	char *file_name = (char *)getauxval(AT_EXECFN);
	REQUIRE(file_name > end[-1] && strcmp(file_name, arguments[0]) == 0);
	REQUIRE((((uintptr_t)file_name + strlen(file_name) + 1 + 8 + 4095) & ~4095ul) - (uintptr_t)file_name < 8192);
}

static void auxiliary_vector_describes_the_program(void)
{
	extern const ElfW(Ehdr) __ehdr_start;
	const ElfW(Ehdr) *vdso = (void *)getauxval(AT_SYSINFO_EHDR), *interpreter = (void *)getauxval(AT_BASE);
	REQUIRE(getauxval(AT_PHDR) == (uintptr_t)&__ehdr_start + __ehdr_start.e_phoff);
	REQUIRE(getauxval(AT_PHNUM) == __ehdr_start.e_phnum && getauxval(AT_PHENT) == sizeof(ElfW(Phdr)));
	REQUIRE(getauxval(AT_ENTRY) == (uintptr_t)&__ehdr_start + __ehdr_start.e_entry);
	REQUIRE(vdso && memcmp(vdso->e_ident, ELFMAG, SELFMAG) == 0);
	REQUIRE(interpreter && memcmp(interpreter->e_ident, ELFMAG, SELFMAG) == 0);
	REQUIRE(getauxval(AT_PAGESZ) == 4096 && getauxval(AT_UID) == getuid() && getauxval(AT_EGID) == getegid());
	REQUIRE(getauxval(AT_SECURE) == 0 && strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
	uint64_t random[2];
	memcpy(random, (void *)getauxval(AT_RANDOM), 16);
	REQUIRE(random[0] && random[1] && random[0] != random[1]);
}

static void program_sees_the_promised_processors(void)
{
	cpu_set_t set;
	unsigned cpu = 4711;
	CPU_ZERO(&set);
	REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
	REQUIRE(getcpu(&cpu, NULL) == 0 && CPU_ISSET(cpu, &set));
	REQUIRE(sched_getcpu() >= 0 && CPU_ISSET(sched_getcpu(), &set));
}

static void processors_are_kept_over_exec(void)
{
	cpu_set_t all, last;
	REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0 && CPU_COUNT(&all) > 1);
	int cpu = CPU_SETSIZE - 1;
	while (!CPU_ISSET(cpu, &all))
		cpu--;
	CPU_ZERO(&last);
	CPU_SET(cpu, &last);
	REQUIRE(sched_setaffinity(0, sizeof last, &last) == 0);
	char look[80];
	snprintf(look, sizeof look, "import os; exit(os.sched_getaffinity(0) != {%d})", cpu);
	execl("/usr/bin/python3", "python3", "-c", look, (char *)0);
	REQUIRE(0);
}

static void limits_can_be_read_and_set(void)
{
	const int kinds[] = { RLIMIT_STACK, RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_CORE, RLIMIT_DATA, RLIMIT_FSIZE };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct rlimit before, after;
		REQUIRE(getrlimit(kinds[i], &before) == 0 && before.rlim_cur <= before.rlim_max);
		REQUIRE(setrlimit(kinds[i], &before) == 0 && getrlimit(kinds[i], &after) == 0);
		REQUIRE(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max);
	}
	struct rlimit few = { 3, 3 };
	REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
	REQUIRE_ERROR(open("/", O_RDONLY), EMFILE);
}

static void clocks_agree_with_linuxs(void)
{
	const int clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW };
	for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++)
		for (int round = 0; round < 50; round++) {
			struct timespec t[3];
			REQUIRE(syscall(SYS_clock_gettime, clocks[i], &t[0]) == 0 && clock_gettime(clocks[i], &t[1]) == 0);
			REQUIRE(syscall(SYS_clock_gettime, clocks[i], &t[2]) == 0);
			for (int k = 1; k < 3; k++)
				REQUIRE(t[k].tv_sec > t[k - 1].tv_sec ||
					(t[k].tv_sec == t[k - 1].tv_sec && t[k].tv_nsec >= t[k - 1].tv_nsec));
			REQUIRE(t[2].tv_sec - t[0].tv_sec <= 1 && t[1].tv_nsec < 1000000000);
		}
	REQUIRE_ERROR(clock_gettime(999, &(struct timespec){ 0 }), EINVAL);
}

static void time_never_runs_backwards(void)
{
	struct timespec last = now();
	for (int i = 0; i < 200000; i++) {
		struct timespec t = now();
		REQUIRE(t.tv_sec > last.tv_sec || (t.tv_sec == last.tv_sec && t.tv_nsec >= last.tv_nsec));
		last = t;
	}
}

static void sleeping_lasts_as_long_as_told(void)
{
	const struct timespec wait = { .tv_nsec = 20000000 };
	struct timespec start = now();
	REQUIRE(nanosleep(&wait, NULL) == 0 && about_20_ms(elapsed_ns(&start)));
	start = now();
	struct timespec until = start;
	until.tv_nsec += 20000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	REQUIRE(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0 && about_20_ms(elapsed_ns(&start)));
}

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, operation, value, timeout, NULL, FUTEX_BITSET_MATCH_ANY);
}

static void futex_wait_times_out(void)
{
	uint32_t word = 5;
	const struct timespec wait = { .tv_nsec = 20000000 };
	struct timespec start = now(), until;
	REQUIRE_ERROR(futex(&word, FUTEX_WAIT_PRIVATE, 5, &wait), ETIMEDOUT);
	REQUIRE(about_20_ms(elapsed_ns(&start)));
	REQUIRE(clock_gettime(CLOCK_REALTIME, &until) == 0);
	until.tv_nsec += 20000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	start = now();
	REQUIRE_ERROR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 5, &until), ETIMEDOUT);
	REQUIRE(elapsed_ns(&start) > 10000000);
	REQUIRE_ERROR(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 5, &(struct timespec){ 1, 0 }), ETIMEDOUT);
}

static void futex_calls_fail_as_on_linux(void)
{
	uint32_t word[2] = { 5, 5 };
	REQUIRE_ERROR(futex(word, FUTEX_WAIT_PRIVATE, 6, NULL), EAGAIN);
	REQUIRE(futex(word, FUTEX_WAKE_PRIVATE, 1, NULL) == 0);
	REQUIRE_ERROR(futex((uint32_t *)((char *)word + 1), FUTEX_WAIT_PRIVATE, 5, NULL), EINVAL);
	REQUIRE_ERROR(futex(word, FUTEX_WAIT_PRIVATE, 5, &(struct timespec){ 0, 1000000000 }), EINVAL);
	REQUIRE_ERROR(futex(word, FUTEX_WAIT_PRIVATE, 5, &(struct timespec){ -1, 0 }), EINVAL);
	REQUIRE_ERROR(futex(word, 99, 5, NULL), ENOSYS);
}

static void random_numbers_differ(void)
{
	static unsigned char large[1 << 20], again[1 << 20];
	REQUIRE(getrandom(large, sizeof large, 0) == sizeof large && getrandom(again, 256, 0) == 256);
	REQUIRE(memcmp(large, again, 256) != 0);
	size_t counts[256] = { 0 };
	for (size_t i = 0; i < sizeof large; i++)
		counts[large[i]]++;
	for (int i = 0; i < 256; i++)
		REQUIRE(counts[i] > 3500 && counts[i] < 4700);
	REQUIRE_ERROR(getrandom(large, 8, 0x1000), EINVAL);
}

static void threads_of_a_lone_program_are_its_own(void)
{
	REQUIRE(gettid() == getpid() && getpgid(0) == getpgrp() && getsid(0) == getsid(getpid()));
	REQUIRE(syscall(SYS_set_tid_address, &argument_count) == gettid());
	REQUIRE_ERROR(syscall(SYS_set_robust_list, NULL, 7), EINVAL);
}

static void system_name_is_linuxs(void)
{
	struct utsname name;
	char release[sizeof(name.release)];
	FILE *file = fopen("/proc/sys/kernel/osrelease", "r");
	REQUIRE(file != NULL && fscanf(file, "%64s", release) == 1 && fclose(file) == 0);
	REQUIRE(uname(&name) == 0 && strcmp(name.sysname, "Linux") == 0 && strcmp(name.release, release) == 0);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(initial_stack_has_linuxs_layout),
		CLAIM(auxiliary_vector_describes_the_program),
		CLAIM(program_sees_the_promised_processors),
		CLAIM(processors_are_kept_over_exec),
		CLAIM(limits_can_be_read_and_set),
		CLAIM(clocks_agree_with_linuxs),
		CLAIM(time_never_runs_backwards),
		CLAIM(sleeping_lasts_as_long_as_told),
		CLAIM(futex_wait_times_out),
		CLAIM(futex_calls_fail_as_on_linux),
		CLAIM(random_numbers_differ),
		CLAIM(threads_of_a_lone_program_are_its_own),
		CLAIM(system_name_is_linuxs),
	};
	argument_count = argc;
	arguments = argv;
	return RUN_CLAIMS(claims, argc, argv);
}
