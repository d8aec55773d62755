/* SPDX-License-Identifier: MIT
 *
 * tcache.h - the slow half of the tcache, and which heap a thread has.  Layer tcache.
 */
#ifndef ARN_TCACHE_H
#define ARN_TCACHE_H

#include "heap.h"

/* The calling thread's heap, adopted from the waiting queue or new; a shared heap after the thread
 * has ended its own, or when no heap can be had; NULL only out of memory, and in a program that was
 * handed back to libc's malloc. */
struct heap *arn_thread_heap_slow(void);

/* The shared heap of those who may not have a thread's, or NULL. */
struct heap *arn_thread_ended(void);

/* Gives every cached region of H back to its runs, and sends what it has gathered for others.
 * Only the owner. */
void arn_tcache_flush_all(struct heap *h);

/* Leaves the calling thread's bins empty for good: every call takes the slow half.  False, and
 * nothing changed, when other threads have bins. */
bool arn_tcache_close(void);

/* Before parking: H, whose cache is empty, gives up its arrays and what it was allowed to keep. The
 * next thread may be of another kind, and in time every heap would have the most of all. */
void arn_tcache_drop_arrays(struct heap *h);

/* A region of class CLS after a refill, or NULL; ALIGNED: as the regions of a run are. */
void *arn_tcache_refill_slow(struct heap *h, unsigned cls, bool aligned);
/* Pushes P into a full bin: grows its array, or flushes the older half first. */
void arn_tcache_overflow_slow(struct heap *h, unsigned cls, void *p);

/* Regions of class CLS in H's tcache; exact for the owner. */
static inline size_t tcache_count(const struct heap *h, unsigned cls)
{
	const struct bin *b = &h->bins[cls];

	return (size_t)(h->top[cls] - (b->base != NULL ? b->base : (void **)b->held));
}

/* Called by the constructor: what runs in a thread that ends. */
void arn_thread_init(void);
/* Waits in no lock: see fork.c. */
void arn_thread_fork_child(void);
extern struct lock arn_threads_lock ARN_HIDDEN;
/* Heaps on the waiting queue. */
size_t arn_thread_parked(void);

/* A new shared heap, or NULL; and its end. */
struct heap *arn_thread_shared_new(void);
void arn_thread_shared_free(struct heap *h);
bool arn_thread_is_arena(const struct heap *h);

#endif
