// SPDX-License-Identifier: GPL-2.0
// Claims about areas: flags of mmap, advice, locks, limits, stacks that grow, hostile sizes and addresses.
#define _GNU_SOURCE
#include "claims.h"
#include "faults.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MEGABYTE = 1 << 20, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS, READ_WRITE = PROT_READ | PROT_WRITE };
enum { NOBODY = 65534 };

static char *map_with(size_t bytes, int protection, int flags)
{
	char *memory = mmap(NULL, bytes, protection, MAP_ANONYMOUS | flags, -1, 0);

	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static char *map(size_t bytes)
{
	return map_with(bytes, READ_WRITE, MAP_PRIVATE);
}

static void *try_map(void *hint, size_t bytes, int flags)
{
	return mmap(hint, bytes, READ_WRITE, MAP_ANONYMOUS | flags, -1, 0);
}

static void set_limit(int resource, rlim_t soft)
{
	struct rlimit limit;

	REQUIRE(getrlimit(resource, &limit) == 0);
	limit.rlim_cur = soft;
	REQUIRE(setrlimit(resource, &limit) == 0);
}

/* The status of a child that runs `body`. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(body());
	REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

static char *common;

static int nothing(void)
{
	return 0;
}

static void write_only_pages_can_be_read_after_fork(void)
{
	common = map(4 * PAGE);
	memset(common, 7, 4 * PAGE);
	REQUIRE(mprotect(common, 4 * PAGE, PROT_READ) == 0);
	pid_t child = fork();
	if (child == 0)
		_exit(pause());
	REQUIRE(mprotect(common, 4 * PAGE, PROT_WRITE) == 0);
	REQUIRE(((volatile char *)common)[PAGE] == 7);
	((volatile char *)common)[PAGE] = 8;
	REQUIRE(((volatile char *)common)[PAGE] == 8);
	REQUIRE(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
}

static void rights_change_up_to_a_hole(void)
{
	catch_faults();
	char *memory = map(4 * PAGE);
	REQUIRE(munmap(memory + 2 * PAGE, PAGE) == 0);
	REQUIRE_ERROR(mprotect(memory, 4 * PAGE, PROT_READ), ENOMEM);
	REQUIRE(!writes(memory) && !writes(memory + PAGE) && writes(memory + 3 * PAGE));
	REQUIRE_ERROR(mprotect(memory + 2 * PAGE, 2 * PAGE, PROT_READ), ENOMEM);
	REQUIRE(writes(memory + 3 * PAGE));
}

static void several_areas_move_at_once(void)
{
	char *memory = map(6 * PAGE), *target = map_with(6 * PAGE, PROT_NONE, MAP_PRIVATE);
	memset(memory, 5, 6 * PAGE);
	REQUIRE(mprotect(memory + PAGE, PAGE, PROT_READ) == 0 && munmap(memory + 3 * PAGE, PAGE) == 0);
	REQUIRE_ERROR(mremap(memory, 6 * PAGE, 7 * PAGE, MREMAP_MAYMOVE), EFAULT);
	REQUIRE(mremap(memory, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	catch_faults();
	REQUIRE(target[0] == 5 && target[PAGE] == 5 && target[5 * PAGE] == 5 && !reads(memory) && !reads(target + 3 * PAGE));
	REQUIRE(!writes(target + PAGE) && writes(target + 2 * PAGE));
}

static void shared_memory_survives_dontneed_but_not_remove(void)
{
	char *memory = map_with(4 * MEGABYTE, READ_WRITE, MAP_SHARED);
	memset(memory, 6, 4 * MEGABYTE);
	REQUIRE(madvise(memory, 4 * MEGABYTE, MADV_DONTNEED) == 0 && memory[PAGE] == 6 && memory[3 * MEGABYTE] == 6);
	REQUIRE_ERROR(madvise(memory, PAGE, MADV_FREE), EINVAL);
	REQUIRE(madvise(memory + PAGE, PAGE, MADV_REMOVE) == 0);
	REQUIRE(memory[0] == 6 && memory[PAGE] == 0 && memory[2 * PAGE] == 6);
	REQUIRE_ERROR(madvise(map(PAGE), PAGE, MADV_REMOVE), EINVAL);
}

static int remove_common(void)
{
	return madvise(common + PAGE, PAGE, MADV_REMOVE) || common[PAGE];
}

static void removed_shared_memory_is_gone_for_everybody(void)
{
	common = map_with(4 * PAGE, READ_WRITE, MAP_SHARED);
	memset(common, 3, 4 * PAGE);
	REQUIRE(in_child(remove_common) == 0);
	REQUIRE(common[0] == 3 && common[PAGE] == 0 && common[2 * PAGE] == 3);
}

static int common_is_omitted(void)
{
	catch_faults();
	return reads(common);
}

static int common_is_wiped(void)
{
	return common[0] != 0;
}

static void advice_for_fork_can_be_combined(void)
{
	common = map(PAGE);
	common[0] = 1;
	REQUIRE(madvise(common, PAGE, MADV_DONTFORK) == 0 && madvise(common, PAGE, MADV_KEEPONFORK) == 0);
	REQUIRE(in_child(common_is_omitted) == 0);
	REQUIRE(madvise(common, PAGE, MADV_WIPEONFORK) == 0 && madvise(common, PAGE, MADV_DOFORK) == 0);
	REQUIRE(in_child(common_is_wiped) == 0 && common[0] == 1);
}

static void advice_fails_as_on_linux(void)
{
	char *memory = map(8 * PAGE);
	REQUIRE(mprotect(memory + PAGE, PAGE, PROT_NONE) == 0 && munmap(memory + 4 * PAGE, PAGE) == 0);
	REQUIRE_ERROR(madvise(memory, 2 * PAGE, MADV_POPULATE_READ), EINVAL);
	REQUIRE_ERROR(madvise(memory, 2 * PAGE, MADV_POPULATE_WRITE), EINVAL);
	REQUIRE_ERROR(madvise(memory + 2 * PAGE, 4 * PAGE, MADV_POPULATE_WRITE), ENOMEM);
	REQUIRE(madvise(memory + 2 * PAGE, 2 * PAGE, MADV_POPULATE_WRITE) == 0);
	const int hints[] = { MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
			      MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_DONTDUMP, MADV_DODUMP, MADV_COLD, MADV_PAGEOUT };
	for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
		REQUIRE(madvise(memory, 2 * PAGE, hints[i]) == 0);
	REQUIRE(mlock(memory, PAGE) == 0);
	const int refused[] = { MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT, MADV_REMOVE };
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		REQUIRE_ERROR(madvise(memory, PAGE, refused[i]), EINVAL);
	REQUIRE_ERROR(madvise(memory, -1ul, MADV_DONTNEED), EINVAL);
	REQUIRE(madvise(memory, 0, MADV_DONTNEED) == 0);
}

enum { GUARD_INSTALL = 102, GUARD_REMOVE = 103 };

static char *guarded;

/* 1 if the child, too, may not touch the guard. */
static int touch_guard(void)
{
	catch_faults();
	return !reads(guarded + PAGE) && reads(guarded);
}

static void guard_pages_refuse_every_access_until_they_are_removed(void)
{
	catch_faults();
	char *memory = guarded = map(4 * PAGE);
	memset(memory, 7, 4 * PAGE);
	REQUIRE(madvise(memory + PAGE, 2 * PAGE, GUARD_INSTALL) == 0);
	REQUIRE(!reads(memory + PAGE) && last_fault.si_signo == SIGSEGV && last_fault.si_code == SEGV_MAPERR);
	REQUIRE(!writes(memory + 2 * PAGE) && memory[0] == 7 && memory[3 * PAGE] == 7);
	int ends[2];
	REQUIRE(pipe(ends) == 0);
	REQUIRE_ERROR(write(ends[1], memory + PAGE, 1), EFAULT);
	REQUIRE_ERROR(madvise(memory, 2 * PAGE, MADV_POPULATE_WRITE), EFAULT);
	// Guards are no areas of their own: they stay when memory is emptied or gets other rights.
	REQUIRE(madvise(memory, 4 * PAGE, MADV_DONTNEED) == 0 && memory[0] == 0 && !reads(memory + PAGE));
	REQUIRE(mprotect(memory, 4 * PAGE, PROT_READ) == 0 && mprotect(memory, 4 * PAGE, READ_WRITE) == 0);
	REQUIRE(!writes(memory + PAGE) && memory[3 * PAGE] == 0);
	REQUIRE(in_child(touch_guard) == 1 << 8);
	REQUIRE(madvise(memory + PAGE, PAGE, GUARD_REMOVE) == 0);
	REQUIRE(memory[PAGE] == 0 && writes(memory + PAGE) && !reads(memory + 2 * PAGE));
	REQUIRE(mlock(memory, PAGE) == 0);
	REQUIRE_ERROR(madvise(memory, PAGE, GUARD_INSTALL), EINVAL);
	REQUIRE(munlock(memory, PAGE) == 0 && madvise(memory, 4 * PAGE, MADV_WIPEONFORK) == 0);
	REQUIRE(in_child(touch_guard) == 0);
	REQUIRE(munmap(memory + 3 * PAGE, PAGE) == 0);
	REQUIRE_ERROR(madvise(memory + 2 * PAGE, 2 * PAGE, GUARD_REMOVE), ENOMEM);
	REQUIRE(memory[2 * PAGE] == 0);
}

static void locks_are_counted_and_limited(void)
{
	char *memory = map(64 * PAGE);
	REQUIRE(munmap(memory + 32 * PAGE, PAGE) == 0 && mprotect(memory + PAGE, PAGE, PROT_NONE) == 0);
	REQUIRE_ERROR(mlock(memory + 31 * PAGE, 2 * PAGE), ENOMEM);
	REQUIRE_ERROR(mlock(memory, 2 * PAGE), ENOMEM);
	REQUIRE_ERROR(mlock2(memory, PAGE, 2), EINVAL);
	REQUIRE(mlock2(memory, PAGE, MLOCK_ONFAULT) == 0);
	REQUIRE_ERROR(munlock(memory + 31 * PAGE, 2 * PAGE), ENOMEM);
	REQUIRE_ERROR(mlockall(0), EINVAL);
	REQUIRE_ERROR(mlockall(MCL_ONFAULT), EINVAL);
	REQUIRE(munlockall() == 0);
	set_limit(RLIMIT_MEMLOCK, 8 * PAGE);
	REQUIRE(seteuid(NOBODY) == 0);
	REQUIRE(mlock(memory + 2 * PAGE, 8 * PAGE) == 0 && mlock(memory + 2 * PAGE, 8 * PAGE) == 0);
	REQUIRE_ERROR(mlock(memory + 10 * PAGE, PAGE), ENOMEM);
	REQUIRE_ERROR(mmap(NULL, PAGE, READ_WRITE, ANONYMOUS | MAP_LOCKED, -1, 0), EAGAIN);
	REQUIRE_ERROR(mlockall(MCL_CURRENT), ENOMEM);
	REQUIRE(munlock(memory + 2 * PAGE, PAGE) == 0 && mlock(memory + 10 * PAGE, PAGE) == 0);
	set_limit(RLIMIT_MEMLOCK, 0);
	REQUIRE_ERROR(mlock(memory + 12 * PAGE, PAGE), EPERM);
	REQUIRE_ERROR(mmap(NULL, PAGE, READ_WRITE, ANONYMOUS | MAP_LOCKED, -1, 0), EPERM);
}

static void everything_to_come_can_be_locked(void)
{
	unsigned char there[2];
	REQUIRE(mlockall(MCL_FUTURE) == 0);
	char *memory = map_with(2 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_NORESERVE);
	REQUIRE(mincore(memory, 2 * PAGE, there) == 0 && (there[0] & there[1] & 1));
	REQUIRE_ERROR(madvise(memory, PAGE, MADV_DONTNEED), EINVAL);
	REQUIRE(munlockall() == 0 && madvise(memory, PAGE, MADV_DONTNEED) == 0);
	REQUIRE(madvise(map(PAGE), PAGE, MADV_DONTNEED) == 0);
}

static void address_space_is_limited(void)
{
	char *memory = map(64 * MEGABYTE);
	set_limit(RLIMIT_AS, 100 * MEGABYTE);
	REQUIRE_ERROR(try_map(NULL, 64 * MEGABYTE, MAP_PRIVATE), ENOMEM);
	REQUIRE_ERROR(try_map(NULL, 64 * MEGABYTE, MAP_PRIVATE | MAP_NORESERVE), ENOMEM);
	REQUIRE(try_map(memory, 64 * MEGABYTE, MAP_PRIVATE | MAP_FIXED) == memory);
	REQUIRE_ERROR(mremap(memory, 64 * MEGABYTE, 128 * MEGABYTE, MREMAP_MAYMOVE), ENOMEM);
	REQUIRE(munmap(memory, 64 * MEGABYTE) == 0);
	REQUIRE(try_map(NULL, 64 * MEGABYTE, MAP_PRIVATE) != MAP_FAILED);
	REQUIRE(sbrk(64 * MEGABYTE) == (void *)-1 && errno == ENOMEM);
}

static void data_is_limited(void)
{
	char *memory = map_with(64 * MEGABYTE, PROT_READ, MAP_PRIVATE);
	set_limit(RLIMIT_DATA, 32 * MEGABYTE);
	REQUIRE_ERROR(try_map(NULL, 32 * MEGABYTE, MAP_PRIVATE), ENOMEM);
	REQUIRE_ERROR(mprotect(memory, 64 * MEGABYTE, READ_WRITE), ENOMEM);
	REQUIRE(mprotect(memory, 4 * MEGABYTE, READ_WRITE) == 0);
	REQUIRE(try_map(NULL, 40 * MEGABYTE, MAP_SHARED) != MAP_FAILED);
	REQUIRE(sbrk(32 * MEGABYTE) == (void *)-1 && errno == ENOMEM);
}

static int limit_is_inherited(void)
{
	return try_map(NULL, 64 * MEGABYTE, MAP_PRIVATE) != MAP_FAILED || errno != ENOMEM;
}

static void limits_reach_children_and_programs(void)
{
	set_limit(RLIMIT_AS, 60 * MEGABYTE);
	REQUIRE(in_child(limit_is_inherited) == 0);
	execl("/bin/sh", "sh", "-c", "[ $(ulimit -v) = 61440 ] && ulimit -d 5000 && [ $(ulimit -d) = 5000 ]", (char *)0);
	REQUIRE(0);
}

/* Does what it may once a word comes in. */
static void obey_limits_set_meanwhile(int start)
{
	char go;

	REQUIRE(read(start, &go, 1) == 1 && limit_is_inherited() == 0);
	REQUIRE(try_map(NULL, 16 * MEGABYTE, MAP_PRIVATE) != MAP_FAILED);
	execl("/bin/sh", "sh", "-c", "[ $(ulimit -v) = 61440 ] && [ $(ulimit -l) = 100 ]", (char *)0);
	REQUIRE(0);
}

static void another_process_can_set_limits(void)
{
	const struct rlimit small = { 60ul * MEGABYTE, 60ul * MEGABYTE }, locked = { 100 << 10, 100 << 10 };
	const struct rlimit wrong = { 2, 1 }, more = { 90ul * MEGABYTE, 90ul * MEGABYTE };
	struct rlimit old;
	int start[2], status;
	REQUIRE(pipe(start) == 0);
	pid_t child = fork();
	if (child == 0)
		obey_limits_set_meanwhile(start[0]);
	REQUIRE(prlimit(child, RLIMIT_AS, &small, NULL) == 0 && prlimit(child, RLIMIT_MEMLOCK, &locked, NULL) == 0);
	REQUIRE_ERROR(prlimit(child, RLIMIT_AS, &wrong, NULL), EINVAL);
	REQUIRE(prlimit(child, RLIMIT_AS, NULL, &old) == 0 && old.rlim_cur == small.rlim_cur && old.rlim_max == small.rlim_max);
	REQUIRE(getrlimit(RLIMIT_AS, &old) == 0 && old.rlim_cur == RLIM_INFINITY);
	REQUIRE(setresuid(NOBODY, NOBODY, NOBODY) == 0);
	REQUIRE_ERROR(prlimit(child, RLIMIT_AS, NULL, &old), EPERM);
	REQUIRE_ERROR(prlimit(child, RLIMIT_AS, &more, NULL), EPERM);
	REQUIRE(write(start[1], "", 1) == 1 && waitpid(child, &status, 0) == child && status == 0);
}

static __attribute__((noinline)) int deep(int levels)
{
	volatile char frame[1000];
	frame[0] = (char)levels;
	int below = levels ? deep(levels - 1) : 0;
	return below + (frame[0] == (char)levels);
}

static void stack_limit_can_change(void)
{
	catch_faults();
	set_limit(RLIMIT_STACK, 2 * MEGABYTE);
	REQUIRE(deep(1000) == 1001 && FAULTS(deep(4000)));
	set_limit(RLIMIT_STACK, 6 * MEGABYTE);
	REQUIRE(deep(4000) == 4001);
}

static void stacks_count_as_address_space(void)
{
	catch_faults();
	REQUIRE(deep(100) == 101);
	set_limit(RLIMIT_AS, MEGABYTE);
	REQUIRE(FAULTS(deep(4000)));
	set_limit(RLIMIT_AS, RLIM_INFINITY);
	REQUIRE(deep(4000) == 4001);
}

static void areas_can_grow_downwards(void)
{
	catch_faults();
	char *hole = map_with(16 * MEGABYTE, PROT_NONE, MAP_PRIVATE);
	REQUIRE(munmap(hole, 16 * MEGABYTE) == 0);
	char *top = hole + 8 * MEGABYTE;
	char *stack = try_map(top, PAGE, MAP_PRIVATE | MAP_FIXED | MAP_GROWSDOWN | MAP_STACK);
	REQUIRE(stack == top && writes(top - 1) && writes(top - 40 * PAGE) && top[-20 * PAGE] == 0);
	REQUIRE(try_map(hole, PAGE, MAP_PRIVATE | MAP_FIXED) == hole);
	REQUIRE(writes(hole + 300 * PAGE) && !writes(hole + 200 * PAGE) && last_fault.si_code == SEGV_MAPERR);
	REQUIRE_ERROR(try_map(NULL, PAGE, MAP_SHARED | MAP_GROWSDOWN), EINVAL);
	REQUIRE(mprotect(top - 10 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN) == 0 && !writes(hole + 300 * PAGE));
	REQUIRE_ERROR(mprotect(hole, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL);
}

static void huge_pages_come_whole_or_not_at_all(void)
{
	for (int log = 21; log <= 30; log += 9) {
		char *memory = try_map(NULL, PAGE, MAP_PRIVATE | MAP_HUGETLB | log << MAP_HUGE_SHIFT);
		if (memory == MAP_FAILED) {
			REQUIRE(errno == ENOMEM);
			continue;
		}
		REQUIRE(((uintptr_t)memory & ((1ul << log) - 1)) == 0 && memory[(1ul << log) - 1] == 0);
		memset(memory, 1, 1ul << log);
		REQUIRE(munmap(memory, 1ul << log) == 0);
	}
}

static void keys_fail_as_on_linux(void)
{
	char *memory = map(PAGE);
	REQUIRE(syscall(SYS_pkey_mprotect, memory, PAGE, PROT_READ, -1) == 0);
	REQUIRE_ERROR(syscall(SYS_pkey_mprotect, memory, PAGE, PROT_READ, 15), EINVAL);
	REQUIRE_ERROR(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
	REQUIRE_ERROR(syscall(SYS_pkey_alloc, 0, 8), EINVAL);
	REQUIRE_ERROR(syscall(SYS_pkey_free, 15), EINVAL);
}

static void low_mappings_are_low(void)
{
	for (int i = 0; i < 8; i++) {
		char *memory = try_map(NULL, MEGABYTE, MAP_PRIVATE | MAP_32BIT);
		REQUIRE(memory != MAP_FAILED && (uintptr_t)memory + MEGABYTE <= 1ul << 31);
		memset(memory, 1, MEGABYTE);
	}
	REQUIRE_ERROR(try_map(NULL, 2048ul * MEGABYTE, MAP_PRIVATE | MAP_32BIT | MAP_NORESERVE), ENOMEM);
}

static void flags_are_judged_as_on_linux(void)
{
	char *memory = map(2 * PAGE);
	REQUIRE_ERROR(try_map(memory, PAGE, MAP_PRIVATE | MAP_FIXED_NOREPLACE), EEXIST);
	REQUIRE_ERROR(try_map(memory + 1, PAGE, MAP_PRIVATE | MAP_FIXED_NOREPLACE), EINVAL);
	REQUIRE_ERROR(try_map(NULL, PAGE, MAP_PRIVATE | MAP_HUGETLB | 20 << MAP_HUGE_SHIFT), EINVAL);
	REQUIRE_ERROR(try_map(NULL, PAGE, 0), EINVAL);
	REQUIRE_ERROR(try_map(NULL, PAGE, 7), EINVAL);
	REQUIRE_ERROR(mmap(NULL, PAGE, READ_WRITE, ANONYMOUS, -1, 1), EINVAL);
	unsigned char there[4];
	memory = map_with(4 * PAGE, READ_WRITE, MAP_PRIVATE | MAP_POPULATE | MAP_NORESERVE);
	REQUIRE(mincore(memory, 4 * PAGE, there) == 0 && (there[0] & there[1] & there[2] & there[3] & 1));
}

static void hostile_ranges_are_refused(void)
{
	char *memory = map(2 * PAGE);
	const uintptr_t far[] = { 0x7ffffffff000, 0x800000000000, 1ul << 63, -(uintptr_t)PAGE };
	for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
		void *there = (void *)far[i];
		REQUIRE_ERROR(try_map(there, 2 * PAGE, MAP_PRIVATE | MAP_FIXED), ENOMEM);
		REQUIRE_ERROR(mprotect(there, PAGE, PROT_READ), ENOMEM);
		REQUIRE_ERROR(munmap(there, 2 * PAGE), EINVAL);
		REQUIRE(try_map(there, PAGE, MAP_PRIVATE) != MAP_FAILED);
	}
	const size_t sizes[] = { -1ul, -(size_t)PAGE, -2ul * PAGE, 1ul << 63, 1ul << 48, 1ul << 47 };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		REQUIRE_ERROR(try_map(NULL, sizes[i], MAP_PRIVATE | MAP_NORESERVE), ENOMEM);
		REQUIRE_ERROR(munmap(memory, sizes[i]), EINVAL);
		if ((uintptr_t)memory + sizes[i] < (uintptr_t)memory)
			REQUIRE_ERROR(mprotect(memory, sizes[i], PROT_NONE), ENOMEM);
		REQUIRE(mremap(memory, PAGE, sizes[i], MREMAP_MAYMOVE) == MAP_FAILED);
		memory = map(2 * PAGE);
	}
	REQUIRE_ERROR(try_map(NULL, 0, MAP_PRIVATE), EINVAL);
	REQUIRE_ERROR(mremap(memory, 0, PAGE, MREMAP_MAYMOVE), EINVAL);
	REQUIRE(mprotect(memory, 0, PROT_READ) == 0 && writes(memory));
}

static void a_hundred_thousand_tiny_areas_reach_the_limit(void)
{
	enum { COUNT = 100000 };
	int made = 0;
	char *base = map_with((size_t)2 * COUNT * PAGE, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);
	while (made < COUNT && mprotect(base + (size_t)2 * made * PAGE, PAGE, READ_WRITE) == 0)
		made++;
	REQUIRE(made > 30000 && made < 33000 && errno == ENOMEM);
	for (int i = 0; i < 4 && try_map(NULL, PAGE, MAP_SHARED) != MAP_FAILED; i++)
		REQUIRE(i < 3);
	REQUIRE(errno == ENOMEM);
	REQUIRE(in_child(nothing) == 0);
	REQUIRE(munmap(base, (size_t)2 * COUNT * PAGE) == 0);
	REQUIRE(try_map(NULL, PAGE, MAP_SHARED) != MAP_FAILED);
}

static void tiny_mappings_can_be_made_until_the_limit(void)
{
	char *last = NULL;
	int made = 0;
	const int rights[] = { READ_WRITE, PROT_NONE }, flags = ANONYMOUS | MAP_NORESERVE;
	for (char *memory; (memory = mmap(NULL, PAGE, rights[made % 2], flags, -1, 0)) != MAP_FAILED; made++)
		last = memory;
	REQUIRE(errno == ENOMEM && made > 60000 && made < 66000);
	REQUIRE(munmap(last, PAGE) == 0 && mmap(NULL, PAGE, READ_WRITE, flags, -1, 0) != MAP_FAILED);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(write_only_pages_can_be_read_after_fork),
		CLAIM(rights_change_up_to_a_hole),
		CLAIM(several_areas_move_at_once),
		CLAIM(shared_memory_survives_dontneed_but_not_remove),
		CLAIM(removed_shared_memory_is_gone_for_everybody),
		CLAIM(advice_for_fork_can_be_combined),
		CLAIM(advice_fails_as_on_linux),
		CLAIM(guard_pages_refuse_every_access_until_they_are_removed),
		CLAIM(locks_are_counted_and_limited),
		CLAIM(everything_to_come_can_be_locked),
		CLAIM(address_space_is_limited),
		CLAIM(data_is_limited),
		CLAIM(limits_reach_children_and_programs),
		CLAIM(another_process_can_set_limits),
		CLAIM(stack_limit_can_change),
		CLAIM(stacks_count_as_address_space),
		CLAIM(areas_can_grow_downwards),
		CLAIM(huge_pages_come_whole_or_not_at_all),
		CLAIM(keys_fail_as_on_linux),
		CLAIM(low_mappings_are_low),
		CLAIM(flags_are_judged_as_on_linux),
		CLAIM(hostile_ranges_are_refused),
		CLAIM(tiny_mappings_can_be_made_until_the_limit),
		CLAIM(a_hundred_thousand_tiny_areas_reach_the_limit),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
