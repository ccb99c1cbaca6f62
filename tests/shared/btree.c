// SPDX-License-Identifier: GPL-2.0
// A B-tree in a file that is mapped shared: `btree FILE insert FROM COUNT` adds keys, `btree FILE check COUNT` reads all of
// it with system calls alone and checks that it holds exactly keys 0 to COUNT - 1, in order and with their values.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NODE_BYTES = 4096, MOST = 169, MIDDLE = MOST / 2 };

struct node {
	uint32_t count, is_leaf;
	uint64_t keys[MOST], values[MOST];
	uint64_t children[MOST + 1];
};
_Static_assert(sizeof(struct node) <= NODE_BYTES, "a node is a page");

struct header {
	uint64_t root, nodes, keys;
};

static int file;
static char *memory;
static size_t mapped;

static void fail(const char *why)
{
	printf("btree: %s\n", why);
	exit(1);
}

static struct header *header(void)
{
	return (struct header *)memory;
}

static struct node *node(uint64_t number)
{
	return (struct node *)(memory + number * NODE_BYTES);
}

/* Room for one more node; the file and its mapping grow by doubling, so nodes may move. */
static uint64_t new_node(int is_leaf)
{
	uint64_t number = ++header()->nodes;
	if ((number + 1) * NODE_BYTES > mapped) {
		size_t grown = mapped * 2;
		if (ftruncate(file, (off_t)grown) != 0)
			fail("no room in the file");
		memory = mremap(memory, mapped, grown, MREMAP_MAYMOVE);
		if (memory == MAP_FAILED)
			fail("mremap");
		mapped = grown;
	}
	node(number)->is_leaf = (uint32_t)is_leaf;
	return number;
}

/* Splits the full child `index` of `parent` into two. */
static void split(uint64_t parent, uint32_t index)
{
	uint64_t full = node(parent)->children[index], fresh = new_node((int)node(full)->is_leaf);
	struct node *p = node(parent), *left = node(full), *right = node(fresh);
	right->count = MOST - MIDDLE - 1;
	memcpy(right->keys, left->keys + MIDDLE + 1, right->count * 8);
	memcpy(right->values, left->values + MIDDLE + 1, right->count * 8);
	memcpy(right->children, left->children + MIDDLE + 1, (right->count + 1) * 8);
	left->count = MIDDLE;
	memmove(p->keys + index + 1, p->keys + index, (p->count - index) * 8);
	memmove(p->values + index + 1, p->values + index, (p->count - index) * 8);
	memmove(p->children + index + 2, p->children + index + 1, (p->count - index) * 8);
	p->keys[index] = left->keys[MIDDLE];
	p->values[index] = left->values[MIDDLE];
	p->children[index + 1] = fresh;
	p->count++;
}

static void insert(uint64_t key, uint64_t value)
{
	if (node(header()->root)->count == MOST) {
		uint64_t root = new_node(0);
		node(root)->children[0] = header()->root;
		header()->root = root;
		split(root, 0);
	}
	uint64_t at = header()->root;
	for (;;) {
		struct node *n = node(at);
		uint32_t index = 0;
		while (index < n->count && n->keys[index] < key)
			index++;
		if (n->is_leaf) {
			memmove(n->keys + index + 1, n->keys + index, (n->count - index) * 8);
			memmove(n->values + index + 1, n->values + index, (n->count - index) * 8);
			n->keys[index] = key;
			n->values[index] = value;
			n->count++;
			header()->keys++;
			return;
		}
		if (node(n->children[index])->count == MOST) {
			split(at, index);
			index += node(at)->keys[index] < key;
		}
		at = node(at)->children[index];
	}
}

static uint64_t value_of(uint64_t key)
{
	return key * 0x9e3779b97f4a7c15u >> 7;
}

/* Keys of a power-of-two range in a scattered order. */
static void insert_all(uint64_t from, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		uint64_t key = from + (i * 2654435761u + 12345) % count;
		insert(key, value_of(key));
	}
	if (msync(memory, mapped, MS_SYNC) != 0)
		fail("msync");
}

static uint64_t expected;

static void check_below(uint64_t number)
{
	struct node n;
	if (pread(file, &n, sizeof n, (off_t)(number * NODE_BYTES)) != sizeof n || n.count > MOST)
		fail("a node is not there");
	for (uint32_t i = 0; i <= n.count; i++) {
		if (!n.is_leaf)
			check_below(n.children[i]);
		if (i == n.count)
			break;
		if (n.keys[i] != expected || n.values[i] != value_of(expected))
			fail("a key is lost, doubled or out of order");
		expected++;
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		fail("usage: btree FILE insert FROM COUNT | check COUNT");
	file = open(argv[1], O_RDWR | O_CREAT, 0600);
	if (strcmp(argv[2], "check") == 0) {
		struct header head;
		if (pread(file, &head, sizeof head, 0) != sizeof head)
			fail("no header");
		check_below(head.root);
		if (expected != strtoull(argv[3], NULL, 0) || head.keys != expected)
			fail("wrong number of keys");
		printf("%llu keys in %llu nodes\n", (unsigned long long)expected, (unsigned long long)head.nodes);
		return 0;
	}
	off_t bytes = lseek(file, 0, SEEK_END);
	mapped = bytes ? (size_t)bytes : 4 * NODE_BYTES;
	if (bytes == 0 && ftruncate(file, (off_t)mapped) != 0)
		fail("ftruncate");
	memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED)
		fail("mmap");
	if (header()->root == 0)
		header()->root = new_node(1);
	insert_all(strtoull(argv[3], NULL, 0), strtoull(argv[4], NULL, 0));
	return 0;
}
