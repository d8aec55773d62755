/* SPDX-License-Identifier: MIT
 *
 * alloc.c - the malloc family: the slow halves of malloc and free, large blocks, realloc, aligned
 * blocks, and what may be asked about a block.  Layer api.
 */
#include "alloc.h"

#include <errno.h>
#include <string.h>

#include "bits.h"
#include "control.h"
#include "fatal.h"
#include "foreign.h"
#include "init.h"
#include "meta.h"
#include "options.h"
#include "os.h"
#include "pages.h"
#include "run_ops.h"
#include "starter.h"
#include "tcache.h"

_Atomic size_t arn_delete_mismatches;

static void *no_memory(void)
{
	errno = ENOMEM;
	return NULL;
}

/* ---- small ------------------------------------------------------------------------------- */

static void *small_malloc(struct heap *h, unsigned cls, size_t asked, size_t alignment)
{
	void **top = h->top[cls];
	void *p = top[-1];

	if (live_recording()) {
		p = arn_heap_recorded_malloc(h, cls, asked);
		if (control_pending())
			arn_control_serve_slow();
		return p;
	}
	if (h->kind == HEAP_SHARED)
		return arn_heap_shared_malloc(h, cls);
	if (p == NULL || ((uintptr_t)p & (alignment - 1)) != 0)
		return arn_tcache_refill_slow(h, cls, alignment > QUANTUM);
	ARN_STEP(h->top[cls], -1);
	return p;
}

/* ---- large and huge ------------------------------------------------------------------------ */

/* Blocks of a shared heap are listed in it, for arena_destroy(). */
static void large_link(struct heap *h, struct run *r)
{
	lock_take(&h->lock);
	r->sib_prev = NULL;
	r->sib_next = h->large;
	if (r->sib_next != NULL)
		r->sib_next->sib_prev = r;
	h->large = r;
	lock_drop(&h->lock);
}

static void large_unlink(struct heap *h, struct run *r)
{
	lock_take(&h->lock);
	if (r->sib_prev != NULL)
		r->sib_prev->sib_next = r->sib_next;
	else if (h->large == r)
		h->large = r->sib_next;
	if (r->sib_next != NULL)
		r->sib_next->sib_prev = r->sib_prev;
	lock_drop(&h->lock);
}

/* What a large block is for. */
enum purpose {
	ANY,
	SPARSE,  /* calloc: it may be written in few places */
	GROWING, /* realloc: more of the same will be wanted */
};

static struct run *large_get(size_t size, size_t alignment, uint32_t owner, enum purpose purpose)
{
	unsigned npages = (unsigned)((size + PAGE_BYTES - 1) >> PAGE_SHIFT);
	unsigned align = alignment > PAGE_BYTES ? (unsigned)(alignment >> PAGE_SHIFT) : 1;

	struct run *r = NULL;

	/* A table that calloc gives out may stay mostly unwritten: above a huge page it has a
	 * mapping, which declines them and is zero as a whole. */
	if (purpose != SPARSE || size <= HUGE_PAGE_BYTES)
		r = arn_pages_block_get(npages, align, purpose == GROWING, owner);
	/* Also where address space is short: a chunk of 4 MiB needs 8 for a moment. */
	if (r == NULL && size > HUGE_PAGE_BYTES)
		r = arn_huge_get((size_t)npages << PAGE_SHIFT, alignment, owner, purpose == SPARSE);
	return r;
}

/* Blocks that signal handlers freed while the code that they interrupted held a lock: a list
 * through the first word of the descriptors' bitmaps, which a large block does not use; LAST ends
 * it. */
static struct run *_Atomic deferred;

#define LAST ((struct run *)1)

static void large_defer(struct run *r)
{
	struct run *head = atomic_load_explicit(&deferred, memory_order_relaxed);

	do {
		r->bits[0] = (uintptr_t)(head != NULL ? head : LAST);
		/* Release pairs with the acquire exchange in arn_large_free_deferred(). */
	} while (!atomic_compare_exchange_weak_explicit(&deferred, &head, r, memory_order_release,
							memory_order_relaxed));
}

