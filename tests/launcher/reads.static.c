// SPDX-License-Identifier: GPL-2.0
// Throughput of pread by length: `cargo xtask bench ways`.
// Usage: reads fresh|reused LENGTH…   prints lines "LENGTH MB_PER_S READS BATCHES", the median of the batches, which marks
// for the instruction counter (xtask/counter) bracket. The file lies on tmpfs; "fresh" reads each time into another buffer,
// which the program has touched but no call has used, "reused" always into the same one.
#define _GNU_SOURCE
#include "measure.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BATCHES = 7, FILE_BYTES = 10 << 20, LARGE_PAGE = 2 << 20, MOST_BUFFERS = 16, POOL_BYTES = 32 << 20 };

static int file;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static unsigned char byte_at(size_t offset) { return (unsigned char)(offset * 7 + (offset >> 12)); }

static void make_file(void)
{
	unsigned char *bytes = malloc(FILE_BYTES);
	for (size_t i = 0; i < FILE_BYTES; i++)
		bytes[i] = byte_at(i);
	file = memfd_create("reads", 0);
	if (file < 0 || write(file, bytes, FILE_BYTES) != FILE_BYTES)
		fail("reads: file");
	free(bytes);
}

static void read_one(unsigned char *buffer, size_t length)
{
	if (pread(file, buffer, length, 0) != (ssize_t)length)
		fail("reads: pread");
}

// Buffers that lie in large pages of their own.
struct pool {
	unsigned char *map, *start;
	size_t stride, buffers;
};

static struct pool make_pool(size_t length)
{
	struct pool pool = { .stride = (length + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE };
	pool.buffers = POOL_BYTES / pool.stride < MOST_BUFFERS ? POOL_BYTES / pool.stride : MOST_BUFFERS;
	pool.map = mmap(0, pool.stride * (pool.buffers + 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool.map == MAP_FAILED)
		fail("reads: mmap");
	pool.start = (unsigned char *)(((uintptr_t)pool.map + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1));
	for (size_t i = 0; i < pool.buffers; i++)
		memset(pool.start + i * pool.stride, 0, length);
	return pool;
}

static void check(const struct pool *pool, size_t used, size_t length)
{
	for (size_t i = 0; i < used; i++)
		for (size_t at = 0; at < length; at += 509) // In each page, at changing places.
			if (pool->start[i * pool->stride + at] != byte_at(at)) {
				fprintf(stderr, "reads: length %zu, buffer %zu, byte %zu: wrong\n", length, i, at);
				exit(1);
			}
}

static double batch(size_t length, int is_fresh, size_t *reads)
{
	struct pool pool = make_pool(length);
	*reads = pool.buffers;
	if (!is_fresh)
		read_one(pool.start, length);
	for (int i = 0; i < 100; i++) // Whoever serves calls shall be awake.
		lseek(file, 0, SEEK_SET);
	mark();
	uint64_t began = now_ns();
	for (size_t i = 0; i < pool.buffers; i++)
		read_one(pool.start + (is_fresh ? i * pool.stride : 0), length);
	double ns = (double)(now_ns() - began);
	mark();
	check(&pool, is_fresh ? pool.buffers : 1, length);
	double rate = (double)(length * pool.buffers) * 1000 / ns;
	munmap(pool.map, pool.stride * (pool.buffers + 1));
	return rate;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int is_fresh = argc > 2 && !strcmp(argv[1], "fresh");
	if (argc < 3 || (!is_fresh && strcmp(argv[1], "reused"))) {
		fprintf(stderr, "reads: usage: reads fresh|reused LENGTH…\n");
		return 2;
	}
	make_file();
	for (int i = 2; i < argc; i++) {
		long length = atol(argv[i]);
		size_t reads = 0;
		double v[BATCHES];
		if (length <= 0 || length > FILE_BYTES) {
			fprintf(stderr, "reads: length %s: not in 1-%d\n", argv[i], FILE_BYTES);
			return 2;
		}
		for (int b = 0; b < BATCHES; b++)
			v[b] = batch((size_t)length, is_fresh, &reads);
		qsort(v, BATCHES, sizeof *v, by_value);
		printf("%ld %.3f %zu %d\n", length, v[BATCHES / 2], reads, BATCHES);
	}
	return 0;
}
