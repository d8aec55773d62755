/* SPDX-License-Identifier: MIT
 *
 * thread.c - which heap a thread has, and the waiting queue.  Layer tcache; owns threads_lock.
 *
 * A thread gets its heap at its first malloc: the one that was parked last (its pages are warm), or
 * a new one.  When the thread ends the heap is emptied of cached regions and parked.  TSD
 * destructors of others may still allocate, in any of the four rounds, so the heap is parked in the
 * last but one; what comes even later (libc frees what it holds for the thread) is served by one
 * shared heap under its lock, and no heap is made anew.
 *
 * A lock guards the queue, not a compare-and-swap: a heap that is adopted and parked again between
 * another thread's load and swap would be given to two (ABA).  A forked child resets the lock; the
 * queue is whole at every store.
 */
#include <limits.h>
#include <pthread.h>

#include "init.h"
#include "tcache.h"
#include "tcache_inl.h"

struct lock arn_threads_lock;
static struct heap *queue; /* parked heaps, last one first */
static size_t queue_n;
static struct heap *ended; /* the shared heap of threads that have ended, and of signal handlers */
static struct heap *shared_free_list;
/* In .data, not in .bss, which /bin/true then need not touch. */
static struct {
	_Atomic bool made;
	pthread_key_t key;
} tsd = {.key = (pthread_key_t)-1};
static bool orphans; /* this process was forked; heaps of lost threads are not queued yet */
static struct heap *survivor; /* the heap of the thread that forked */

/* pthread keys have at least four rounds of destructors.  Not the last one: tools that follow a
 * thread (ThreadSanitizer) have closed it by then. */
#define ROUNDS (PTHREAD_DESTRUCTOR_ITERATIONS - 1)
/* Of an orphan, which whoever adopts it must empty first: a process that went on as its own child
 * again and again, with new threads, held twice as much that was nobody's (soak fork). */
#define ORPHAN 255

/* With threads_lock held.  Queues the heaps of threads that did not survive a fork. */
static void queue_orphans(void)
{
	for (struct heap *h = ACQUIRE_GET(arn_heaps); h != NULL; h = h->all_next) {
		if (h->kind != HEAP_THREAD || h->parked || h == survivor)
			continue;
		/* Caught between the stores of a slot: what it gathered is lost. */
		if (h->combining)
			h->combine = NULL;
		h->combining = false;
		h->rounds = ORPHAN;
		RELAXED_SET(h->parked, true);
		h->parked_next = queue;
		queue = h;
		RELAXED_SET(queue_n, queue_n + 1);
		arn_heap_count_used(-1);
	}
	orphans = false;
}

/* What a thread leaves behind holds no regions in its tcache, and no arrays. */
static void empty(struct heap *h)
{
	arn_tcache_flush_all(h);
	arn_tcache_drop_arrays(h);
}

static struct heap *adopt(void)
{
	struct heap *h;
	bool orphan = false;

	lock_take(&arn_threads_lock);
	if (unlikely(orphans))
		queue_orphans();
	h = queue;
	if (h != NULL) {
		queue = h->parked_next;
		RELAXED_SET(queue_n, queue_n - 1);
		RELAXED_SET(h->parked, false);
		arn_heap_count_used(1);
		orphan = h->rounds == ORPHAN;
		h->rounds = 0;
	} else {
		h = arn_heap_new(HEAP_THREAD);
		/* Out of memory: all such threads share one heap, if even that can be had. */
		if (h == NULL)
			h = ended;
	}
	lock_drop(&arn_threads_lock);
	if (unlikely(orphan))
		empty(h);
	return h;
}

static void park(struct heap *h)
{
	lock_take(&arn_threads_lock);
	RELAXED_SET(h->parked, true);
	h->parked_next = queue;
	queue = h;
	RELAXED_SET(queue_n, queue_n + 1);
	arn_heap_count_used(-1);
	lock_drop(&arn_threads_lock);
}

struct heap *arn_thread_ended(void)
{
	struct heap *h = ACQUIRE_GET(ended); /* pairs with the release below */