static void large_free(struct run *r)
{
	if (unlikely(r->bits[0] != 0))
		arn_crime(CRIME_DOUBLE_FREE, (void *)r->base);
	if (unlikely(arn_locks_mine != 0)) {
		large_defer(r);
		return;
	}
	if (r->owner != 0)
		large_unlink(arn_heap_by_id(r->owner), r);
	arn_live_tell(-run_block_bytes(r));
	arn_live_block_forget(r, run_block_bytes(r));
	if (r->state == RUN_HUGE)
		arn_huge_put(r);
	else
		arn_pages_block_put(r);
}

ARN_COLD void arn_large_free_deferred(void)
{
	/* Acquire pairs with the release in large_defer(). */
	struct run *r = atomic_exchange_explicit(&deferred, NULL, memory_order_acquire);

	while (r != NULL && r != LAST) {
		struct run *next = (struct run *)(uintptr_t)r->bits[0];

		r->bits[0] = 0;
		large_free(r);
		r = next;
	}
}

static void *large_malloc(struct heap *h, size_t size, size_t alignment, size_t asked,
			  enum purpose purpose)
{
	uint32_t owner = h->kind == HEAP_SHARED ? h->id : 0;
	struct run *r;

	if (unlikely(atomic_load_explicit(&deferred, memory_order_relaxed) != NULL &&
		     arn_locks_mine == 0))
		arn_large_free_deferred();
	if (size <= LARGE_MAX && alignment <= LARGE_MAX)
		r = large_get(size, alignment, owner, purpose);
	else
		r = arn_huge_get(size, alignment, owner, purpose == SPARSE);
	if (r == NULL)
		return NULL;
	if (owner != 0)
		large_link(h, r);
	arn_live_tell(run_block_bytes(r));
	RELAXED_SET(*run_block_waste(r), 0); /* late visitors look: remote.c */
	if (live_recording())
		arn_live_block(r, asked);
	return (void *)r->base;
}

/* ---- malloc ------------------------------------------------------------------------------- */

/* The smallest class that holds SIZE and whose regions all have the alignment; 0: none.  Runs begin
 * at a page, so region i is aligned when the class is a multiple. */
static inline unsigned aligned_class(size_t size, size_t alignment)
{
	if (unlikely(size > SMALL_MAX || alignment > PAGE_BYTES))
		return 0;
	_Static_assert(SMALL_MAX % PAGE_BYTES == 0, "what is rounded up stays small");
	size = bits_round_up(size, alignment);
	/* Each multiple of 16 is a class. */
	if (likely(size <= DIRECT_MAX))
		return (unsigned)sizeclass_direct(size);
	for (unsigned c = (unsigned)sizeclass_medium(size); c < NCLASSES; c++)
		if ((arn_class[c].size & (alignment - 1)) == 0)
			return c;
	return 0;
}

/* The heap for a call on H.  Mostly H itself, or the thread's.  Not so in a signal handler that
 * interrupted the holder of a lock: POSIX forbids it to call us, programs do it nevertheless when
 * they crash, and it must not wait for what cannot come.  It gets a shared heap, or NULL. */
static struct heap *heap_for(struct heap *h)
{
	if (likely(arn_locks_mine == 0))
		return h != NULL ? h : arn_thread_heap_slow();
	if (!arn_is_booted() || !arn_lock_soon(&arn_pages_lock) || !arn_lock_soon(&arn_meta_lock))
		return NULL;
	if (h == NULL)
		h = arn_thread_ended();
	return h != NULL && arn_lock_soon(&h->lock) ? h : NULL;
}

/* A thread without a heap: its program was handed back to libc, or there is no memory. */
static ARN_COLD void *libc_alloc(size_t size, size_t alignment)
{
	const struct foreign_calls *libc = arn_foreign_serving();

	if (libc == NULL)
		return no_memory();
	return alignment <= QUANTUM ? libc->malloc(size) : libc->memalign(alignment, size);
}

void *arn_alloc_in(struct heap *h, size_t size, size_t alignment)
{
	const size_t asked = size;
	unsigned cls;
	void *p;

	if (unlikely(alignment > PTRDIFF_MAX || size > PTRDIFF_MAX - alignment))
		return no_memory();
	h = heap_for(h);
	if (unlikely(h == NULL))
		return libc_alloc(size, alignment);
	if (unlikely(size == 0))
		size = 1;
	cls = aligned_class(size, alignment);
	for (int try = 0; try < 2; try++) {
		p = cls != 0 ? small_malloc(h, cls, asked, alignment)
			     : large_malloc(h, size, alignment, asked, ANY);
		if (likely(p != NULL || try > 0))
			break;
		/* What is cached or empty anywhere may be enough. */
		arn_trim(0);
	}
	if (unlikely(p == NULL))
		return no_memory();
	valgrind_malloc(p, size, false);
	return p;
}

