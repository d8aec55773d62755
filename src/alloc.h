/* SPDX-License-Identifier: MIT
 *
 * alloc.h - the malloc family once, for both of its names (api.c: amalloc, override.c: malloc).
 * Layer api.  Semantics are glibc's; include/arena/amalloc.h says them.
 */
#ifndef ARN_ALLOC_H
#define ARN_ALLOC_H

#include <string.h>

#include "tcache_inl.h"

/* What tcache_calloc() and tcache_realloc() leave: everything, really. */
void *arn_calloc_slow(size_t nmemb, size_t size);
void *arn_realloc(void *p, size_t size);
void *arn_reallocarray(void *p, size_t nmemb, size_t size);
/* ALIGNMENT of any value, rounded up to a power of two; EINVAL, ENOMEM. */
void *arn_memalign(size_t alignment, size_t size);
int arn_posix_memalign(void **out, size_t alignment, size_t size);
void *arn_pvalloc(size_t size);
size_t arn_usable_size(const void *p);
size_t arn_good_size(size_t size);
void arn_free_sized(void *p, size_t size);
void arn_free_aligned_sized(void *p, size_t alignment, size_t size);
int arn_trim(size_t pad);
/* Frees the large blocks that signal handlers could not. */
void arn_large_free_deferred(void);
int arn_mallopt(int param, int value);

/* In heap H (NULL: the thread's own), with a power-of-two ALIGNMENT; errno is set on failure. */
void *arn_alloc_in(struct heap *h, size_t size, size_t alignment);
void *arn_calloc_in(struct heap *h, size_t nmemb, size_t size);

/* Sized operator delete: a wrong size is counted and tolerated. */
void arn_delete_slow(void *p, size_t size);
extern _Atomic size_t arn_delete_mismatches;

/* The shared heap that P's block belongs to, or NULL. */
struct heap *arn_arena_of(const void *p);

/* Clears the BYTES of a region, a multiple of 16: no more instructions than a call of memset takes
 * to find out what to do. */
#define CLEAR_HERE_MAX ((size_t)128)
ARN_HOT void region_clear(void *p, size_t bytes)
{
	char *from = __builtin_assume_aligned(p, QUANTUM), *end = from + bytes;

	memset(from, 0, QUANTUM);
	memset(end - QUANTUM, 0, QUANTUM);
	if (bytes <= 2 * QUANTUM)
		return;
	memset(from + QUANTUM, 0, QUANTUM);
	memset(end - 2 * QUANTUM, 0, QUANTUM);
	if (bytes <= 4 * QUANTUM)
		return;
	memset(from + 2 * QUANTUM, 0, 2 * QUANTUM);
	memset(end - 4 * QUANTUM, 0, 2 * QUANTUM);
}

ARN_HOT void *tcache_calloc(size_t nmemb, size_t size)
{
	size_t n, cls;
	void *p;

	if (unlikely(__builtin_mul_overflow(nmemb, size, &n)))
		return arn_calloc_slow(nmemb, size);
	if (n > DIRECT_MAX)
		return arn_calloc_slow(nmemb, size);
	cls = sizeclass_direct(n);
	p = tcache_take(arn_heap, cls);
	if (unlikely(p == NULL))
		return arn_calloc_slow(nmemb, size);
	valgrind_malloc(p, n, false);
	if (ARN_VALGRIND || n > CLEAR_HERE_MAX)
		return memset(p, 0, n);
	region_clear(p, cls * QUANTUM);
	return p;
}

ARN_HOT void *tcache_realloc(void *p, size_t size)
{
	return p == NULL ? tcache_malloc(size) : arn_realloc(p, size);
}

/* The usual free, but only when SIZE has the class that P's page has. */
ARN_HOT void tcache_delete(void *p, size_t size)
{
	page_info *m = pagemap_now();
	uintptr_t off = pagemap_offset(m, p);
	struct heap *h = arn_heap;

	if (likely(pagemap_covers(m, off) && size <= DIRECT_MAX)) {
		size_t c = pagemap_info_at(m, off) ^ h->info;

		if (likely(c == sizeclass_direct(size)) && likely(tcache_push(h, c, p)))
			return;
	}
	arn_delete_slow(p, size);
}

#endif
