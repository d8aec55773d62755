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

static inline bool is_set(const uint64_t *map, unsigned i)
{
	return RELAXED_GET(map[i / WORD_BITS]) >> (i % WORD_BITS) & 1;
}

static inline void flip(uint64_t *map, unsigned i)
{
	RELAXED_SET(map[i / WORD_BITS], map[i / WORD_BITS] ^ 1ull << (i % WORD_BITS));
}

/* P, in R, starts no live block. */
static __attribute__((noreturn, cold)) void not_a_block(const struct run *r, const void *p)
{
	arn_heap_crime(is_set(r->bits, granule_of(r, p)) ? CRIME_DOUBLE_FREE : CRIME_INTERIOR, p);
}

/* Granules of the block that begins at granule I. */
static inline unsigned length(const struct run *r, unsigned i)
{
	const uint64_t *ends = run_ends(r);
	unsigned w = i / WORD_BITS;
	uint64_t bits = RELAXED_GET(ends[w]) >> (i % WORD_BITS);

	if (likely(bits != 0))
		return bits_ctz(bits) + 1;
	do
		bits = RELAXED_GET(ends[++w]);
	while (bits == 0);
	return w * WORD_BITS + bits_ctz(bits) + 1 - i;
}

/* The granule at which the live block P begins. */
static inline unsigned block_at(struct run *r, const void *p)
{
	unsigned i = granule_of(r, p);
	uint64_t word;

	if (unlikely(!is_set(run_starts(r), i)))
		not_a_block(r, p);
	/* Another thread has freed it, and nobody took that in yet. */
	word = atomic_load_explicit(&run_remote(r)[i / WORD_BITS], memory_order_relaxed);
	if (unlikely((word >> (i % WORD_BITS) & 1) != 0))
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
	return i;
}

size_t arn_starter_size(struct run *r, const void *p)
{
	return length(r, block_at(r, p)) * QUANTUM;
}

/* ---- runs ---------------------------------------------------------------------------------- */

static struct run *starter_new(struct heap *h)
{
	/* Starts and ends lie where a run of twice as many regions has its remote words. */
	struct run *r = arn_run_slot_get(2 * GRANULES);