ARN_SLOW void *arn_malloc_slow(size_t size)
{
	struct heap *h = arn_heap;
	const struct foreign_calls *libc;

	/* Nearly always: an empty bin of a thread's own heap, or a large block. */
	if (likely(size - 1 < LARGE_MAX && h->kind == HEAP_THREAD && arn_locks_mine == 0) &&
	    !live_recording()) {
		void *p = size <= SMALL_MAX ? arn_tcache_refill_slow(h, sizeclass_of(size), false)
					    : large_malloc(h, size, QUANTUM, size, ANY);

		if (likely(p != NULL)) {
			valgrind_malloc(p, size, false);
			return p;
		}
	}
	libc = arn_foreign_serving();
	if (libc != NULL)
		return libc->malloc(size);
	return arn_alloc_in(NULL, size, QUANTUM);
}

static void *large_calloc(struct heap *h, size_t n)
{
	bool zero;
	void *p;

	if (n > PTRDIFF_MAX - QUANTUM)
		return no_memory();
	h = heap_for(h);
	if (unlikely(h == NULL) && arn_foreign_serving() != NULL)
		return arn_foreign_serving()->calloc(1, n);
	p = h != NULL ? large_malloc(h, n, QUANTUM, n, SPARSE) : NULL;
	if (unlikely(p == NULL))
		return no_memory();
	/* What was never written is zero, and stays untouched. */
	zero = pagemap_run(p)->zero;
	valgrind_malloc(p, n, zero);
	return zero ? p : memset(p, 0, n);
}

void *arn_calloc_in(struct heap *h, size_t nmemb, size_t size)
{
	size_t n;
	void *p;

	if (unlikely(__builtin_mul_overflow(nmemb, size, &n)))
		return no_memory();
	if (n > SMALL_MAX)
		return large_calloc(h, n);
	p = arn_alloc_in(h, n, QUANTUM);
	return likely(p != NULL) ? memset(p, 0, n) : NULL;
}

ARN_SLOW void *arn_calloc_slow(size_t nmemb, size_t size)
{
	size_t n;
	void *p;

	if (unlikely(__builtin_mul_overflow(nmemb, size, &n)))
		return no_memory();
	if (n > SMALL_MAX)
		return large_calloc(NULL, n);
	p = tcache_malloc(n);
	return likely(p != NULL) ? memset(p, 0, n) : NULL;
}

/* ---- free --------------------------------------------------------------------------------- */

/* What P is, when it is no block of ours. */
static __attribute__((noreturn, cold)) void crime(const void *p)
{
	if (((uintptr_t)p & (QUANTUM - 1)) != 0)
		arn_crime(CRIME_MISALIGNED, p);
	if (arn_pages_contain(p))
		arn_crime(CRIME_DOUBLE_FREE, p);
	arn_crime(CRIME_FOREIGN, p);
}

/* The large or huge block that starts at P, whose info is INFO. */
static struct run *large_at(const void *p, uint32_t info)
{
	struct run *r;

	if (INFO_CLASS(info) == INFO_INNER)
		arn_crime(CRIME_INTERIOR, p);
	r = pagemap_run(p);
	if (r == NULL)
		crime(p);
	if (r->base != (uintptr_t)p)
		arn_crime(CRIME_INTERIOR, p);
	return r;
}

/* The class of the small block that starts at P, whose info is INFO. */
static inline unsigned class_at(const void *p, uint32_t info)
{
	struct run *r = pagemap_run(p);

	if (unlikely(r != NULL && INFO_CLASS(info) == INFO_STARTER))
		return sizeclass_of(arn_starter_size(r, p));
	if (unlikely(r == NULL || run_region_of(r, p) < 0))
		arn_crime(CRIME_INTERIOR, p);
	return INFO_CLASS(info);
}

