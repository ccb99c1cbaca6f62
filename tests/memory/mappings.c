// SPDX-License-Identifier: GPL-2.0
// Mapping calls in random order against a model of what they should do: `mappings SEED OPERATIONS`. The model knows
// of every page what may be done to it and what it holds; each call's verdict, each touch, each delegated transfer is
// compared. Status 0 if all agree, else 1 and the last operations. Natively it shows that the model is Linux's. Model and
// operations are one file, because each operation writes the model.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 4096, LARGE = 512, HEAP_PAGES = 1024, WORDS = PAGE / 8, TRANSFER = 16, UNMAPPED = -1 };
/* Operations that a child of fork does, and its parent meanwhile. */
enum { CHILD_STEPS = 60, DEEPEST = 2, TIMEOUT_S = 100 };
#define BASE ((char *)0x100000000000)

/* What the program may expect of a page. */
struct page {
	int rights;		/* PROT_*, or UNMAPPED */
	unsigned birth;		/* pages of one call have one; no other call has cut them since */
	uint64_t stamp;		/* the one word that may differ from 0; it says itself where it is */
	unsigned char shared, locked;
	unsigned char omitted, wiped;	/* in a child of fork */
	unsigned char lax;	/* MADV_FREE: may be zero instead */
};

static struct page model[PAGES + 1];	/* the last one stays unmapped */
static uint64_t heap_stamp[HEAP_PAGES];
static long heap_pages;
static char *heap_start;
static int file, depth;
static int children_live;		/* then nobody writes what is shared */
static unsigned births;
static uint64_t stamps, dice_state;
static unsigned long step_number, seed;
static char history[16][160];
static uint64_t transfer[TRANSFER * WORDS];

static sigjmp_buf escape;
static volatile int fault_code;
static void *volatile fault_address;

