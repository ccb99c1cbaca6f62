/* SPDX-License-Identifier: GPL-2.0 */
/* Files that are mapped shared. Include after claims.h. */
#ifndef SHARED_FILES_H
#define SHARED_FILES_H

#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 64, BYTES = PAGES * PAGE };

/* An unlinked file of `bytes` zeroes in `folder`. */
static inline int new_file(const char *folder, size_t bytes)
{
	char name[64];
	snprintf(name, sizeof name, "%s/shared-XXXXXX", folder);
	int file = mkstemp(name);
	REQUIRE(file >= 0 && unlink(name) == 0 && ftruncate(file, (off_t)bytes) == 0);
	return file;
}

static inline char *map(int file, size_t bytes, int protection)
{
	char *memory = mmap(NULL, bytes, protection, MAP_SHARED, file, 0);
	REQUIRE(memory != MAP_FAILED);
	return memory;
}

static const int RW = PROT_READ | PROT_WRITE;

#endif