/* Into the runs of this thread's own heap H. */
static void recorded_free(struct heap *h, void *p)
{
	arn_heap_recorded_free(h, pagemap_run(p), p);
	if (control_pending())
		arn_control_serve_slow();
}

/* P, whose info is INFO, where the run is another thread's, a bin is full, or a crime is likely. */
static ARN_SLOW void free_other(void *p, uint32_t info)
{
	struct heap *h = arn_heap, *owner;
	uint32_t cls = INFO_CLASS(info);

	if (info == 0) {
		if (!arn_foreign_free(p))
			crime(p);
		return;
	}
	valgrind_free(p);
	if (live_recording() && cls < NCLASSES)
		arn_live_forget(pagemap_run(p), p);
	if (cls > INFO_STARTER) {
		large_free(large_at(p, info));
	} else if (unlikely(arn_locks_mine != 0)) {
		arn_remote_free(&arn_heap_none, pagemap_run(p), p);
	} else if (INFO_OWNER(info) == h->id && h->kind == HEAP_THREAD) {
		if (cls == INFO_STARTER && arn_locks_mine == 0 && !live_recording())
			arn_starter_free(h, pagemap_run(p), p);
		else if (cls == INFO_STARTER)
			arn_starter_give(h, p);
		else if (h->top[cls][-1] == p)
			arn_crime(CRIME_DOUBLE_FREE, p);
		else if (live_recording())
			recorded_free(h, p);
		else
			arn_tcache_overflow_slow(h, cls, p);
	} else {
		owner = arn_heap_by_id(INFO_OWNER(info));
		if (owner->kind == HEAP_SHARED) {
			arn_heap_shared_free(owner, pagemap_run(p), p);
			return;
		}
		/* A thread that only frees gets a heap too: it gathers remote frees. */
		h = arn_thread_heap_slow();
		arn_remote_free(h != NULL ? h : &arn_heap_none, pagemap_run(p), p);
	}
}

/* P of R, which is small and another heap's, joins none of its word.  H has a table. */
static ARN_SLOW void free_first_of_word(struct heap *h, struct run *r, void *p, uint32_t info)
{
	if (likely(arn_locks_mine == 0 && arn_heap_by_id(INFO_OWNER(info))->kind != HEAP_SHARED))
		arn_remote_free(h, r, p);
	else
		free_other(p, info);
}

ARN_SLOW void arn_free_slow(void *p)
{
	page_info *m = pagemap_now();
	uintptr_t off = pagemap_offset(m, p);
	struct heap *h = arn_heap;
	uint32_t info, mine, cls;

	if (unlikely(!pagemap_covers(m, off))) {
		free_other(p, 0);
		return;
	}
	info = pagemap_info_at(m, off);
	mine = info ^ h->info;
	cls = INFO_CLASS(info);
	/* What short programs do. */
	if (mine == INFO_STARTER && arn_locks_mine == 0 && !live_recording() && !ARN_VALGRIND) {
		arn_starter_free(h, pagemap_run_at(m, off), p);
		return;
	}
	/* What a consumer does all day. */
	if (cls - 1 < NCLASSES - 1 && mine >> INFO_CLASS_BITS != 0 && h->combine != NULL &&
	    !live_recording() && !ARN_VALGRIND) {
		struct run *r = pagemap_run_at(m, off);

		if (likely(remote_join(h, r, cls, p)))
			return;
		free_first_of_word(h, r, p, info);
		return;
	}
	free_other(p, info);
}

/* ---- realloc ------------------------------------------------------------------------------- */

struct heap *arn_arena_of(const void *p)
{
	uint32_t info = pagemap_info(pagemap_now(), p);
	uint32_t id = info == 0 || INFO_CLASS(info) == INFO_INNER ? 0 : INFO_OWNER(info);
	struct heap *h = id != 0 ? arn_heap_by_id(id) : NULL;

	return h != NULL && h->kind == HEAP_SHARED ? h : NULL;
}

/* P, which does not move, was asked for as SIZE bytes now. */
static void request_change(void *p, size_t size)
{
	struct run *r = pagemap_run(p);

	if (r->state == RUN_SMALL) {
		arn_live_change(r, p, size);
	} else if (r->state != RUN_STARTER) { /* from before recording began */
		arn_live_block_forget(r, run_block_bytes(r));
		arn_live_block(r, size);
	}
}

