/* SPDX-License-Identifier: MIT
 *
 * starter.c - starter runs.  Layer heap; under heap->lock.
 */
#include "starter.h"

#include "fatal.h"
#include "pagemap.h"
#include "pages.h"
#include "run_ops.h"

#define GRANULES RUN_REGIONS_MAX
_Static_assert(GRANULES * QUANTUM == PAGE_BYTES, "a starter run is one page");

static inline unsigned granule_of(const struct run *r, const void *p)
{
	return (unsigned)(((uintptr_t)p - r->base) / QUANTUM);
}

/* As run_remote(), without a look at nwords. */
static inline _Atomic uint64_t *remote(struct run *r)
{
	return (_Atomic uint64_t *)&r->bits[GRANULES / WORD_BITS];
}

/* P, in R, starts no live block. */
static __attribute__((noreturn, cold)) void not_a_block(const struct run *r, const void *p)
{
	unsigned i = granule_of(r, p), start = bitmap_last(run_starts(r), 0, i, true),
		 end = bitmap_last(run_ends(r), 0, i, true);

	arn_heap_crime(start < i && (end == i || end < start) ? CRIME_INTERIOR : CRIME_DOUBLE_FREE,
		       p);
}

/* The last granule of the block that begins at granule I. */
static ARN_SLOW unsigned far_end(const struct run *r, unsigned i)
{
	const uint64_t *ends = run_ends(r);
	unsigned w = i / WORD_BITS;
	uint64_t bits;

	do
		bits = RELAXED_GET(ends[++w]);
	while (bits == 0);
	return w * WORD_BITS + bits_ctz(bits);
}

/* Granules of it. */
static inline unsigned length(const struct run *r, unsigned i)
{
	uint64_t bits = RELAXED_GET(run_ends(r)[i / WORD_BITS]) >> (i % WORD_BITS);

	return likely(bits != 0) ? bits_ctz(bits) + 1 : far_end(r, i) + 1 - i;
}

/* The granule at which the live block P begins. */
static inline unsigned block_at(struct run *r, const void *p)
{
	unsigned i = granule_of(r, p);
	uint64_t start = 1ull << (i % WORD_BITS);

	if (unlikely((RELAXED_GET(run_starts(r)[i / WORD_BITS]) & start) == 0))
		not_a_block(r, p);
	/* Another thread has freed it, and nobody took that in yet. */
	if (unlikely((atomic_load_explicit(&remote(r)[i / WORD_BITS], memory_order_relaxed) &
		      start) != 0))
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
	return i;
}

/* Each of the first classes has one granule more than the one before. */
static inline unsigned class_of(unsigned n)
{
	return likely(n <= NDIRECT) ? n : sizeclass_of(n * QUANTUM);
}

size_t arn_starter_size(struct run *r, const void *p)
{
	unsigned n = length(r, block_at(r, p)), cls = class_of(n);
	const struct heap *h =
		arn_heap_by_id(atomic_load_explicit(&r->owner, memory_order_relaxed));
	const struct bin *b = &h->bins[cls];

	/* Its owner has freed it.  Acquire pairs with the release in arn_starter_free(): whoever has
	 * a live block synchronised with the owner, after which it is not at hand, but another may
	 * be. */
	if (unlikely(ACQUIRE_GET(h->top[cls]) == &b->held[1] && RELAXED_GET(b->held[0]) == p))
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
	return n * QUANTUM;
}

/* ---- runs ---------------------------------------------------------------------------------- */

static struct run *starter_new(struct heap *h)
{
	/* Ends lie where a run of half as many regions again has its last remote words. */
	struct run *r = arn_run_slot_get(GRANULES / 2 * 3);