	if (r == NULL)
		return NULL;
	for (unsigned i = 0; i < GRANULES / WORD_BITS; i++) {
		RELAXED_SET(r->bits[i], ~0ull);
		atomic_store_explicit((_Atomic uint64_t *)&r->bits[GRANULES / WORD_BITS + i], 0,
				      memory_order_relaxed);
	}
	RELAXED_SET(r->nwords, GRANULES / WORD_BITS);
	RELAXED_SET(r->nregions, GRANULES);
	RELAXED_SET(r->nfree, GRANULES);
	RELAXED_SET(r->cls, 1); /* 16 bytes, as a granule */
	r->first = r->used = 0;
	r->lacks = GRANULES;
	r->gone_kib = 0;
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

/* ---- blocks -------------------------------------------------------------------------------- */

/* N bits from I on change their value. */
static inline void flip_row(uint64_t *map, unsigned i, unsigned n)
{
	unsigned w = i / WORD_BITS, at = i % WORD_BITS, last = (i + n) / WORD_BITS;

	if (likely(at + n <= WORD_BITS)) {
		map[w] ^= bits_low(n) << at;
		return;
	}
	map[w] ^= ~0ull << at;
	while (++w < last)
		map[w] ^= ~0ull;
	if ((i + n) % WORD_BITS != 0)
		map[w] ^= bits_low((i + n) % WORD_BITS);
}

/* Begins (USED) or ends a block of N granules at granule I. */
static inline void mark(struct run *r, unsigned i, unsigned n, bool used)
{
	flip(run_starts(r), i);
	flip(run_ends(r), i + n - 1);
	RELAXED_SET(r->nfree, (uint16_t)(used ? r->nfree - n : r->nfree + n));
	flip_row(r->bits, i, n);
}

/* Whether N granules from I on are free; the words behind the map may be read. */
static inline bool is_free(const struct run *r, unsigned i, unsigned n)
{
	unsigned w = i / WORD_BITS, at = i % WORD_BITS;
	uint64_t used = ~r->bits[w] >> at;

	if (n > WORD_BITS)
		return bitmap_next(r->bits, i, i + n, false) == i + n;
	if (at + n > WORD_BITS)
		used |= ~r->bits[w + 1] << (WORD_BITS - at);
	return (used & bits_low(n)) == 0;
}

static ARN_SLOW unsigned search(const struct run *r, unsigned from, unsigned end, unsigned n)
{
	while ((from = bitmap_next(r->bits, from, end, true)) + n <= end) {
		unsigned stop = bitmap_next(r->bits, from, from + n, false);

		if (stop == from + n)
			return from;
		from = stop;
	}
	return GRANULES;
}

/* The first row of N free granules in [FROM, END) of R, or GRANULES. */
static inline unsigned find(const struct run *r, unsigned from, unsigned end, unsigned n)
{
	/* Mostly there. */
	if (from + n > end)
		return GRANULES;
	return likely(is_free(r, from, n)) ? from : search(r, from, end, n);
}

/* Granules of the OS pages that R has begun. */
static inline unsigned begun_granules(const struct run *r)
{
	return (unsigned)bits_round_up(r->used, STARTER_STEP / QUANTUM);
}

/* Where the next block of N granules goes in R: behind the last one; else, before another OS page
 * is begun, into what is free below; or GRANULES. */
static inline unsigned place(struct run *r, unsigned n)
{
	unsigned begun = begun_granules(r), at;

	if (n < r->lacks) {
		at = find(r, r->first, begun, n);
		if (at == GRANULES && r->nfree > GRANULES - begun)
			at = find(r, 0, begun, n);
		if (at < GRANULES)
			return at;
		r->lacks = n;
	}
	return find(r, r->used, GRANULES, n);
}

void *arn_starter_take(struct heap *h, unsigned cls)
{
	unsigned n = arn_class[cls].size / QUANTUM, at = GRANULES;
	struct run *r;

	for (r = h->starters; r != NULL; r = r->next) {
		at = place(r, n);
		if (at < GRANULES)
			break;
	}
	if (r == NULL) {
		if (h->nstarters < (starter_is_first(h) ? STARTER_RUNS_FIRST : STARTER_RUNS))
			r = starter_new(h);
		if (r == NULL)
			return NULL;
		at = 0;
	}
	mark(r, at, n, true);
	r->first = (uint16_t)(at + n);
	if (r->first > r->used) {
		r->used = r->first;
		r->lacks = GRANULES;
	}
	heap_out(h, cls, 1);
	return (void *)(r->base + (uintptr_t)at * QUANTUM);
}

/* The block at granule I of R, which has one; returns its bytes. */
static inline size_t put(struct heap *h, struct run *r, unsigned i)
{
	unsigned n = length(r, i);

	mark(r, i, n, false);
	r->lacks = GRANULES;
	heap_out(h, sizeclass_of(n * QUANTUM), -(size_t)1);
	return n * QUANTUM;
}

/* The first run, from which blocks are taken, stays while its heap has a thread. */
static void given(struct heap *h, const struct run *r)
{
	if (r->nfree == GRANULES && (r != h->starters || RELAXED_GET(h->parked)))
		arn_starter_trim(h);
}

void arn_starter_give(struct heap *h, struct run *r, const void *p)
{
	/* Freed by two threads at a time: one of them may have given the run back already. */
	if (unlikely(r == NULL || r->state != RUN_STARTER || r->owner != h->id))
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
	put(h, r, block_at(r, p));
	given(h, r);
}

size_t arn_starter_collect(struct heap *h, struct run *r)
{
	size_t bytes = 0;

	for (unsigned w = 0; w < GRANULES / WORD_BITS; w++) {
		_Atomic uint64_t *word = &run_remote(r)[w];
		uint64_t bits;

		if (atomic_load_explicit(word, memory_order_relaxed) == 0)
			continue;
		/* Step C3 of remote.c. */
		bits = atomic_exchange_explicit(word, 0, memory_order_acq_rel);
		for (; bits != 0; bits &= bits - 1) {
			unsigned i = w * WORD_BITS + bits_ctz(bits);

			/* Its owner freed it too. */
			if (unlikely(!is_set(run_starts(r), i)))
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
		     ~atomic_load_explicit(&run_remote(r)[w], memory_order_relaxed)) != 0)
			return false;
	return true;
}

bool arn_starter_check(const struct run *r)
{
	unsigned n = bitmap_count(r->bits, 0, GRANULES);
	bool ok = r->state == RUN_STARTER && n == r->nfree && r->first <= r->used &&
		  bitmap_next(r->bits, r->used, GRANULES, false) == GRANULES &&
		  (r->lacks == GRANULES || search(r, 0, begun_granules(r), r->lacks) == GRANULES);

	for (unsigned i = 0; i < GRANULES;) {
		unsigned len;

		if (bitmap_test(r->bits, i)) {
			ok &= !is_set(run_starts(r), i) && !is_set(run_ends(r), i);
			i++;
			continue;
		}
		if (!is_set(run_starts(r), i))
			return false;
		len = length(r, i);
		ok &= bitmap_next(r->bits, i, i + len, true) == i + len;
		ok &= bitmap_next(run_starts(r), i + 1, i + len, true) == i + len;
		i += len;
	}
	return ok;
}
