// SPDX-License-Identifier: GPL-2.0
// Claims about mappings of devices: memory behind PCI, registers, and what is in neither kernel's page cache.
#define _GNU_SOURCE
#include "claims.h"
#include "faults.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, BYTES = 1 << 20, WORDS = BYTES / 8 };

static const int RW = PROT_READ | PROT_WRITE;

/* Opens the memory of the PCI device that has nothing else, by the name `resource` in its folder. */
static int open_memory(const char *resource, int flags)
{
	glob_t found;
	REQUIRE(glob("/sys/bus/pci/devices/*/device", 0, NULL, &found) == 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char text[16] = "", path[256];
		int file = open(found.gl_pathv[i], O_RDONLY);
		REQUIRE(file >= 0 && read(file, text, sizeof text - 1) > 0 && close(file) == 0);
		if (strcmp(text, "0x1110\n") != 0)
			continue;
		int folder = (int)strlen(found.gl_pathv[i]) - (int)strlen("device");
		snprintf(path, sizeof path, "%.*s%s", folder, found.gl_pathv[i], resource);
		return open(path, flags);
	}
	return -1;
}

static char *map_memory(const char *resource, int protection)
{
	int file = open_memory(resource, protection & PROT_WRITE ? O_RDWR : O_RDONLY);
	REQUIRE(file >= 0);
	char *memory = mmap(NULL, BYTES, protection, MAP_SHARED, file, 0);
	REQUIRE(memory != MAP_FAILED && close(file) == 0);
	return memory;
}

static uint64_t word_of(uint64_t index, uint64_t salt)
{
	return (index + 1) * 0x9e3779b97f4a7c15 ^ salt;
}

static void fill(volatile uint64_t *words, uint64_t salt)
{
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = word_of(i, salt);
	__sync_synchronize();
}

static int holds(volatile uint64_t *words, uint64_t salt)
{
	for (uint64_t i = 0; i < WORDS; i++)
		if (words[i] != word_of(i, salt))
			return 0;
	return 1;
}

static void memory_behind_pci_is_one(void)
{
	const char *names[] = { "resource2", "resource2_wc" };
	uint64_t *first[2], *second[2];
	for (int i = 0; i < 2; i++) {
		first[i] = (uint64_t *)map_memory(names[i], RW);
		fill(first[i], (uint64_t)i);
		second[i] = (uint64_t *)map_memory(names[i], PROT_READ);
		REQUIRE(holds(second[i], (uint64_t)i));
	}
	REQUIRE(holds(first[0], 1) && holds(second[0], 1));
}

static void registers_can_be_read(void)
{
	int file = open("/dev/hpet", O_RDONLY);
	REQUIRE(file >= 0);
	volatile uint32_t *hpet = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
	REQUIRE(hpet != MAP_FAILED);
	REQUIRE(hpet[1] > 0 && hpet[1] <= 100000000); /* femtoseconds of a tick */
	uint32_t before = hpet[0xf0 / 4];
	usleep(20000);
	REQUIRE(hpet[0xf0 / 4] - before >= 20000000000000 / hpet[1] / 1000);
}

static void firmware_can_be_read(void)
{
	enum { START = 0xf0000, LENGTH = 0x10000 };
	static char copy[LENGTH];
	int file = open("/dev/mem", O_RDONLY);
	REQUIRE(file >= 0 && pread(file, copy, LENGTH, START) == LENGTH);
	char *mapped = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, file, START);
	REQUIRE(mapped != MAP_FAILED && memcmp(copy, mapped, LENGTH) == 0);
	int nonzero = 0;
	for (int i = 0; i < LENGTH; i++)
		nonzero += copy[i] != 0;
	REQUIRE(nonzero > 0);
}

static void rights_are_honoured(void)
{
	int file = open_memory("resource2", O_RDONLY);
	REQUIRE(file >= 0);
	REQUIRE_ERROR(mmap(NULL, BYTES, RW, MAP_SHARED, file, 0), EACCES);
	char *memory = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, file, 0);
	REQUIRE(memory != MAP_FAILED && signal_of(memory + PAGE, 0) == 0 && signal_of(memory + PAGE, 1) == SIGSEGV);
	REQUIRE_ERROR(mprotect(memory, PAGE, RW), EACCES);
	char *writable = map_memory("resource2", RW);
	writable[PAGE] = 7;
	REQUIRE(mprotect(writable, 2 * PAGE, PROT_READ) == 0 && signal_of(writable + PAGE, 1) == SIGSEGV);
	REQUIRE(writable[PAGE] == 7 && signal_of(writable + 2 * PAGE, 1) == 0);
	REQUIRE(mprotect(writable, BYTES, PROT_NONE) == 0 && signal_of(writable, 0) == SIGSEGV);
	REQUIRE(mprotect(writable, BYTES, RW) == 0);
	writable[PAGE] = 8;
	REQUIRE(memory[PAGE] == 8);
}