	if (r == NULL)
		return NULL;
	for (unsigned i = 0; i < 3 * (GRANULES / WORD_BITS); i++)
		atomic_store_explicit((_Atomic uint64_t *)&r->bits[i], 0, memory_order_relaxed);
	RELAXED_SET(r->nwords, GRANULES / WORD_BITS);
	RELAXED_SET(r->nregions, GRANULES);
	RELAXED_SET(r->nfree, GRANULES);
	RELAXED_SET(r->cls, 1); /* 16 bytes, as a granule */
	r->first = r->stop = r->begun = 0;
	r->lacks = GRANULES;
	r->waste = NULL;
	RELAXED_SET(r->state, (uint8_t)RUN_STARTER);
	atomic_store_explicit(&r->owner, h->id, memory_order_relaxed);
	if (!arn_pages_get(r, 1, 1, INFO_STARTER | h->info, 0)) {
		arn_run_slot_put(r);
		return NULL;
	}
	r->next = h->starters;
	h->starters = r;
	h->nstarters++;
	h->idle += PAGE_BYTES;
	return r;
}

void arn_starter_trim(struct heap *h)
{
	struct run **link = &h->starters, *r;

	while ((r = *link) != NULL) {
		if (r->nfree < GRANULES) {
			link = &r->next;
			continue;
		}
		*link = r->next;
		h->nstarters--;
		h->idle -= PAGE_BYTES;
		arn_run_release(r);
	}
}

/* ---- rows of free granules ---------------------------------------------------------------- */

/* Whether a block lies on both sides of the beginning of word W. */
static inline bool is_open(const struct run *r, unsigned w)
{
	while (w-- > 0)
		if (run_starts(r)[w] != run_ends(r)[w])
			return run_starts(r)[w] > run_ends(r)[w];
	return false;
}

/* The free granules of word W; *OPEN is told of word W, and becomes that of W + 1.  A block is all
 * bits from its start to its end: 2 * end - start. */
static inline uint64_t free_word(const struct run *r, unsigned w, bool *open)
{
	uint64_t starts = run_starts(r)[w], ends = run_ends(r)[w];
	uint64_t used = 2 * ends - starts - *open;

	*open = starts > ends || (*open && starts == ends);
	return ~used;
}

/* The first row of N free granules in [FROM, END) of R, or GRANULES.  END is that of a word. */
static unsigned search(const struct run *r, unsigned from, unsigned end, unsigned n)
{
	unsigned w = from / WORD_BITS, before = 0; /* free ones at the end of the word before */
	uint64_t mask = ~0ull << (from % WORD_BITS);
	bool open = is_open(r, w);

	for (; w < end / WORD_BITS; w++, mask = ~0ull) {
		uint64_t bits = free_word(r, w, &open) & mask, row = bits;

		if (bits == 0) {
			before = 0;
			continue;
		}
		if (bits == ~0ull) {
			before += WORD_BITS;
			if (before >= n)
				return (w + 1) * WORD_BITS - before;
			continue;
		}
		if (before + bits_ctz(~bits) >= n)
			return w * WORD_BITS - before;
		before = (unsigned)__builtin_clzll(~bits);
		if (n > WORD_BITS)
			continue;
		/* Each bit that is left begins a row of k, 2 k, ... N. */
		for (unsigned k = 1; k < n && row != 0;) {
			unsigned more = n - k < k ? n - k : k;

			row &= row >> more;
			k += more;
		}
		if (row != 0)
			return w * WORD_BITS + bits_ctz(row);
	}
	return GRANULES;
}

/* Begins another OS page of R for a block of N granules, behind the last one there is.  Returns
 * where, or GRANULES. */
static unsigned begin_page(struct run *r, unsigned n)
{
	unsigned last = bitmap_last(run_ends(r), 0, r->begun, true);
	unsigned at = last < r->begun ? last + 1 : 0;

	if (at + n > GRANULES)
		return GRANULES;
	r->begun = (uint16_t)bits_round_up(at + n, STARTER_STEP / QUANTUM);
	r->lacks = GRANULES;
	return at;
}

/* Whether R has a row of N free granules, which begins at `first` then: behind the last block;
 * else, before another OS page is begun, where something is free below. */
