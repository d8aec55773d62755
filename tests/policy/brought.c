/* SPDX-License-Identifier: MIT
 *
 * brought.c - a malloc that a program brings along: one that never reuses, from a pool whose
 * blocks can be told by their address.
 *   as a library (-DLIBRARY), the malloc of a program that is linked with it
 *   as a program, with the malloc in the program itself and, as is usual, without reallocarray
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PROGRAM
static char pool[1 << 20];
static size_t used;

static int is_ours(const void *p)
{
	return (const char *)p >= pool && (const char *)p < pool + sizeof pool;
}

static size_t *size_of(void *p)
{
	return (size_t *)p - 2;
}

static void *place(size_t alignment, size_t n)
{
	size_t at = (used + 16 + alignment - 1) / alignment * alignment;
	char *p = pool + at;

	if (at + n > sizeof pool)
		return NULL;
	*size_of(p) = n;
	used = (at + n + 15) / 16 * 16;
	return p;
}

void *memalign(size_t alignment, size_t n)
{
	return place(alignment, n);
}

void *malloc(size_t n)
{
	return place(16, n);
}

void free(void *p)
{
	if (p != NULL && !is_ours(p))
		abort();
}

void *realloc(void *p, size_t n)
{
	void *q = place(16, n);

	if (p != NULL && !is_ours(p))
		abort();
	if (p != NULL && q != NULL)
		memcpy(q, p, *size_of(p) < n ? *size_of(p) : n);
	return q;
}

void *calloc(size_t a, size_t b)
{
	void *p = place(16, a * b);

	return p != NULL ? memset(p, 0, a * b) : NULL;
}

size_t malloc_usable_size(void *p)
{
	if (!is_ours(p))
		abort();
	return *size_of(p);
}

int brought_here(void *p)
{
	return is_ours(p);
}
#else
int brought_here(void *p);
#endif

#ifndef LIBRARY
int main(void)
{
	char *p = reallocarray(NULL, 3, 7), *q = calloc(5, 5);

	p = reallocarray(p, 30, 7);
	free(q);
	q = memalign(64, 10);
	printf("%d %d %zu\n", brought_here(p), brought_here(q), malloc_usable_size(p));
	p = realloc(p, 1000);
	free(p);
	free(q);
	return 0;
}
#endif
