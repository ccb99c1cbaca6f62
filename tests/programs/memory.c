// SPDX-License-Identifier: GPL-2.0
// Claims about the program's address space: mmap, munmap, mprotect, mremap, madvise, brk, the stack.
#define _GNU_SOURCE
#include "claims.h"
#include "faults.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PAGE = 4096, MEGABYTE = 1 << 20, ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS, READ_WRITE = PROT_READ | PROT_WRITE };

static char *map(size_t bytes, int protection)
{
	char *memory = mmap(NULL, bytes, protection, ANONYMOUS, -1, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static int all(const char *memory, char value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (memory[i] != value)
			return 0;
	return 1;
}

static void fresh_memory_is_zero(void)
{
	for (int round = 0; round < 8; round++) {
		char *memory = map(6 * MEGABYTE + PAGE, READ_WRITE);
		REQUIRE(all(memory, 0, 6 * MEGABYTE + PAGE));
		memset(memory, 0x5a, 6 * MEGABYTE + PAGE);
		REQUIRE(munmap(memory, 6 * MEGABYTE + PAGE) == 0);
	}
}

static void unmapped_page_faults_with_its_address(void)
{
	catch_faults();
	char *memory = map(3 * PAGE, READ_WRITE);
	memset(memory, 1, 3 * PAGE);
	REQUIRE(munmap(memory + PAGE, PAGE) == 0);
	REQUIRE(!reads(memory + PAGE + 123));
	REQUIRE(last_fault.si_code == SEGV_MAPERR && last_fault.si_addr == memory + PAGE + 123);
	REQUIRE(memory[PAGE - 1] == 1 && memory[2 * PAGE] == 1);
}

static void protection_is_enforced_and_can_return(void)
{
	catch_faults();
	char *memory = map(3 * PAGE, READ_WRITE);
	memset(memory, 7, 3 * PAGE);
	REQUIRE(mprotect(memory + PAGE, PAGE, PROT_READ) == 0);
	REQUIRE(reads(memory + PAGE) && !writes(memory + PAGE + 5));
	REQUIRE(last_fault.si_code == SEGV_ACCERR && last_fault.si_addr == memory + PAGE + 5);
	REQUIRE(writes(memory + PAGE - 1) && writes(memory + 2 * PAGE));
	REQUIRE(mprotect(memory, 3 * PAGE, PROT_NONE) == 0 && !reads(memory) && !reads(memory + 2 * PAGE));
	REQUIRE(mprotect(memory, 3 * PAGE, READ_WRITE) == 0 && memory[PAGE] == 7 && writes(memory + PAGE));
}

static void data_pages_do_not_execute(void)
{
	catch_faults();
	char *code = map(PAGE, READ_WRITE);
	memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42,%eax; ret */
	int (*function)(void) = (int (*)(void))(uintptr_t)code;
	REQUIRE(FAULTS(function()) && last_fault.si_code == SEGV_ACCERR && last_fault.si_addr == code);
	REQUIRE(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0 && function() == 42 && !writes(code));
}

static void fixed_mapping_replaces_what_was_there(void)
{
	char *memory = map(4 * PAGE, READ_WRITE);
	memset(memory, 3, 4 * PAGE);
	REQUIRE(mmap(memory + PAGE, 2 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == memory + PAGE);
	REQUIRE(all(memory, 3, PAGE) && all(memory + PAGE, 0, 2 * PAGE) && all(memory + 3 * PAGE, 3, PAGE));
	REQUIRE_ERROR(mmap(memory, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	REQUIRE(munmap(memory, 2 * PAGE) == 0);
	REQUIRE(mmap(memory, PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == memory && memory[0] == 0);
	REQUIRE(mmap(memory + PAGE, PAGE, READ_WRITE, ANONYMOUS, -1, 0) == memory + PAGE);
}

static void mapping_calls_fail_as_on_linux(void)
{
	char *memory = map(4 * PAGE, READ_WRITE);
	REQUIRE_ERROR(mmap(NULL, 0, PROT_READ, ANONYMOUS, -1, 0), EINVAL);
	REQUIRE_ERROR(mmap(memory + 1, PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	REQUIRE_ERROR(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	REQUIRE_ERROR(mmap(NULL, 1ul << 40, READ_WRITE, ANONYMOUS, -1, 0), ENOMEM);
	REQUIRE_ERROR(mmap(NULL, -PAGE, READ_WRITE, ANONYMOUS, -1, 0), ENOMEM);
	REQUIRE_ERROR(mmap((void *)0x7ffffffff000, 2 * PAGE, PROT_READ, ANONYMOUS | MAP_FIXED, -1, 0), ENOMEM);
	REQUIRE_ERROR(munmap(memory + 1, PAGE), EINVAL);
	REQUIRE_ERROR(munmap(memory, 0), EINVAL);
	REQUIRE_ERROR(mprotect(memory + 1, PAGE, PROT_READ), EINVAL);
	REQUIRE_ERROR(madvise(memory + 1, PAGE, MADV_DONTNEED), EINVAL);
	REQUIRE_ERROR(madvise(memory, PAGE, 12345), EINVAL);
	REQUIRE_ERROR(mremap(memory + 1, PAGE, PAGE, 0), EINVAL);
	REQUIRE_ERROR(mremap(memory, PAGE, 0, 0), EINVAL);
	REQUIRE(munmap(memory + PAGE, PAGE) == 0 && munmap(memory + PAGE, PAGE) == 0);
	REQUIRE_ERROR(mprotect(memory, 3 * PAGE, PROT_READ), ENOMEM);
	REQUIRE_ERROR(madvise(memory, 3 * PAGE, MADV_DONTNEED), ENOMEM);
	REQUIRE_ERROR(mremap(memory, 3 * PAGE, 4 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

static void remapping_keeps_contents(void)
{
	catch_faults();
	char *memory = map(16 * PAGE, READ_WRITE);
	for (int i = 0; i < 16; i++)
		memset(memory + i * PAGE, i + 1, PAGE);
	REQUIRE(mremap(memory, 16 * PAGE, 8 * PAGE, 0) == memory && !reads(memory + 8 * PAGE));
	char *moved = mremap(memory, 8 * PAGE, 3 * MEGABYTE, MREMAP_MAYMOVE);
	REQUIRE(moved != MAP_FAILED && all(moved + 8 * PAGE, 0, 3 * MEGABYTE - 8 * PAGE));
	for (int i = 0; i < 8; i++)
		REQUIRE(all(moved + i * PAGE, (char)(i + 1), PAGE));
	char *target = map(8 * MEGABYTE, PROT_NONE);
	REQUIRE(mremap(moved, 3 * MEGABYTE, 4 * MEGABYTE, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	REQUIRE(target[7 * PAGE] == 8 && target[4 * MEGABYTE - 1] == 0 && !reads(moved));
	REQUIRE(writes(target + 4 * MEGABYTE - 1) && !reads(target + 4 * MEGABYTE));
}

static void large_remapping_moves_whole_regions(void)
{
	size_t bytes = 32ul * MEGABYTE;
	uint64_t *memory = (uint64_t *)map(bytes, READ_WRITE);
	for (size_t i = 0; i < bytes / 8; i += 512)
		memory[i] = i;
	map(PAGE, PROT_NONE);
	uint64_t *moved = mremap(memory, bytes, 2 * bytes, MREMAP_MAYMOVE);
	REQUIRE(moved != MAP_FAILED);
	for (size_t i = 0; i < 2 * bytes / 8; i += 512)
		REQUIRE(moved[i] == (i < bytes / 8 ? i : 0));
}

static void dontneed_zeroes_memory(void)
{
	char *memory = map(5 * MEGABYTE, READ_WRITE);
	memset(memory, 9, 5 * MEGABYTE);
	REQUIRE(madvise(memory + PAGE, 4 * MEGABYTE, MADV_DONTNEED) == 0);
	REQUIRE(all(memory, 9, PAGE) && all(memory + PAGE, 0, 4 * MEGABYTE));
	REQUIRE(all(memory + PAGE + 4 * MEGABYTE, 9, MEGABYTE - PAGE));
}

static void memory_that_linux_has_seen_is_zero_when_mapped_again(void)
{
	int file = open("/proc/self/exe", O_RDONLY);
	char *at = map(4 * PAGE, READ_WRITE);
	for (int round = 0; round < 300; round++) {
		REQUIRE(pread(file, at, 4 * PAGE, 0) == 4 * PAGE && memcmp(at, "\177ELF", 4) == 0);
		if (round % 3 == 0)
			REQUIRE(madvise(at, 4 * PAGE, MADV_DONTNEED) == 0);
		else
			REQUIRE(munmap(at, 4 * PAGE) == 0 &&
				mmap(at, 4 * PAGE, READ_WRITE, ANONYMOUS | MAP_FIXED, -1, 0) == at);
		REQUIRE(all(at, 0, 4 * PAGE));
	}
}

static void freed_memory_can_be_allocated_again(void)
{
	for (int round = 0; round < 6; round++) {
		char *memory = map(200ul * MEGABYTE, READ_WRITE);
		for (size_t i = 0; i < 200ul * MEGABYTE; i += PAGE)
			memory[i] = 1;
		REQUIRE(munmap(memory, 200ul * MEGABYTE) == 0);
	}
}

static void reservations_cost_no_memory(void)
{
	size_t bytes = 64ul << 30;
	char *reserved = mmap(NULL, bytes, PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(reserved != MAP_FAILED);
	REQUIRE(mprotect(reserved + (bytes >> 1), MEGABYTE, READ_WRITE) == 0);
	memset(reserved + (bytes >> 1), 1, MEGABYTE);
	REQUIRE(munmap(reserved, bytes) == 0);
}

static void program_break_grows_and_shrinks(void)
{
	catch_faults();
	char *start = sbrk(0);
	REQUIRE(start != (void *)-1 && sbrk(3 * MEGABYTE) == start && all(start, 0, 3 * MEGABYTE));
	memset(start, 4, 3 * MEGABYTE);
	REQUIRE(sbrk(-2 * MEGABYTE) == start + 3 * MEGABYTE && sbrk(0) == start + MEGABYTE);
	REQUIRE(all(start, 4, MEGABYTE) && !reads(start + MEGABYTE + PAGE));
	REQUIRE(sbrk(2 * MEGABYTE) == start + MEGABYTE && all(start + MEGABYTE + PAGE, 0, 2 * MEGABYTE - PAGE));
	REQUIRE_ERROR(brk((void *)0x7fffffffffff), ENOMEM);
}

static __attribute__((noinline)) int deep(int levels)
{
	volatile char frame[1000];
	frame[0] = (char)levels;
	int below = levels ? deep(levels - 1) : 0;
	return below + (frame[0] == (char)levels);
}

static void stack_grows_to_its_limit(void)
{
	struct rlimit limit;
	REQUIRE(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == 8ul * MEGABYTE);
	REQUIRE(deep(6500) == 6501);
}

static void stack_overflow_is_a_fault_near_the_stack(void)
{
	catch_faults();
	char here;
	REQUIRE(FAULTS(deep(20000)));
	char *fault = last_fault.si_addr;
	REQUIRE(fault < &here && &here - fault > 7l * MEGABYTE && &here - fault < 9l * MEGABYTE);
}

static void many_small_mappings_stay_apart(void)
{
	enum { COUNT = 400 };
	char *base = map(2 * COUNT * PAGE, READ_WRITE);
	for (int i = 0; i < COUNT; i++) {
		base[2 * i * PAGE] = (char)i;
		REQUIRE(munmap(base + (2 * i + 1) * PAGE, PAGE) == 0);
	}
	for (int i = 0; i < COUNT; i += 2)
		REQUIRE(mprotect(base + 2 * i * PAGE, PAGE, PROT_READ) == 0);
	for (int i = 0; i < COUNT; i++)
		REQUIRE(base[2 * i * PAGE] == (char)i);
	REQUIRE(munmap(base, 2 * COUNT * PAGE) == 0);
}

static void mincore_tells_mapped_from_unmapped(void)
{
	unsigned char resident[2];
	char *memory = map(2 * PAGE, READ_WRITE);
	memset(memory, 1, 2 * PAGE);
	REQUIRE(mincore(memory, 2 * PAGE, resident) == 0 && (resident[0] & 1) && (resident[1] & 1));
	REQUIRE(munmap(memory + PAGE, PAGE) == 0);
	REQUIRE_ERROR(mincore(memory, 2 * PAGE, resident), ENOMEM);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(fresh_memory_is_zero),
		CLAIM(unmapped_page_faults_with_its_address),
		CLAIM(protection_is_enforced_and_can_return),
		CLAIM(data_pages_do_not_execute),
		CLAIM(fixed_mapping_replaces_what_was_there),
		CLAIM(mapping_calls_fail_as_on_linux),
		CLAIM(remapping_keeps_contents),
		CLAIM(large_remapping_moves_whole_regions),
		CLAIM(dontneed_zeroes_memory),
		CLAIM(memory_that_linux_has_seen_is_zero_when_mapped_again),
		CLAIM(freed_memory_can_be_allocated_again),
		CLAIM(reservations_cost_no_memory),
		CLAIM(program_break_grows_and_shrinks),
		CLAIM(stack_grows_to_its_limit),
		CLAIM(stack_overflow_is_a_fault_near_the_stack),
		CLAIM(many_small_mappings_stay_apart),
		CLAIM(mincore_tells_mapped_from_unmapped),
	};
	return RUN_CLAIMS(claims, argc, argv);
}