static bool has_row(struct run *r, unsigned n)
{
	unsigned at = GRANULES;

	if (n < r->lacks) {
		at = search(r, r->first, r->begun, n);
		if (at == GRANULES)
			at = search(r, 0, r->begun, n);
		if (at == GRANULES)
			r->lacks = n;
	}
	if (at == GRANULES) {
		at = begin_page(r, n);
		if (at == GRANULES)
			return false;
	}
	r->first = (uint16_t)at;
	r->stop = (uint16_t)bitmap_next(run_starts(r), at, r->begun, true);
	return true;
}

/* Puts a run with a row of N free granules before the others.  False: no room, or no memory. */
static ARN_SLOW bool find_row(struct heap *h, unsigned n)
{
	struct run **link = &h->starters, *r;

	for (; (r = *link) != NULL; link = &r->next)
		if (has_row(r, n)) {
			*link = r->next;
			r->next = h->starters;
			h->starters = r;
			return true;
		}
	return h->nstarters < (starter_is_first(h) ? STARTER_RUNS_FIRST : STARTER_RUNS) &&
	       starter_new(h) && has_row(h->starters, n);
}

/* ---- blocks -------------------------------------------------------------------------------- */

static inline void flip(uint64_t *map, unsigned i)
{
	RELAXED_SET(map[i / WORD_BITS], map[i / WORD_BITS] ^ 1ull << (i % WORD_BITS));
}

/* The block of class CLS that begins at the first granule of R's row, which is long enough. */
static inline void *cut(struct heap *h, struct run *r, unsigned cls, size_t bytes)
{
	unsigned n = (unsigned)(bytes / QUANTUM), at = r->first;

	r->first = (uint16_t)(at + n);
	RELAXED_SET(r->nfree, (uint16_t)(r->nfree - n));
	flip(run_starts(r), at);
	flip(run_ends(r), at + n - 1);
	heap_out_bytes(h, cls, 1, bytes);
	return (void *)(r->base + (uintptr_t)at * QUANTUM);
}

/* With the lock held, which it drops.  A function of its own, since the other is shorter without
 * any call in it. */
static ARN_SLOW void *malloc_slow(struct heap *h, unsigned cls)
{
	size_t bytes = arn_class[cls].size;
	void *p = NULL;

	heap_awake(h);
	if (find_row(h, (unsigned)(bytes / QUANTUM)))
		p = cut(h, h->starters, cls, bytes);
	lock_drop(&h->lock);
	return p;
}

void *arn_starter_malloc(struct heap *h, unsigned cls)
{
	size_t bytes = arn_class[cls].size;
	struct run *r;
	void *p;

	lock_take(&h->lock);
	r = h->starters;
	if (unlikely(r == NULL || r->first + bytes / QUANTUM > r->stop || heap_has_remote(h)))
		return malloc_slow(h, cls);
	p = cut(h, r, cls, bytes);
	lock_drop(&h->lock);
	return p;
}

/* The block at granule I of R, which has one; returns its bytes. */
static inline __attribute__((always_inline)) size_t put(struct heap *h, struct run *r, unsigned i)
{
	unsigned n = length(r, i);
	size_t bytes = n * QUANTUM;

	flip(run_starts(r), i);
	flip(run_ends(r), i + n - 1);
	RELAXED_SET(r->nfree, (uint16_t)(r->nfree + n));
	r->lacks = GRANULES;
	heap_out_bytes(h, class_of(n), -(size_t)1, -bytes);
	return bytes;
}

/* The first run, from which blocks are taken, stays while its heap has a thread. */
static inline void given(struct heap *h, const struct run *r)
{
	if (unlikely(r->nfree == GRANULES) && (r != h->starters || RELAXED_GET(h->parked)))
		arn_starter_trim(h);
}