static uint64_t dice(void)
{
	uint64_t z = dice_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static unsigned roll(unsigned sides)
{
	return dice() % sides;
}

static void note(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(history[step_number % 16], sizeof *history, format, list);
	va_end(list);
}

static void fail(const char *what, long expected, long got)
{
	printf("mappings: seed %lu, operation %lu, depth %d: %s: expected %ld, got %ld (errno %s)\n", seed, step_number, depth,
	       what, expected, got, strerrorname_np(errno));
	for (unsigned long i = step_number < 15 ? 0 : step_number - 15; i <= step_number; i++)
		printf("  %lu %s\n", i, history[i % 16]);
	fflush(stdout);
	_exit(1);
}

static void expect(const char *what, long expected, long got)
{
	if (expected != got)
		fail(what, expected, got);
}

/* 0, or the errno as a negative number. */
static long verdict(long result)
{
	return result == -1 ? -errno : 0;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(escape, 1);
}

static void on_alarm(int number)
{
	fail("seconds for an operation", 0, number == SIGALRM ? TIMEOUT_S : 0);
}

static char *at(unsigned page)
{
	return BASE + (size_t)page * PAGE;
}

/* Which word of a page a stamp is. */
static unsigned place(uint64_t stamp)
{
	return stamp * 37 % WORDS;
}

static int is_readable(const struct page *page)
{
	return page->rights > 0;
}

static int is_writable(const struct page *page)
{
	return page->rights > 0 && page->rights & PROT_WRITE;
}

/* Whether writing it now would disturb parent or child. */
static int is_frozen(const struct page *page)
{
	return page->shared && (children_live || depth);
}

static void check_holds(unsigned number, const uint64_t *words, const char *what)
{
	struct page *page = &model[number];
	uint64_t found = words[place(page->stamp)];

	if (page->lax && found == 0)
		page->stamp = 0;
	if (found != page->stamp)
		fail(what, page->stamp, found);
	expect("word beside the stamp", 0, words[(place(page->stamp) + 1 + number % 500) % WORDS]);
}

static void check_read(unsigned number)
{
	struct page *page = &model[number];

	if (sigsetjmp(escape, 0) == 0) {
		uint64_t word = ((volatile uint64_t *)at(number))[place(page->stamp)];

		(void)word;
		expect("page could be read", is_readable(page), 1);
		check_holds(number, (uint64_t *)at(number), "contents");
	} else {
		expect("page could be read", is_readable(page), 0);
		expect("code of the fault", page->rights == UNMAPPED ? SEGV_MAPERR : SEGV_ACCERR, fault_code);
		expect("address of the fault", (long)at(number) + 8 * place(page->stamp), (long)fault_address);
	}
}

static void check_write(unsigned number)
{
	struct page *page = &model[number];

	if (is_frozen(page))
		return;
	if (sigsetjmp(escape, 0) == 0) {
		volatile uint64_t *words = (uint64_t *)at(number);

		words[place(page->stamp)] = 0;
		words[place(stamps + 1)] = stamps + 1;
		expect("page could be written", is_writable(page), 1);
		page->stamp = ++stamps;
		page->lax = 0;
	} else {
		expect("page could be written", is_writable(page), 0);
		expect("code of the fault", page->rights == UNMAPPED ? SEGV_MAPERR : SEGV_ACCERR, fault_code);
	}
}

/* A range of pages: mostly short, sometimes of large pages. */
static void choose(unsigned *first, unsigned *count)
{
	unsigned kind = roll(32);

	if (kind == 0) {
		*first = roll(PAGES / LARGE) * LARGE;
		*count = LARGE * (1 + roll(2));
	} else {
		*first = roll(PAGES);
		*count = 1 + roll(kind < 4 ? 700 : kind < 12 ? 40 : 6);
	}
	if (*count > PAGES - *first)
		*count = PAGES - *first;
}

static int choose_rights(void)
{
	static const int rights[] = { PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ,
				      PROT_NONE, PROT_WRITE, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC };

	return rights[roll(sizeof rights / sizeof *rights)];
}

/* Number of pages from `first` on, at most `count`, that are mapped. */
static unsigned mapped_prefix(unsigned first, unsigned count)
{
	unsigned n = 0;

	while (n < count && model[first + n].rights != UNMAPPED)
		n++;
	return n;
}

/* A call has changed a part of what may be several areas: each piece is an area of its own now, as far as we know. */
static void cut(unsigned first, unsigned count)
{
	unsigned before = 0;

	for (unsigned i = first; i < first + count; i++) {
		births += i == first || model[i].birth != before;
		before = model[i].birth;
		model[i].birth = births;
	}
}

static void map(void)
{
	unsigned first, count, free = 0;
	int rights = choose_rights(), shared = roll(6) == 0, fixed = roll(3);
	int flags = MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE) | (roll(8) ? 0 : MAP_POPULATE) | (roll(4) ? 0 : MAP_NORESERVE) |
		    (roll(8) ? 0 : MAP_STACK) | (roll(16) ? 0 : MAP_LOCKED);
	char *result;
	long expected = 0;

	choose(&first, &count);
	while (free < count && model[first + free].rights == UNMAPPED)
		free++;
	flags |= fixed == 0 ? 0 : fixed == 1 ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	if (fixed == 2 && free < count)
		expected = -EEXIST;
	note("mmap %u+%u rights %d flags %#x", first, count, rights, flags);
	result = mmap(at(first), (size_t)count * PAGE, rights, flags, -1, 0);
	expect("mmap", expected, verdict((long)result));
	if (expected)
		return;
	if (fixed == 0 && free < count) {
		expect("munmap", 0, munmap(result, (size_t)count * PAGE));
		return;
	}
	expect("address", (long)at(first), (long)result);
	births++;
	for (unsigned i = first; i < first + count; i++)
		model[i] = (struct page){ .rights = rights, .birth = births, .shared = shared, .locked = !!(flags & MAP_LOCKED) };
}

