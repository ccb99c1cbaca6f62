// SPDX-License-Identifier: GPL-2.0
// Prints where the parts of this process lie, a line each: name and address.
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	int local;
	void *mapped = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	printf("image %#lx\n", (unsigned long)main);
	printf("heap %#lx\n", (unsigned long)sbrk(0));
	printf("mappings %#lx\n", (unsigned long)mapped);
	printf("interpreter %#lx\n", getauxval(AT_BASE));
	printf("vdso %#lx\n", getauxval(AT_SYSINFO_EHDR));
	printf("stack %#lx\n", (unsigned long)&local);
	return 0;
}
