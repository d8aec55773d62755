/* SPDX-License-Identifier: MIT
 *
 * tcache.c - refilling, growing and flushing the arrays of a thread's tcache.  Layer tcache.
 *
 * An array of 2^k pointers: the NULL sentinel, then room for 2^k - 1.  It grows on overflow, so
 * that its size follows the program's swing, and only at its largest flushes its older half: the
 * regions at the bottom have waited longest, those at the top are warm in the CPU's cache.
 */
#include "tcache.h"

#include "control.h"
#include "starter.h"
#include "tcache_inl.h"

#define POINTERS_PER_LINE (ARN_CACHE_LINE / sizeof(void *))

/* The largest 2^k - 1 that is at most N. */
static unsigned cap_floor(unsigned n)
{
	return (1u << bits_log2(n + 1)) - 1;
}

/* A 32-bit machine has 16 pointers in a line, more than the smallest array needs. */
static unsigned array_lines(unsigned cap)
{
	return (unsigned)((cap + POINTERS_PER_LINE) / POINTERS_PER_LINE);
}

static unsigned array_kind(unsigned cap)
{
	return META_ARRAY + bits_log2(array_lines(cap));
}

static unsigned cap_max(unsigned cls)
{
	return cap_floor(arn_class[cls].cache_max);
}

/* With h->lock held.  Until its owner is done a bin looks empty and full, to a signal handler too.
 */
static void bin_hide(struct heap *h, unsigned cls)
{
	h->limit[cls] = h->bins[cls].base;
	RELAXED_SET(h->top[cls], h->bins[cls].base);
	atomic_signal_fence(memory_order_seq_cst);
}

/* With h->lock held: a child forked in between leaves the heap alone.  Gives bin CLS an array for
 * CAP pointers with the old contents.  False: no memory, no change. */
static bool array_set(struct heap *h, unsigned cls, unsigned cap)
{
	struct bin *b = &h->bins[cls];
	void **old = b->base;
	size_t n = tcache_count(h, cls);
	void **a = arn_meta_get(array_kind(cap), array_lines(cap));

	if (a == NULL)
		return false;
	*a++ = NULL;
	if (old != NULL)
		bin_hide(h, cls);
	for (size_t i = 0; i < n; i++)
		a[i] = old[i];
	RELAXED_SET(h->top[cls], a + n);
	atomic_signal_fence(memory_order_seq_cst);
	h->limit[cls] = a + cap;
	RELAXED_SET(b->base, a);
	if (old != NULL)
		arn_meta_put(array_kind(b->cap), old - 1);
	b->cap = (uint16_t)cap;
	return true;
}

static bool array_first(struct heap *h, unsigned cls)
{
	unsigned cap = cap_max(cls);

	arn_starter_drop(h, cls);
	if (cap > TCACHE_CAP_FIRST)
		cap = TCACHE_CAP_FIRST;
	if (!array_set(h, cls, cap))
		return false;
	h->bins[cls].want = REFILL_FIRST;
	return true;
}

/* With h->lock held.  Fills the empty bin and pops one region of a run. */
static ARN_SLOW void *refill(struct heap *h, unsigned cls)
{
	struct bin *b = &h->bins[cls];
	unsigned want, got;
	void *p = NULL, **limit;

	if (b->base == NULL && !array_first(h, cls)) {
		/* No memory for an array: one region at a time. */
		arn_heap_take(h, cls, &p + 1, 1);
		return p;
	}
	/* Without this, what is only allocated would be refilled by few for ever.  Not at the
	 * second refill yet, after which most classes of small processes need no more. */
	if (b->cap == TCACHE_CAP_FIRST && cap_max(cls) > b->cap &&
	    (b->want > 2 * REFILL_FIRST || b->want >= arn_class[cls].refill_max))
		array_set(h, cls, 2 * b->cap + 1u);
	want = b->want;
	if (want > arn_class[cls].refill_max)
		want = arn_class[cls].refill_max;
	if (want > b->cap)
		want = b->cap;
	/* A bin that shrank is wanted again. */
	limit = h->limit[cls] < b->base + want ? b->base + want : h->limit[cls];
	bin_hide(h, cls);
	got = arn_heap_take(h, cls, b->base + want, want);
	if (got == 0) {
		h->limit[cls] = limit;
		return NULL;
	}
	if (got < want)
		__builtin_memmove(b->base, b->base + want - got, got * sizeof *b->base);
	else if (b->want < arn_class[cls].refill_max)
		b->want *= 2;
	p = b->base[got - 1];
	atomic_signal_fence(memory_order_seq_cst);
	RELAXED_SET(h->top[cls], b->base + got - 1);
	h->limit[cls] = limit;
	return p;
}

ARN_SLOW void *arn_tcache_refill_slow(struct heap *h, unsigned cls, bool aligned)
{
	struct bin *b = &h->bins[cls];
	void *p = NULL;

	if (b->base == NULL && !aligned && starter_serves(h, cls, b->want)) {
		b->want += STARTER_FRESH;
		p = arn_starter_malloc(h, cls);
	}
	if (p == NULL) {
		lock_take(&h->lock);
		p = refill(h, cls);
		lock_drop(&h->lock);
	}
	if (unlikely(control_pending()))
		arn_control_serve_slow();
	return p;
}