static void unmap(void)
{
	unsigned first, count;

	choose(&first, &count);
	note("munmap %u+%u", first, count);
	expect("munmap", 0, verdict(munmap(at(first), (size_t)count * PAGE)));
	for (unsigned i = first; i < first + count; i++)
		model[i] = (struct page){ .rights = UNMAPPED };
}

static void protect(void)
{
	unsigned first, count, prefix;
	int rights = choose_rights();

	choose(&first, &count);
	prefix = mapped_prefix(first, count);
	note("mprotect %u+%u rights %d", first, count, rights);
	expect("mprotect", prefix == count ? 0 : -ENOMEM, verdict(mprotect(at(first), (size_t)count * PAGE, rights)));
	cut(first, prefix);
	for (unsigned i = first; i < first + prefix; i++)
		model[i].rights = rights;
}

/* What Linux's advice does to a page that lies in an area; 0 or the errno. */
static int advise_page(struct page *page, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
		if (page->locked)
			return -EINVAL;
		if (!page->shared)
			page->stamp = page->lax = 0;
		return 0;
	case MADV_FREE:
		if (page->shared || page->locked)
			return -EINVAL;
		page->lax = 1;
		return 0;
	case MADV_REMOVE:
		if (!page->shared || page->locked)
			return -EINVAL;
		page->stamp = 0;
		return 0;
	case MADV_COLD:
		return page->locked ? -EINVAL : 0;
	case MADV_DONTFORK:
	case MADV_DOFORK:
		page->omitted = advice == MADV_DONTFORK;
		return 0;
	case MADV_WIPEONFORK:
		if (page->shared)
			return -EINVAL;
		page->wiped = 1;
		return 0;
	case MADV_KEEPONFORK:
		page->wiped = 0;
		return 0;
	case MADV_POPULATE_READ:
		return page->rights & PROT_READ ? 0 : -EINVAL;
	case MADV_POPULATE_WRITE:
		return is_writable(page) ? 0 : -EINVAL;
	default:
		return 0;
	}
}

static void advise(void)
{
	static const int advices[] = { MADV_DONTNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK,
				       MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_HUGEPAGE,
				       MADV_NOHUGEPAGE, MADV_COLD, MADV_WILLNEED, MADV_DONTDUMP };
	int advice = advices[roll(sizeof advices / sizeof *advices)], hole = 0, error = 0;
	int stops_at_holes = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
	unsigned first, count, i;
	long got;

	choose(&first, &count);
	if (advice == MADV_REMOVE)
		for (i = first; i < first + count; i++)
			if (is_frozen(&model[i]))
				return;
	note("madvise %u+%u %d", first, count, advice);
	got = verdict(madvise(at(first), (size_t)count * PAGE, advice));
	cut(first, count);
	for (i = first; i < first + count && !error; i++) {
		if (model[i].rights == UNMAPPED) {
			hole = 1;
			if (stops_at_holes)
				break;
			continue;
		}
		error = advise_page(&model[i], advice);
	}
	expect("madvise", error ? error : hole ? -ENOMEM : 0, got);
}

static void lock(void)
{
	int on = roll(3) == 0, inaccessible = 0;
	unsigned first, count, prefix;
	long got, expected;

	choose(&first, &count);
	prefix = mapped_prefix(first, count);
	note("%s %u+%u", on ? "mlock" : "munlock", first, count);
	got = verdict(on ? mlock(at(first), (size_t)count * PAGE) : munlock(at(first), (size_t)count * PAGE));
	cut(first, prefix);
	for (unsigned i = first; i < first + prefix; i++) {
		model[i].locked = on;
		inaccessible |= !is_readable(&model[i]);
	}
	expected = prefix < count || (on && inaccessible) ? -ENOMEM : 0;
	expect(on ? "mlock" : "munlock", expected, got);
}

/* Whether the pages are one area that nothing has cut. */
static int is_one_area(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		if (model[i].rights == UNMAPPED || model[i].birth != model[first].birth)
			return 0;
	return 1;
}