/* Memory was short once, and a block that should shrink stayed as it was: its size says no more
 * what was asked. */
static bool some_too_large;

/* glibc never fails to shrink. */
static void *not_shrunk(void *p)
{
	RELAXED_SET(some_too_large, true);
	return p;
}

/* A block that has grown and will grow again. */
static void *large_grown(struct heap *arena, size_t size)
{
	struct heap *h = heap_for(arena);
	void *p = h != NULL ? large_malloc(h, size, QUANTUM, size, GROWING) : NULL;

	if (p != NULL)
		valgrind_malloc(p, size, false);
	return p;
}

/* A block of WISH, or at least SIZE bytes in ARENA (NULL: the thread's heap) with the contents of
 * P, which is freed. */
static void *realloc_move(struct heap *arena, void *p, size_t old, size_t size, size_t wish)
{
	void *q = wish > size     ? large_grown(arena, wish)
		  : arena == NULL ? tcache_malloc(wish)
				  : arn_alloc_in(arena, wish, QUANTUM);

	if (unlikely(q == NULL && wish > size)) {
		q = arn_alloc_in(arena, size, QUANTUM);
		wish = size;
	}
	if (unlikely(q == NULL))
		return size <= old ? not_shrunk(p) : NULL;
	valgrind_resize(q, wish, size, wish);
	if (live_recording() && wish > size)
		request_change(q, size);
	old = valgrind_asked(p, old);
	/* Not memcpy, since tcache.c needs memmove anyway: each name of libc's is a look-up in
	 * every exec, and in glibc both are one function. */
	memmove(q, p, old < size ? old : size);
	tcache_free(p);
	return q;
}

/* The block of R, whose length has changed from BYTES. */
static void *resized(struct run *r, size_t bytes, size_t size)
{
	arn_live_tell(run_block_bytes(r) - bytes);
	if (live_recording()) {
		arn_live_block_forget(r, bytes);
		arn_live_block(r, size);
	}
	return (void *)r->base;
}

static void *realloc_large(void *p, struct run *r, size_t size)
{
	size_t old = r->size, bytes = run_block_bytes(r), wish = size,
	       asked = valgrind_asked(p, old);

	if (unlikely(arn_locks_mine != 0))
		return realloc_move(arn_arena_of(p), p, old, size, size);
	if (r->state == RUN_HUGE) {
		/* What has a mapping with a little room keeps it: back in a chunk it would soon be
		 * blocked again. */
		if (size <= LARGE_MAX && size <= old && size >= old - old / 4) {
			valgrind_resize(p, asked, size, old);
			return resized(r, bytes, size);
		}
		/* Memcheck takes a block that was moved for a new one. */
		if (size > LARGE_MAX && arn_huge_resize(r, size, !ARN_VALGRIND)) {
			valgrind_resize(p, asked, size, r->size);
			return resized(r, bytes, size);
		}
	} else if (size > SMALL_MAX && size <= LARGE_MAX) {
		if (arn_pages_resize(r, (unsigned)((size + PAGE_BYTES - 1) >> PAGE_SHIFT))) {
			valgrind_resize(p, asked, size, r->size);
			return resized(r, bytes, size);
		}
		/* Blocked: whoever grows step by step gets room for the next steps, so that n steps
		 * copy O(n) bytes.  What is not written is not resident. */
		if (size > old)
			wish = size + size / 4;
	}
	return realloc_move(arn_arena_of(p), p, old, size, wish);
}

/* A block of a run.  It stays where it is only within its class, so that the size asked last always
 * tells the class: free_sized() checks it. */
static void *realloc_small(void *p, uint32_t info, size_t size)
{
	unsigned cls = class_at(p, info);
	const size_t old = arn_class[cls].size;

	if (size <= SMALL_MAX && sizeclass_of(size) == cls) {
		valgrind_resize(p, valgrind_asked(p, old), size, old);
		if (live_recording())
			request_change(p, size);
		return p;
	}
	return realloc_move(arn_arena_of(p), p, old, size, size);
}