/* With h->lock held.  Flushes the N oldest regions of a bin. */
static void flush(struct heap *h, unsigned cls, size_t n)
{
	struct bin *b = &h->bins[cls];
	size_t kept = tcache_count(h, cls) - n;
	void **limit = h->limit[cls];

	bin_hide(h, cls);
	arn_heap_give(h, cls, b->base, (unsigned)n);
	__builtin_memmove(b->base, b->base + n, kept * sizeof *b->base);
	atomic_signal_fence(memory_order_seq_cst);
	RELAXED_SET(h->top[cls], b->base + kept);
	h->limit[cls] = limit;
}

/* About how many bytes of address space the cached regions of a full bin lie scattered over, from
 * SAMPLES of them. */
#define SAMPLES 16

static size_t scatter(void *const *base, size_t n)
{
	uintptr_t low = (uintptr_t)base[0], high = low;

	for (size_t i = 1; i < SAMPLES; i++) {
		uintptr_t p = (uintptr_t)base[i * n / SAMPLES];

		low = p < low ? p : low;
		high = p > high ? p : high;
	}
	return high - low;
}

/* With h->lock held.  Makes room in a full bin.  A bin grows without a flush while that pins
 * little: its regions lie close together, or so many others of the class are live that their runs
 * stay anyway.  Otherwise the program is giving its memory back, each cached region may be the last
 * one of a run, and the bin shrinks with what is live. */
static void make_room(struct heap *h, unsigned cls)
{
	struct bin *b = &h->bins[cls];
	size_t n = tcache_count(h, cls), room = (size_t)(h->limit[cls] - b->base);
	size_t live = b->out > n ? b->out - n : 0;
	bool pins = live < 4 * n && scatter(b->base, n) > TCACHE_PIN_BYTES;
	size_t target;

	if (!pins) {
		target = 2 * room + 1;
		if (target <= b->cap) {
			h->limit[cls] = b->base + target;
			return;
		}
		if (b->cap < cap_max(cls) && array_set(h, cls, 2 * b->cap + 1u))
			return;
		flush(h, cls, (n + 1) / 2);
		return;
	}
	target = live / 4 < 1 ? 1 : cap_floor((unsigned)(live / 4 < room ? live / 4 : room));
	flush(h, cls, n - target / 2);
	h->limit[cls] = b->base + target;
}

ARN_SLOW void arn_tcache_overflow_slow(struct heap *h, unsigned cls, void *p)
{
	struct bin *b = &h->bins[cls];

	lock_take(&h->lock);
	if (b->base == NULL && !array_first(h, cls)) {
		arn_heap_give(h, cls, &p, 1);
		lock_drop(&h->lock);
		return;
	}
	if (h->top[cls] == h->limit[cls])
		make_room(h, cls);
	lock_drop(&h->lock);
	*h->top[cls] = p;
	ARN_STEP(h->top[cls], 1);
	if (unlikely(control_pending()))
		arn_control_serve_slow();
}

void arn_tcache_drop_arrays(struct heap *h)
{
	lock_take(&h->lock);
	for (unsigned c = 1; c < NCLASSES; c++) {
		struct bin *b = &h->bins[c];
		void **a = b->base;

		ARN_ASSERT(tcache_count(h, c) == 0);
		b->want = 0; /* whoever comes next begins small */
		if (a == NULL)
			continue;
		RELAXED_SET(b->base, NULL);
		arn_heap_set_empty_bin(h, c);
		arn_meta_put(array_kind(b->cap), a - 1);
		b->cap = 0;
	}
	arn_starter_trim(h);
	arn_heap_forget(h);
	lock_drop(&h->lock);
}

void arn_tcache_flush_all(struct heap *h)
{
	arn_remote_flush(h);
	lock_take(&h->lock);
	for (unsigned c = 1; c < NCLASSES; c++) {
		size_t n = tcache_count(h, c);

		if (h->bins[c].base == NULL)
			arn_starter_drop(h, c);
		else if (n > 0)
			flush(h, c, n);
	}
	arn_heap_collect(h);
	lock_drop(&h->lock);
}

bool arn_tcache_close(void)
{
	struct heap *mine = arn_heap;

	for (struct heap *h = ACQUIRE_GET(arn_heaps); h != NULL; h = h->all_next)
		if (h != mine && h->kind == HEAP_THREAD)
			return false;
	if (mine->kind != HEAP_THREAD)
		return true;
	arn_tcache_flush_all(mine);
	/* A heap without arrays looks empty and full already, and gets none while recording is on.
	 */
	for (unsigned c = 1; c < NCLASSES; c++)
		if (mine->bins[c].base != NULL)
			mine->limit[c] = mine->bins[c].base;
	return true;
}