/* The longest uncut area around a random page. */
static int choose_area(unsigned *first, unsigned *count)
{
	unsigned page = roll(PAGES), end = page;

	if (model[page].rights == UNMAPPED)
		return 0;
	while (page > 0 && is_one_area(page - 1, 2))
		page--;
	while (end < PAGES && is_one_area(page, end - page + 1))
		end++;
	*first = page;
	*count = end - page;
	return 1;
}

static void remap(void)
{
	unsigned first, count, area_first, area_count, target, new_count;
	int keep = roll(6) == 0;
	struct page old[PAGES];
	char *result;

	if (!choose_area(&area_first, &area_count))
		return;
	first = area_first + roll(area_count);
	count = 1 + roll(area_first + area_count - first);
	new_count = keep || roll(2) ? count : 1 + roll(count + 20);
	keep = keep && !model[first].shared && !model[first].locked;
	target = roll(PAGES);
	if (target + new_count > PAGES || (target < first + count && first < target + new_count) ||
	    (new_count > count && model[first].shared))
		return;
	note("mremap %u+%u to %u+%u%s", first, count, target, new_count, keep ? " keeping" : "");
	result = mremap(at(first), (size_t)count * PAGE, (size_t)new_count * PAGE,
			MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0), at(target));
	expect("mremap", (long)at(target), (long)result);
	memcpy(old, &model[first], count * sizeof *old);
	births += 2;
	for (unsigned i = 0; i < count; i++) {
		model[first + i] = keep ? old[i] : (struct page){ .rights = UNMAPPED };
		if (keep)
			model[first + i].stamp = model[first + i].lax = 0, model[first + i].birth = births - 1;
	}
	for (unsigned i = 0; i < new_count; i++) {
		model[target + i] = old[i < count ? i : 0];
		model[target + i].birth = births;
		if (i >= count)
			model[target + i].stamp = model[target + i].lax = 0;
	}
}

static void check_resident(void)
{
	unsigned first, count, prefix;
	unsigned char vector[PAGES];

	choose(&first, &count);
	prefix = mapped_prefix(first, count);
	note("mincore %u+%u", first, count);
	expect("mincore", prefix == count ? 0 : -ENOMEM, verdict(mincore(at(first), (size_t)count * PAGE, vector)));
	if (prefix == count)
		for (unsigned i = 0; i < count; i++)
			if (model[first + i].stamp && !model[first + i].lax)
				expect("page is there", 1, vector[i] & 1);
}

/* Linux writes the program's pages to a file: up to the first that cannot be read. */
static void transfer_out(void)
{
	unsigned first = roll(PAGES - TRANSFER), count = 1 + roll(TRANSFER), prefix = 0;
	ssize_t got;

	while (prefix < count && is_readable(&model[first + prefix]))
		prefix++;
	note("pwrite %u+%u", first, count);
	got = pwrite(file, at(first), (size_t)count * PAGE, 0);
	expect("pwrite", prefix ? (long)prefix * PAGE : -EFAULT, got < 0 ? -errno : got);
	expect("pread", (long)prefix * PAGE, pread(file, transfer, (size_t)prefix * PAGE, 0));
	for (unsigned i = 0; i < prefix; i++)
		check_holds(first + i, transfer + i * WORDS, "contents that Linux saw");
}

/* Linux reads a file into the program's pages: up to the first that cannot be written. */
static void transfer_in(void)
{
	unsigned first = roll(PAGES - TRANSFER), count = 1 + roll(TRANSFER), prefix = 0;
	ssize_t got;

	while (prefix < count && is_writable(&model[first + prefix]) && !is_frozen(&model[first + prefix]))
		prefix++;
	if (prefix < count && is_frozen(&model[first + prefix]))
		return;
	memset(transfer, 0, (size_t)count * PAGE);
	for (unsigned i = 0; i < count; i++)
		transfer[i * WORDS + place(stamps + 1 + i)] = stamps + 1 + i;
	note("pread %u+%u", first, count);
	expect("pwrite", (long)count * PAGE, pwrite(file, transfer, (size_t)count * PAGE, 0));
	got = pread(file, at(first), (size_t)count * PAGE, 0);
	expect("pread", prefix ? (long)prefix * PAGE : -EFAULT, got < 0 ? -errno : got);
	for (unsigned i = 0; i < prefix; i++)
		model[first + i].stamp = stamps + 1 + i, model[first + i].lax = 0;
	stamps += count;
}