static ARN_SLOW void *realloc_slow(void *p, size_t size)
{
	uint32_t info;

	if (p == NULL)
		return tcache_malloc(size);
	if (size == 0) {
		tcache_free(p);
		return NULL;
	}
	if (unlikely(size > PTRDIFF_MAX))
		return no_memory();
	info = pagemap_info(pagemap_now(), p);
	if (unlikely(info == 0)) {
		void *q;

		if (!arn_foreign_realloc(p, size, &q))
			crime(p);
		return q;
	}
	if (likely(INFO_CLASS(info) <= INFO_STARTER))
		return realloc_small(p, info, size);
	return realloc_large(p, large_at(p, info), size);
}

/* Mostly a small block of this thread becomes another one. */
void *arn_realloc(void *p, size_t size)
{
	page_info *m = pagemap_now();
	uintptr_t off = pagemap_offset(m, p), region;
	struct heap *h = arn_heap;
	const struct sizeclass *sc;
	size_t old, cls;
	struct run *r;
	void *q;

	if (unlikely(size - 1 >= SMALL_MAX || !pagemap_covers(m, off)) || ARN_VALGRIND)
		return realloc_slow(p, size);
	old = pagemap_info_at(m, off) ^ h->info;
	r = pagemap_run_at(m, off);
	if (unlikely(old >= NCLASSES || r == NULL))
		return realloc_slow(p, size);
	sc = &arn_class[old];
	region = sizeclass_region(sc, (uintptr_t)p - r->base);
	if (unlikely(region >= r->nregions))
		arn_crime(CRIME_INTERIOR, p);
	cls = sizeclass_of(size);
	if (cls == old)
		return live_recording() ? realloc_slow(p, size) : p;
	q = tcache_take(h, cls);
	if (unlikely(q == NULL))
		return realloc_move(NULL, p, sc->size, size, size);
	q = memmove(q, p, size < sc->size ? size : sc->size);
	/* The heap is loaded again rather than saved. */
	if (unlikely(!tcache_push(arn_heap, old, p)))
		arn_free_slow(p);
	return q;
}

void *arn_reallocarray(void *p, size_t nmemb, size_t size)
{
	size_t n;

	if (__builtin_mul_overflow(nmemb, size, &n))
		return no_memory();
	return arn_realloc(p, n);
}

/* ---- aligned -------------------------------------------------------------------------------- */

/* ALIGNMENT is a power of two. */
static inline void *malloc_aligned(size_t size, size_t alignment)
{
	struct heap *h = arn_heap;
	unsigned cls = aligned_class(size, alignment); /* 0, whose bin is empty: general path */
	void *p = h->top[cls][-1];

	/* A starter block at hand may be aligned to less. */
	if (unlikely(p == NULL || ((uintptr_t)p & (alignment - 1)) != 0))
		return arn_alloc_in(NULL, size, alignment);
	ARN_STEP(h->top[cls], -1);
	valgrind_malloc(p, size, false);
	return p;
}

