// SPDX-License-Identifier: GPL-2.0
// One call at a time with full caches: `cargo xtask bench --cache`, whose plugin (xtask/counter) models the caches.
// Usage: cache LENGTH…   reads so many bytes of a file on tmpfs; prints lines "LENGTH CALLS", then "ioctl = CALLS" and
// "no call = CALLS", in the order in which they were made, each call between two marks.
#define _GNU_SOURCE
#include "measure.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_BYTES = 10 << 20, MOST_CALLS = 1000, CACHE_BYTES = 256 << 10, LINE = 64 };

static int file;
static char *buffer;
static volatile char data[CACHE_BYTES] __attribute__((aligned(4096)));

// 32 KiB of code, of which each line is executed.
__asm__(".pushsection .text\n.p2align 12\nlong_code:\n.fill 32767, 1, 0x90\nret\n.popsection");
void long_code(void);

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void fill_caches(void)
{
	long_code();
	for (int i = 0; i < CACHE_BYTES; i += LINE)
		data[i]++;
}

static void read_some(long length)
{
	if (pread(file, buffer, (size_t)length, 0) != length)
		fail("cache: pread");
}

static void ask(long unused)
{
	int bytes;
	(void)unused;
	if (ioctl(file, FIONREAD, &bytes) || bytes != FILE_BYTES)
		fail("cache: ioctl");
}

static void nothing(long unused) { (void)unused; }

// Makes a call as often as is worth it for its length; how often.
static int repeat(void (*call)(long), long length)
{
	int calls = length <= 1 << 16 ? MOST_CALLS : (int)(MOST_CALLS * (1 << 16) / length);
	call(length);
	for (int i = 0; i < calls; i++) {
		fill_caches();
		mark();
		call(length);
		mark();
	}
	return calls;
}

static void make_file(void)
{
	file = memfd_create("cache", 0);
	buffer = mmap(0, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (file < 0 || buffer == MAP_FAILED || write(file, memset(buffer, 1, FILE_BYTES), FILE_BYTES) != FILE_BYTES)
		fail("cache: file");
	lseek(file, 0, SEEK_SET);
}

int main(int argc, char **argv)
{
	make_file();
	for (int i = 1; i < argc; i++) {
		long length = atol(argv[i]);
		if (length <= 0 || length > FILE_BYTES) {
			fprintf(stderr, "cache: length %s: not in 1-%d\n", argv[i], FILE_BYTES);
			return 2;
		}
		printf("%ld %d\n", length, repeat(read_some, length));
	}
	printf("ioctl = %d\n", repeat(ask, 0));
	printf("no call = %d\n", repeat(nothing, 0));
	return 0;
}