	if (h != NULL || (arn_locks_mine != 0 && !arn_lock_soon(&arn_threads_lock)))
		return h;
	lock_take(&arn_threads_lock);
	if (ended == NULL)
		RELEASE_SET(ended, arn_heap_new(HEAP_SHARED));
	h = ended;
	lock_drop(&arn_threads_lock);
	return h;
}

static void thread_end(void *arg)
{
	struct heap *h = arg, *last;

	if (h != arn_heap)
		return;
	if (++h->rounds < ROUNDS && pthread_setspecific(tsd.key, h) == 0)
		return;
	last = arn_thread_ended();
	empty(h);
	arn_heap = last != NULL ? last : &arn_heap_none;
	park(h);
}

/* By the constructor, before there are threads: pthread_setspecific allocates for keys from 32 on,
 * and that inside of malloc would lose its work to an outer call of the same. */
void arn_thread_init(void)
{
	/* Release pairs with the acquire in arn_thread_heap_slow(): the key is written before. */
	if (!atomic_load_explicit(&tsd.made, memory_order_relaxed))
		atomic_store_explicit(&tsd.made, pthread_key_create(&tsd.key, thread_end) == 0,
				      memory_order_release);
}

/* glibc's word; weak, since other libcs have none. */
extern char __libc_single_threaded __attribute__((weak));

/* Whether the first heap may be that of a thread that ends before the process does. */
static bool has_threads(void)
{
	return &__libc_single_threaded == NULL || __libc_single_threaded == 0;
}

ARN_SLOW struct heap *arn_thread_heap_slow(void)
{
	struct heap *h = arn_heap;

	if (h->kind != HEAP_NONE)
		return h;
	if (!arn_serves() || !arn_boot())
		return NULL;
	arn_lock_watch_check();
	h = adopt();
	if (h == NULL)
		return NULL;
	arn_heap = h;
	/* The heap is in place before this: pthread_setspecific may call calloc. */
	if (h->kind == HEAP_THREAD && (arn_heap_count() > 1 || has_threads())) {
		arn_lock_watch_begin();
		/* Before our constructor only the first thread runs, which need not park. */
		if (atomic_load_explicit(&tsd.made, memory_order_acquire))
			pthread_setspecific(tsd.key, h);
	}
	return h;
}

size_t arn_thread_parked(void)
{
	return RELAXED_GET(queue_n);
}

struct heap *arn_thread_shared_new(void)
{
	struct heap *h;

	if (!arn_boot())
		return NULL;
	lock_take(&arn_threads_lock);
	h = shared_free_list;
	if (h != NULL) {
		shared_free_list = h->parked_next;
		arn_heap_count_used(1);
	} else {
		h = arn_heap_new(HEAP_SHARED);
	}
	if (h != NULL)
		RELAXED_SET(h->parked, false);
	lock_drop(&arn_threads_lock);
	return h;
}

void arn_thread_shared_free(struct heap *h)
{
	lock_take(&arn_threads_lock);
	RELAXED_SET(h->parked, true);
	h->parked_next = shared_free_list;
	shared_free_list = h;
	arn_heap_count_used(-1);
	lock_drop(&arn_threads_lock);
}

bool arn_thread_is_arena(const struct heap *h)
{
	return h != RELAXED_GET(ended) && !RELAXED_GET(h->parked);
}

/* In the child of fork only one thread is left.  Heaps that were at rest wait for adoption; one
 * whose lock was held is in an unknown state and is left alone, but frees into it stay legal.
 * Most children exec at once: nothing is written to a heap at rest, which would copy its page. */
void arn_thread_fork_child(void)
{
	struct heap *mine = arn_heap;

	lock_reset(&arn_threads_lock);
	arn_lock_watch_again();
	for (struct heap *h = ACQUIRE_GET(arn_heaps); h != NULL; h = h->all_next) {
		if (!lock_is_held(&h->lock))
			continue;
		lock_reset(&h->lock);
		if (h->kind == HEAP_SHARED) {
			arn_heap_renew(h);
		} else if (h->kind == HEAP_THREAD) {
			/* Also our own, when a signal handler that interrupted malloc forks. */
			h->kind = HEAP_LOST;
			if (h == mine)
				arn_heap = &arn_heap_none;
		}
	}
	if (arn_heap_count() > 1) {
		survivor = arn_heap;
		orphans = true;
	}
}
