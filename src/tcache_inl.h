/* SPDX-License-Identifier: MIT
 *
 * tcache_inl.h - THE fast path: malloc and free of a small block by the thread that owns it.
 * Layer tcache.  Newcomers start here; everything else is reached through the two _slow calls.
 *
 *   malloc  size -> class -> pop the top pointer of the class's array; NULL is the sentinel under
 *           an empty one.
 *   free    address -> info of its page -> "a small region of my own heap?" -> push.
 *
 * The path knows no modes, no options and no statistics.  A heap whose bins look empty and full
 * sends every call to the slow half; that is how a thread without a heap works.  On x86-64 a
 * malloc(16) / free pair is 33 instructions (bench/pair-count).
 */
#ifndef ARN_TCACHE_INL_H
#define ARN_TCACHE_INL_H

#include "heap.h"
#include "pagemap.h"
#include "valgrind.h"

/* errno is ENOMEM when they return NULL; SIZE may be anything. */
void *arn_malloc_slow(size_t size);
/* Everything that is no plain push: a full bin, another heap's, large, huge, a crime. */
void arn_free_slow(void *p);

/* NULL: the bin is empty. */
ARN_HOT void *tcache_take(struct heap *h, size_t cls)
{
	void *p = h->top[cls][-1];

	ARN_RESULT(p);
	if (likely(p != NULL))
		ARN_STEP(h->top[cls], -1);
	return p;
}

ARN_HOT void *tcache_pop(struct heap *h, size_t cls, size_t size)
{
	void *p = tcache_take(h, cls);

	if (unlikely(p == NULL))
		return arn_malloc_slow(size);
	valgrind_malloc(p, size, false);
	return p;
}

ARN_HOT void *tcache_malloc(size_t size)
{
	struct heap *h = arn_heap;

	if (likely(size <= DIRECT_MAX))
		return tcache_pop(h, sizeclass_direct(size), size);
	if (likely(size <= SMALL_MAX))
		return tcache_pop(h, sizeclass_medium(size), size);
	return arn_malloc_slow(size);
}

/* False: the bin is full, or P was freed just before (the sentinel equals no pointer). */
ARN_HOT bool tcache_push(struct heap *h, size_t cls, void *p)
{
	void **top = h->top[cls];

	if (unlikely(top[-1] == p || top >= h->limit[cls]))
		return false;
	valgrind_free(p);
	*top = p;
	ARN_STEP(h->top[cls], 1);
	return true;
}

ARN_HOT void tcache_free(void *p)
{
	page_info *m = pagemap_now();
	uintptr_t off = pagemap_offset(m, p);
	struct heap *h = arn_heap;

	if (likely(pagemap_covers(m, off))) {
		uint32_t c = pagemap_info_at(m, off) ^ h->info;

		if (likely(c < NCLASSES) && likely(tcache_push(h, c, p)))
			return;
	} else if (p == NULL) {
		return; /* C++ deletes NULL all the time */
	}
	arn_free_slow(p);
}

#endif