static void what_is_not_there_cannot_be_mapped(void)
{
	int file = open_memory("resource2", O_RDWR);
	REQUIRE(file >= 0);
	REQUIRE_ERROR(mmap(NULL, BYTES + PAGE, RW, MAP_SHARED, file, 0), EINVAL);
	REQUIRE_ERROR(mmap(NULL, PAGE, RW, MAP_SHARED, file, BYTES), EINVAL);
	char *last = mmap(NULL, PAGE, RW, MAP_SHARED, file, BYTES - PAGE);
	REQUIRE(last != MAP_FAILED && signal_of(last, 1) == 0);
	file = open("/dev/null", O_RDWR);
	REQUIRE(file >= 0);
	REQUIRE_ERROR(mmap(NULL, PAGE, RW, MAP_SHARED, file, 0), ENODEV);
}

static void freed_addresses_are_ordinary_memory(void)
{
	char *memory = map_memory("resource2", RW);
	memset(memory, 0x5a, 3 * PAGE);
	REQUIRE(munmap(memory + PAGE, PAGE) == 0 && signal_of(memory + PAGE, 0) == SIGSEGV);
	REQUIRE(memory[0] == 0x5a && memory[2 * PAGE] == 0x5a);
	char *plain = mmap(memory, BYTES, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	REQUIRE(plain == memory);
	for (int i = 0; i < BYTES; i += 64)
		REQUIRE(plain[i] == 0);
	memset(plain, 1, BYTES);
	char *again = map_memory("resource2", PROT_READ);
	REQUIRE(again[0] == 0x5a && again[2 * PAGE + 17] == 0x5a);
	int zero = open("/dev/zero", O_RDONLY);
	REQUIRE(read(zero, plain, BYTES) == BYTES && plain[PAGE] == 0 && again[0] == 0x5a);
}

static void mappings_move(void)
{
	char *memory = map_memory("resource2", RW);
	fill((uint64_t *)memory, 5);
	char *place = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(place != MAP_FAILED);
	REQUIRE(mremap(memory, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	REQUIRE(holds((uint64_t *)place, 5) && signal_of(memory, 0) == SIGSEGV);
	REQUIRE_ERROR(mremap(place, BYTES, 2 * BYTES, MREMAP_MAYMOVE), EFAULT);
	fill((uint64_t *)place, 6);
	REQUIRE(holds((uint64_t *)map_memory("resource2", PROT_READ), 6));
}

static void children_share_devices(void)
{
	uint64_t *words = (uint64_t *)map_memory("resource2", RW);
	fill(words, 9);
	pid_t child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		if (!holds(words, 9))
			_exit(1);
		fill(words, 10);
		_exit(0);
	}
	int status;
	REQUIRE(waitpid(child, &status, 0) == child && status == 0);
	REQUIRE(holds(words, 10));
}

static void calls_reach_devices(void)
{
	char *memory = map_memory("resource2", RW), back[64];
	int ends[2];
	REQUIRE(pipe(ends) == 0);
	snprintf(memory + 3 * PAGE, 64, "out of the device");
	REQUIRE(write(ends[1], memory + 3 * PAGE, 64) == 64 && read(ends[0], back, 64) == 64);
	REQUIRE(strcmp(back, "out of the device") == 0);
	snprintf(back, 64, "into the device");
	REQUIRE(write(ends[1], back, 64) == 64 && read(ends[0], memory + 9 * PAGE, 64) == 64);
	REQUIRE(strcmp(memory + 9 * PAGE, "into the device") == 0);
}

/*
 * `PROGRAM fill|holds|loses RESOURCE SALT`: one side of a claim about two kernels. Who loses says when the device may
 * go, and then waits for the signal that touching it ends in.
 */
static int one_side(char **argv)
{
	uint64_t *words = (uint64_t *)map_memory(argv[2], RW), salt = strtoull(argv[3], NULL, 10);
	if (strcmp(argv[1], "holds") != 0)
		fill(words, salt);
	if (strcmp(argv[1], "loses") == 0) {
		puts("mapped");
		fflush(stdout);
		while (signal_of((char *)words, 0) == 0)
			usleep(1000);
		return signal_of((char *)words, 1) != SIGBUS;
	}
	return !holds(words, salt);
}

int main(int argc, char **argv)
{
	static const struct claim claims[] = {
		CLAIM(memory_behind_pci_is_one),
		CLAIM(registers_can_be_read),
		CLAIM(firmware_can_be_read),
		CLAIM(rights_are_honoured),
		CLAIM(what_is_not_there_cannot_be_mapped),
		CLAIM(freed_addresses_are_ordinary_memory),
		CLAIM(mappings_move),
		CLAIM(children_share_devices),
		CLAIM(calls_reach_devices),
	};
	return argc == 4 ? one_side(argv) : RUN_CLAIMS(claims, argc, argv);
}