static void move_break(void)
{
	long wanted = heap_pages + (roll(2) ? (long)roll(24) : -(long)roll(24));

	if (wanted < 0 || wanted > HEAP_PAGES)
		return;
	note("brk %ld to %ld", heap_pages, wanted);
	expect("brk", (long)heap_start + wanted * PAGE, syscall(SYS_brk, heap_start + wanted * PAGE));
	for (long i = heap_pages; i < wanted; i++)
		heap_stamp[i] = 0;
	heap_pages = wanted;
}

static void use_heap(void)
{
	for (int n = 0; n < 4 && heap_pages; n++) {
		unsigned page = roll(heap_pages);
		uint64_t *word = (uint64_t *)(heap_start + (size_t)page * PAGE) + page % WORDS;

		expect("contents of the heap", heap_stamp[page], *word);
		*word = heap_stamp[page] = ++stamps;
	}
}

static void run(unsigned long operations);

static void become_child(void)
{
	depth++;
	dice_state += 12345;
	close(file);
	file = memfd_create("transfer", 0);
	for (unsigned i = 0; i < PAGES; i++) {
		struct page *page = &model[i];

		page->locked = 0;
		if (page->omitted)
			*page = (struct page){ .rights = UNMAPPED };
		else if (page->wiped)
			page->stamp = page->lax = 0;
	}
	cut(0, PAGES);
	alarm(TIMEOUT_S);
	run(CHILD_STEPS);
	_exit(0);
}

/* A child and its parent go different ways, and neither sees what the other does to private pages. */
static void try_fork(void)
{
	pid_t child;
	int status;

	if (depth == DEEPEST)
		return;
	note("fork");
	child = fork();
	if (child == 0)
		become_child();
	if (child < 0)
		fail("fork", 0, -errno);
	children_live++;
	run(CHILD_STEPS);
	children_live--;
	expect("waitpid", child, waitpid(child, &status, 0));
	expect("status of the child", 0, status);
}

static void use_pages(void)
{
	note("touch");
	for (int n = 0; n < 6; n++) {
		unsigned page = roll(PAGES);

		if (roll(2))
			check_read(page);
		else
			check_write(page);
	}
}

static void check_everything(void)
{
	note("check everything");
	for (unsigned page = 0; page < PAGES; page++)
		check_read(page);
}

static void run(unsigned long operations)
{
	static void (*const usual[])(void) = { use_pages, use_pages, use_pages, use_pages, map, map, unmap, protect, protect, advise,
					       advise, remap, lock, check_resident, transfer_out, transfer_in, move_break, use_heap };

	while (operations--) {
		if (step_number++ % 1024 == 0)
			alarm(TIMEOUT_S);
		if (roll(1500) == 0)
			try_fork();
		else if (roll(4000) == 0)
			check_everything();
		else
			usual[roll(sizeof usual / sizeof *usual)]();
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	unsigned long operations;

	if (argc != 3)
		return 2;
	dice_state = seed = strtoul(argv[1], NULL, 0);
	operations = strtoul(argv[2], NULL, 0);
	sigaction(SIGSEGV, &action, NULL);
	signal(SIGALRM, on_alarm);
	file = memfd_create("transfer", 0);
	for (unsigned i = 0; i <= PAGES; i++)
		model[i].rights = UNMAPPED;
	heap_start = (char *)((syscall(SYS_brk, 0) + PAGE - 1) & -PAGE);
	expect("brk", (long)heap_start, syscall(SYS_brk, heap_start));
	run(operations);
	check_everything();
	printf("mappings: %lu operations agree\n", operations);
	return 0;
}