void *arn_memalign(size_t alignment, size_t size)
{
	if (alignment > SIZE_MAX / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	if (alignment <= QUANTUM)
		return tcache_malloc(size);
	if (!bits_is_pow2(alignment))
		alignment = (size_t)2 << bits_log2(alignment);
	return malloc_aligned(size, alignment);
}

int arn_posix_memalign(void **out, size_t alignment, size_t size)
{
	void *p;

	if (!bits_is_pow2(alignment) || alignment % sizeof(void *) != 0)
		return EINVAL;
	/* POSIX leaves errno open; glibc sets it too when memory runs out. */
	p = malloc_aligned(size, alignment < QUANTUM ? QUANTUM : alignment);
	if (p == NULL)
		return ENOMEM;
	*out = p;
	return 0;
}

void *arn_pvalloc(size_t size)
{
	size_t page = arn_os_page_bytes();

	if (size > PTRDIFF_MAX - page)
		return no_memory();
	return arn_memalign(page, bits_round_up(size == 0 ? 1 : size, page));
}

/* ---- questions ------------------------------------------------------------------------------ */

static size_t usable_size(const void *p)
{
	uint32_t info, cls;
	size_t n;

	if (p == NULL)
		return 0;
	info = pagemap_info(pagemap_now(), p);
	cls = INFO_CLASS(info);
	if (unlikely(info == 0)) {
		if (!arn_foreign_usable_size(p, &n))
			crime(p);
		return n;
	}
	if (cls > INFO_STARTER)
		return large_at(p, info)->size;
	return arn_class[class_at(p, info)].size;
}

size_t arn_usable_size(const void *p)
{
	return valgrind_asked(p, usable_size(p));
}

size_t arn_good_size(size_t size)
{
	if (size > PTRDIFF_MAX)
		return 0;
	if (size <= SMALL_MAX)
		return arn_class[sizeclass_of(size == 0 ? 1 : size)].size;
	return bits_round_up(size, size <= LARGE_MAX ? PAGE_BYTES : arn_os_page_bytes());
}

/* Whether a block that was asked with SIZE and ALIGNMENT may have USABLE bytes.  One of a class has
 * exactly those; a larger one may have got a quarter more while it grew. */
static bool size_fits(size_t usable, size_t size, size_t alignment)
{
	unsigned cls = bits_is_pow2(alignment) ? aligned_class(size == 0 ? 1 : size, alignment) : 0;

	if (unlikely(RELAXED_GET(some_too_large)))
		return size <= usable;
	if (cls != 0)
		return usable == arn_class[cls].size;
	return size <= usable && usable - size <= usable / 4 + PAGE_BYTES;
}

/* Of a block that is not ours nothing is known; arn_free_slow() sees whether it may be. */
static bool is_ours(const void *p)
{
	return pagemap_info(pagemap_now(), p) != 0;
}

void arn_free_sized(void *p, size_t size)
{
	if (is_ours(p) && !size_fits(usable_size(p), size, QUANTUM))
		arn_crime(CRIME_WRONG_SIZE, p);
	tcache_free(p);
}

void arn_free_aligned_sized(void *p, size_t alignment, size_t size)
{
	if (is_ours(p) && !size_fits(usable_size(p), size, alignment))
		arn_crime(CRIME_WRONG_SIZE, p);
	tcache_free(p);
}

ARN_SLOW void arn_delete_slow(void *p, size_t size)
{
	uint32_t info = pagemap_info(pagemap_now(), p);

	if (info != 0 && INFO_CLASS(info) != INFO_INNER &&
	    !size_fits(usable_size(p), size, QUANTUM))
		atomic_fetch_add_explicit(&arn_delete_mismatches, 1, memory_order_relaxed);
	tcache_free(p);
}

/* ---- trimming ------------------------------------------------------------------------------- */

int arn_trim(size_t pad)
{
	struct heap *mine = arn_heap;
	size_t before, slots;

	if (unlikely(arn_locks_mine != 0)) /* see heap_for() */
		return 0;
	arn_large_free_deferred();
	before = RELAXED_GET(arn_pages.purged);
	if (mine->kind == HEAP_THREAD)
		arn_tcache_flush_all(mine);
	/* Of other threads' heaps, what is at rest. */
	for (struct heap *h = ACQUIRE_GET(arn_heaps); h != NULL; h = h->all_next) {
		if (h->kind == HEAP_LOST || !lock_try(&h->lock))
			continue;
		arn_heap_trim(h);
		lock_drop(&h->lock);
	}
	arn_pages_trim(pad);
	slots = pad < RELAXED_GET(arn_meta_mapped) ? arn_run_slot_trim() : 0;
	return RELAXED_GET(arn_pages.purged) != before || slots > 0;
}

/* glibc's parameters, by number: <malloc.h> does not name the undocumented one. */
enum {
	OPT_MXFAST = 1,
	OPT_KEEP = 4, /* 2, 3 and 4 are SVID's, without effect in glibc too */
	OPT_TRIM_THRESHOLD = -1,
	OPT_ARENA_MAX = -8,
};

int arn_mallopt(int param, int value)
{
	/* Fastbins, mmap thresholds, arenas, perturbation: accepted, without a meaning here. */
	if (param == 0 || param > OPT_KEEP || param < OPT_ARENA_MAX)
		return 0;
	if (param == OPT_MXFAST && (value < 0 || value > (int)(80 * sizeof(size_t) / 4)))
		return 0;
	/* The bytes of free memory that may stay: here, the fixed part of the dirty bound. */
	if (param == OPT_TRIM_THRESHOLD) {
		RELAXED_SET(arn_options.dirty_kib,
			    value < 0 ? SIZE_MAX / KIB / 2 : (size_t)value / KIB);
		arn_option_sources[OPTION_dirty_kib].origin = ORIGIN_MALLOPT;
	}
	return 1;
}