/* R, the run of P, should be a starter run of H. */
static inline void check_run(const struct heap *h, const struct run *r, const void *p)
{
	/* Freed by two threads at a time: one of them may have given the run back already. */
	if (unlikely(r == NULL || RELAXED_GET(r->state) != RUN_STARTER ||
		     atomic_load_explicit(&r->owner, memory_order_relaxed) != h->id))
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
}

ARN_SLOW void arn_starter_give(struct heap *h, const void *p)
{
	struct run *r;

	lock_take(&h->lock);
	r = pagemap_run(p);
	check_run(h, r, p);
	put(h, r, block_at(r, p));
	given(h, r);
	lock_drop(&h->lock);
}

void arn_starter_free(struct heap *h, struct run *r, void *p)
{
	struct bin *b;
	unsigned cls;
	void **top;

	check_run(h, r, p);
	cls = class_of(length(r, block_at(r, p)));
	b = &h->bins[cls];
	/* As under the lock: a signal handler is served elsewhere, or it could give the class an
	 * array between the look at `top` and the store. */
	lock_count_up();
	top = h->top[cls];
	if (top == b->held && b->want < starter_takes(h, cls)) {
		b->want++; /* the next malloc */
		RELAXED_SET(b->held[0], p);
		RELEASE_SET(h->top[cls], top + 1);
		lock_count_down();
		return;
	}
	lock_count_down();
	if (unlikely(top[-1] == p))
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
	arn_starter_give(h, p);
}

void arn_starter_drop(struct heap *h, unsigned cls)
{
	struct bin *b = &h->bins[cls];
	struct run *r;

	if (h->top[cls] == b->held)
		return;
	r = pagemap_run(b->held[0]);
	check_run(h, r, b->held[0]);
	RELAXED_SET(h->top[cls], b->held);
	put(h, r, block_at(r, b->held[0]));
	given(h, r);
}

size_t arn_starter_collect(struct heap *h, struct run *r)
{
	size_t bytes = 0;

	for (unsigned w = 0; w < GRANULES / WORD_BITS; w++) {
		_Atomic uint64_t *word = &remote(r)[w];
		uint64_t bits;

		if (atomic_load_explicit(word, memory_order_relaxed) == 0)
			continue;
		/* Step C3 of remote.c. */
		bits = atomic_exchange_explicit(word, 0, memory_order_acq_rel);
		for (; bits != 0; bits &= bits - 1) {
			unsigned i = w * WORD_BITS + bits_ctz(bits);

			/* Its owner freed it too. */
			if (unlikely(!bitmap_test(run_starts(r), i)))
				not_a_block(r, (void *)(r->base + i * QUANTUM));
			bytes += put(h, r, i);
		}
	}
	given(h, r);
	return bytes;
}

bool arn_starter_all_free(struct run *r)
{
	for (unsigned w = 0; w < GRANULES / WORD_BITS; w++)
		if ((RELAXED_GET(run_starts(r)[w]) &
		     ~atomic_load_explicit(&remote(r)[w], memory_order_relaxed)) != 0)
			return false;
	return true;
}

bool arn_starter_check(const struct run *r)
{
	const uint64_t *starts = run_starts(r), *ends = run_ends(r);
	unsigned nfree = GRANULES;
	bool ok = r->state == RUN_STARTER && r->first <= r->stop && r->stop <= r->begun &&
		  (r->lacks == GRANULES || search(r, 0, r->begun, r->lacks) == GRANULES);

	for (unsigned i = 0; (i = bitmap_next(starts, i, GRANULES, true)) < GRANULES;) {
		unsigned end = bitmap_next(ends, i, GRANULES, true);

		ok &= end < r->begun && bitmap_next(starts, i + 1, end + 1, true) == end + 1 &&
		      (end < r->first || i >= r->stop);
		nfree -= end + 1 - i;
		i = end + 1;
	}
	return ok && nfree == r->nfree &&
	       bitmap_count(starts, 0, GRANULES) == bitmap_count(ends, 0, GRANULES);
}
