/* SPDX-License-Identifier: MIT
 *
 * attacks.c - what a wrong program can be made to do: the cases of SECURITY.md's second table.
 * Run by attacks.sh, under libarena and under the C library's own malloc.
 *   attacks CASE    prints one word: what the mistake led to; "aborted" is seen by its signal.
 */
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Through pointers that the compiler must load, so that it cannot reason from the mistakes. */
static void *(*volatile get)(size_t) = malloc;
static void (*volatile put)(void *) = free;

static char target[64] __attribute__((aligned(16)));

/* Every size's cache is flushed, as happens by and by to a program that goes on. */
static void flush_caches(void)
{
	enum { COUNT = 10000 }; /* caches hold 2048 at most */
	static void *block[COUNT];

	for (size_t size = 16; size <= 1024; size += 16) {
		for (int i = 0; i < COUNT; i++)
			block[i] = get(size);
		for (int i = 0; i < COUNT; i++)
			put(block[i]);
	}
	malloc_trim(0);
}

/* A block that is not one, made to look like glibc's by a size word before it. */
static const char *forged_block(void)
{
	static size_t fake[64] __attribute__((aligned(16)));

	fake[1] = fake[15] = 0x71; /* 0x70 bytes, the one before is in use */
	put(&fake[2]);
	return get(0x68) == &fake[2] ? "handed-out" : "accepted";
}

/* A pointer that the attacker writes into freed memory is followed.  glibc mangles the link with
 * the address it is stored at, which a leak tells. */
static const char *freed_link(void)
{
	void *a = get(100), *b = get(100), *c;

	put(a);
	put(b);
	*(uintptr_t *)b = (uintptr_t)target ^ ((uintptr_t)b >> 12);
	c = get(100);
	c = get(100) == target ? target : c;
	return c == target ? "handed-out" : "ignored";
}

/* The second free of a block whose contents were overwritten in between. */
static const char *overwritten(void)
{
	void *p = get(100);

	put(p);
	memset(p, 'A', 100);
	put(p);
	return "accepted";
}

/* The same, with another block's free in between: found when the cache is flushed. */
static const char *overwritten_apart(void)
{
	void *p = get(100), *q = get(100);

	put(p);
	memset(p, 'A', 100);
	put(q);
	put(p);
	flush_caches();
	return "accepted";
}

/* After a double free that is not noticed at once, two callers get one block. */
static const char *two_owners(void)
{
	void *p = get(100), *q = get(100), *a, *b, *c;

	put(p);
	put(q);
	put(p);
	a = get(100);
	b = get(100);
	c = get(100);
	return a == b || b == c || a == c ? "two-owners" : "accepted";
}

/* 16 bytes beyond the end of a block, over what glibc keeps there. */
static const char *overflow(void)
{
	char *p = get(24), *q = get(24);

	memset(p, 'A', malloc_usable_size(p) + 16);
	put(q);
	put(p);
	flush_caches();
	return "not-noticed";
}

static const struct {
	const char *name;
	const char *(*run)(void);
} cases[] = {
	{"forged_block", forged_block}, {"freed_link", freed_link},
	{"overwritten", overwritten},   {"overwritten_apart", overwritten_apart},
	{"two_owners", two_owners},     {"overflow", overflow},
};

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	/* The first blocks of a size are guarded better: see SECURITY.md. */
	for (int i = 0; i < 32; i++) {
		put(get(100));
		put(get(24));
	}
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (argc == 2 && strcmp(argv[1], cases[i].name) == 0)
			return puts(cases[i].run()) < 0;
	return 76;
}
