/* SPDX-License-Identifier: MIT
 *
 * heap.c - bins of runs: taking regions out for a tcache and giving them back.  Layer heap; under
 * heap->lock (the table of heaps: under the caller's threads_lock).
 */
#include "heap.h"

#include "fatal.h"
#include "pagemap.h"
#include "pages.h"
#include "run_ops.h"
#include "starter.h"
#include "valgrind.h"

/* Ids below 32 are in a table beside the other globals: a process with few threads touches no
 * other page for it.  2^20 heaps in all, far above any thread limit. */
#define FIRST_IDS   32
#define LEAF_IDS    1024
#define ROOT_LEAVES 1024

static struct heap *first_table[FIRST_IDS];
struct heap **arn_heap_table[ROOT_LEAVES] ARN_LAST;
/* Has the ids of all heaps that were caught busy in a fork. */
struct heap arn_heap_lost ARN_LAST;
struct heap *arn_heaps;
static uint32_t nheaps; /* ids 1 .. nheaps exist */

static void *const no_regions[2]; /* the sentinel of a thread without a heap */

#define EMPTY {[0 ... NCLASSES - 1] = (void **)&no_regions[1]}
/* Its id is above every real one, so that no page's info matches. */
const union heap_none arn_no_heap = {.heap = {.top = EMPTY, .limit = EMPTY, .info = 0xffffff00u}};
#undef EMPTY

uint32_t arn_heap_count(void)
{
	return RELAXED_GET(nheaps);
}

struct heap *arn_heap_by_id(uint32_t id)
{
	/* Acquire pairs with the release in table_set(): who has the id of a run that was given
	 * away meanwhile has not synchronised with the maker of its new heap. */
	if (id < FIRST_IDS)
		return ACQUIRE_GET(first_table[id]);
	return ACQUIRE_GET(ACQUIRE_GET(arn_heap_table[id / LEAF_IDS])[id % LEAF_IDS]);
}

static bool table_set(uint32_t id, struct heap *h)
{
	struct heap **leaf;

	if (id < FIRST_IDS) {
		RELEASE_SET(first_table[id], h);
		return true;
	}
	if (id / LEAF_IDS >= ROOT_LEAVES)
		return false;
	leaf = arn_heap_table[id / LEAF_IDS];
	if (leaf == NULL) {
		leaf = arn_meta_get(META_TABLE, LEAF_IDS * sizeof *leaf / ARN_CACHE_LINE);
		if (leaf == NULL)
			return false;
		RELEASE_SET(arn_heap_table[id / LEAF_IDS], leaf);
	}
	RELEASE_SET(leaf[id % LEAF_IDS], h);
	return true;
}

void arn_heap_set_empty_bin(struct heap *h, unsigned cls)
{
	RELAXED_SET(h->limit[cls], NULL); /* full, at every moment */
	atomic_signal_fence(memory_order_seq_cst);
	RELAXED_SET(h->top[cls], h->bins[cls].held);
	atomic_signal_fence(memory_order_seq_cst);
	RELAXED_SET(h->limit[cls], h->bins[cls].held);
}

void arn_heap_set_empty(struct heap *h)
{
	for (unsigned c = 0; c < NCLASSES; c++)
		h->top[c] = h->limit[c] = h->bins[c].held;
}

void arn_heap_count_used(int n)
{
	atomic_fetch_add_explicit(&arn_pages_heaps, (size_t)n, memory_order_relaxed);
}

struct heap *arn_heap_new(enum heap_kind kind)
{
	struct heap *h = arn_meta_get(META_HEAP, sizeof *h / ARN_CACHE_LINE);

	if (h == NULL)
		return NULL;
	valgrind_show(&h->lock, sizeof h->lock);
	h->id = nheaps + 1;
	h->info = h->id << INFO_CLASS_BITS;
	h->kind = (uint8_t)kind;
	arn_heap_set_empty(h);
	if (!table_set(h->id, h)) {
		arn_meta_put(META_HEAP, h);
		return NULL;
	}
	RELAXED_SET(nheaps, nheaps + 1);
	arn_heap_count_used(1);
	h->all_next = arn_heaps;
	/* Release pairs with the acquire of those who walk the list. */
	RELEASE_SET(arn_heaps, h);
	return h;
}

ARN_TLS struct heap *arn_heap = &arn_heap_none;

ARN_COLD void arn_heap_crime(enum arn_crime crime, const void *p)
{
	arn_heap = &arn_heap_none;
	arn_crime(crime, p);
}

/* ---- lists of runs ------------------------------------------------------------------------ */

static void list_add(struct run **head, struct run *r)
{
	r->prev = NULL;
	r->next = *head;
	if (r->next != NULL)
		r->next->prev = r;
	*head = r;
}

static void list_del(struct run **head, struct run *r)
{
	if (r->prev != NULL)
		r->prev->next = r->next;
	else
		*head = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
}

static void run_list(struct heap *h, struct run *r)
{
	struct bin *b = &h->bins[r->cls];

	if (h->kind == HEAP_SHARED)
		list_del(&b->full, r);
	list_add(&b->partial, r);
	r->listed = true;
}

static void run_unlist(struct heap *h, struct run *r)
{
	struct bin *b = &h->bins[r->cls];

	list_del(&b->partial, r);
	if (h->kind == HEAP_SHARED)
		list_add(&b->full, r);
	r->listed = false;
}

/* N bytes of R, or as many as are gone of it, went too early: they are wanted again, or all of R is
 * free now. */
static void regret(struct heap *h, struct run *r, size_t n)
{
	size_t gone = (size_t)r->gone_kib * KIB;

	if (likely(gone == 0))
		return;
	n = n < gone ? bits_round_down(n + KIB - 1, KIB) : gone;
	r->gone_kib -= (uint16_t)(n / KIB);
	h->gone -= n;
	n = arn_pages_runs_regret(n);
	h->regret += n;
	h->allowed += n;
}

/* R, all free, leaves H. */
static void release(struct heap *h, struct run *r)
{
	struct bin *b = &h->bins[r->cls];

	list_del(&b->partial, r);
	RELAXED_SET(b->nruns, b->nruns - 1);
	regret(h, r, SIZE_MAX - KIB);
	h->idle -= (size_t)r->nregions * arn_class[r->cls].size;
	arn_run_release(r);
}

bool arn_heap_run_freed(struct heap *h, struct run *r)
{
	if (!r->listed)
		run_list(h, r);
	/* An empty run goes back, but for the last one of a bin of small regions: the bin will want
	 * it again, and its 64 KiB are within the bound per heap. */
	if (r->nfree < r->nregions ||
	    (r->next == NULL && r->prev == NULL && arn_class[r->cls].size <= KIB))
		return false;
	release(h, r);
	return true;
}

/* ---- taking and giving -------------------------------------------------------------------- */

static struct run *grow(struct heap *h, unsigned cls)
{
	const struct sizeclass *sc = &arn_class[cls];
	struct bin *b = &h->bins[cls];
	unsigned shift = b->nruns < 4 ? b->nruns : 4; /* 256 KiB are 16 pages */
	unsigned npages = (unsigned)sc->run_pages << shift;
	struct run *r;

	if (npages > sc->run_max)
		npages = sc->run_max;
	npages = arn_pages_run_length(npages, sc->run_pages);
	r = arn_run_new(cls, npages, h->id);
	if (r == NULL && npages > sc->run_pages)
		r = arn_run_new(cls, sc->run_pages, h->id);
	if (r == NULL)
		return NULL;
	RELAXED_SET(b->nruns, b->nruns + 1);
	h->idle += (size_t)r->nregions * sc->size;
	r->listed = true;
	list_add(&b->partial, r);
	return r;
}

unsigned arn_heap_take(struct heap *h, unsigned cls, void **end, unsigned want)
{
	struct bin *b = &h->bins[cls];
	unsigned got = 0;

	heap_awake(h);
	while (got < want) {
		struct run *r = b->partial;
		unsigned n;

		if (r == NULL) {
			/* What is there serves before new memory is asked for. */
			if (got > 0)
				break;
			if (heap_has_remote(h)) {
				arn_heap_collect_some(h, COLLECT_RUNS);
				continue;
			}
			r = grow(h, cls);
			if (r == NULL)
				return 0;
		}
		n = arn_run_take(r, end - got, want - got);
		regret(h, r, n * arn_class[cls].size);
		got += n;
		if (r->nfree == 0)
			run_unlist(h, r);
	}
	heap_out(h, cls, got);
	return got;
}

/* The run of P, whose page must be one of a run of class and owner INFO.  TOP is the map's. */
static inline struct run *run_to_give(page_info *m, uintptr_t top, uint32_t info, const void *p)
{
	uintptr_t page = (top - (uintptr_t)p) >> PAGE_SHIFT;

	/* A second copy of the pointer outlived its run. */
	if (unlikely(atomic_load_explicit(&m[page], memory_order_relaxed) != info))
		arn_heap_crime(CRIME_DOUBLE_FREE, p);
	return atomic_load_explicit(pagemap_run_slot_at(m, page), memory_order_relaxed);
}

/* Sets the bits of up to COUNT regions in a word of N regions that begins at BASE; returns how many
 * came before the first that is none of them. */
static inline unsigned give_bits(const struct sizeclass *sc, uintptr_t base, uintptr_t n,
				 uint64_t *bits, void *const *p, unsigned count)
{
#pragma GCC unroll 4
	for (unsigned k = 0; k < count; k++) {
		uintptr_t region = sizeclass_region(sc, (uintptr_t)p[k] - base);

		if (region >= n)
			return k;
		if (unlikely(bits_test_and_set(bits, region)))
			arn_heap_crime(CRIME_DOUBLE_FREE, (void *)(base + region * sc->size));
	}
	return count;
}

/* Puts back the regions of word W of R from P on, up to END or to the first that is none of them,
 * which is returned.  The word is kept in a register: neighbours would wait for each other's store.
 */
static inline void *const *give_word(const struct sizeclass *class, struct run *r, uintptr_t w,
				     void *const *p, void *const *end)
{
	const struct sizeclass sc = *class;
	const uintptr_t base = r->base + w * WORD_BITS * sc.size;
	const uintptr_t left = r->nregions - w * WORD_BITS, n = left < WORD_BITS ? left : WORD_BITS;
	uint64_t bits = r->bits[w];
	unsigned k = 4;

	while (k == 4 && end - p >= 4) {
		k = give_bits(&sc, base, n, &bits, p, 4);
		p += k;
	}
	if (k == 4)
		while (p < end && give_bits(&sc, base, n, &bits, p, 1) != 0)
			p++;
	RELAXED_SET(r->bits[w], bits);
	return p;
}

/* Puts back the regions of R from P on, up to END or to the first that is none of R's, which is
 * returned. */
static ARN_SLOW void *const *give_row(struct heap *h, const struct sizeclass *sc, struct run *r,
				      void *const *p, void *const *end)
{
	void *const *from = p;
	uintptr_t region;
	unsigned nfree;

	while (p < end && (region = sizeclass_region(sc, (uintptr_t)*p - r->base)) < r->nregions)
		p = give_word(sc, r, region / WORD_BITS, p, end);
	if (unlikely(p == from))
		arn_heap_crime(CRIME_INTERIOR, *p);
	nfree = r->nfree + (unsigned)(p - from);
	RELAXED_SET(r->nfree, (uint16_t)nfree);
	if (unlikely(nfree == r->nregions || !r->listed))
		arn_heap_run_freed(h, r);
	return p;
}

/* Puts back the regions from P on, of any runs, up to STOP or to the first whose run's pages went;
 * returns the end. */
static ARN_SLOW void *const *give_each(struct heap *h, const struct sizeclass *sc, page_info *m,
				       uint32_t info, void *const *p, void *const *stop)
{
	const struct sizeclass c = *sc;
	const uintptr_t top = pagemap_header(m)->top;

	do {
		struct run *r = run_to_give(m, top, info, *p);
		uintptr_t region = sizeclass_region(&c, (uintptr_t)*p - r->base);
		const uint16_t nregions = r->nregions;
		uint16_t nfree;
		uint64_t bits;

		if (unlikely(region >= nregions))
			arn_heap_crime(CRIME_INTERIOR, *p);
		bits = r->bits[region / WORD_BITS];
		if (unlikely(bits_test_and_set(&bits, region)))
			arn_heap_crime(CRIME_DOUBLE_FREE, *p);
		RELAXED_SET(r->bits[region / WORD_BITS], bits);
		nfree = (uint16_t)(r->nfree + 1);
		RELAXED_SET(r->nfree, nfree);
		p++;
		/* It was full, or is free as a whole. */
		if (unlikely(nfree == 1 || nfree == nregions) && arn_heap_run_freed(h, r))
			break;
	} while (p < stop);
	return p;
}

/* Of ROW_MIN regions the first and the last are looked at: in one run, all are taken for
 * neighbours.  Otherwise GROUP of them are put back, each by itself, before the next look, which
 * costs some ten instructions: rows of real programs are two or three long on average, and then
 * each by itself is no more. */
#define ROW_MIN 8
#define GROUP   64

void arn_heap_give(struct heap *h, unsigned cls, void *const *p, unsigned n)
{
	const struct sizeclass *sc = &arn_class[cls];
	const uint32_t info = h->info | cls;
	void *const *const end = p + n;

	heap_out(h, cls, -(size_t)n);
	while (p < end) {
		page_info *m = pagemap_now(); /* another one may be there since the last group */
		void *const *stop = end - p < GROUP ? end : p + GROUP;
		void *const *last = end - p < ROW_MIN ? end : p + ROW_MIN;
		struct run *r = run_to_give(m, pagemap_header(m)->top, info, *p);

		/* Neighbours, as a structure that is freed in its order has them, need no more than
		 * the one look into the page map. */
		if ((uintptr_t)last[-1] - r->base < (size_t)r->npages << PAGE_SHIFT)
			p = give_row(h, sc, r, p, end);
		else
			p = give_each(h, sc, m, info, p, stop);
	}
	heap_settle(h);
}

void arn_heap_forget(struct heap *h)
{
	size_t n = h->regret;

	/* In this order, for a child that is forked in between. */
	h->regret = 0;
	h->allowed -= n;
	atomic_signal_fence(memory_order_seq_cst);
	arn_pages_runs_purged(0, n);
}

/* Of a run with one live region only the OS page of that region is needed.  Nobody counts free
 * rows; they are looked for when so many bytes are idle in runs that more than may stay could be
 * rows. */
static void purge_runs(struct heap *h)
{
	size_t bytes = 0, forget = h->regret / 4;

	for (unsigned c = 1; c < NCLASSES; c++)
		for (struct run *r = h->bins[c].partial; r != NULL; r = r->next) {
			size_t before = (size_t)r->gone_kib * KIB, n;

			if (r->nfree == r->looked)
				continue;
			n = arn_run_purge(r);
			r->gone_kib = (uint16_t)(n / KIB);
			h->gone += n - before;
			bytes += n > before ? n - before : 0;
		}
	h->kept = h->idle - h->gone;
	h->regret -= forget;
	atomic_signal_fence(memory_order_seq_cst);
	arn_pages_runs_purged(bytes, forget);
}

ARN_SLOW void arn_heap_settle_slow(struct heap *h)
{
	h->allowed = arn_pages_heap_share() + h->regret;
	if (h->idle - h->gone > h->kept + h->allowed)
		purge_runs(h);
}

void arn_heap_trim(struct heap *h)
{
	arn_heap_collect(h);
	for (unsigned c = 1; c < NCLASSES; c++) {
		struct run *r = h->bins[c].partial, *next;

		for (; r != NULL; r = next) {
			next = r->next;
			if (r->nfree == r->nregions)
				release(h, r);
		}
	}
	arn_starter_trim(h);
	purge_runs(h);
}

/* ---- recorded requests --------------------------------------------------------------------- */

void *arn_heap_recorded_malloc(struct heap *h, unsigned cls, size_t asked)
{
	void *p = NULL;

	lock_take(&h->lock);
	if (arn_heap_take(h, cls, &p + 1, 1) == 1)
		arn_live_record(pagemap_run(p), p, asked);
	heap_tell(h);
	lock_drop(&h->lock);
	return p;
}

void arn_heap_recorded_free(struct heap *h, struct run *r, void *p)
{
	lock_take(&h->lock);
	arn_heap_give(h, r->cls, &p, 1);
	heap_tell(h);
	lock_drop(&h->lock);
}

/* ---- shared heaps -------------------------------------------------------------------------- */

void *arn_heap_shared_malloc(struct heap *h, unsigned cls)
{
	void *p = NULL;

	lock_take(&h->lock);
	arn_heap_take(h, cls, &p + 1, 1);
	lock_drop(&h->lock);
	return p;
}

void arn_heap_shared_free(struct heap *h, struct run *r, void *p)
{
	lock_take(&h->lock);
	arn_heap_give(h, r->cls, &p, 1);
	lock_drop(&h->lock);
}

size_t arn_heap_shared_live(struct heap *h)
{
	size_t n = 0;

	lock_take(&h->lock);
	for (unsigned c = 1; c < NCLASSES; c++)
		n += h->bins[c].out * arn_class[c].size;
	for (struct run *r = h->large; r != NULL; r = r->sib_next)
		n += r->size;
	lock_drop(&h->lock);
	return n;
}

static void clear_large(struct heap *h)
{
	while (h->large != NULL) {
		struct run *r = h->large;

		h->large = r->sib_next;
		arn_live_tell(-run_block_bytes(r));
		arn_live_block_forget(r, run_block_bytes(r));
		if (r->state == RUN_HUGE)
			arn_huge_put(r);
		else
			arn_run_release(r);
	}
}

static void clear_list(struct run **head)
{
	while (*head != NULL) {
		struct run *r = *head;

		*head = r->next;
		r->nfree = r->nregions;
		arn_run_release(r);
	}
}

/* Memcheck wants to hear of each block. */
static void tell_cleared(struct heap *h)
{
	for (unsigned c = 1; c < NCLASSES; c++) {
		struct run *const lists[] = {h->bins[c].partial, h->bins[c].full};

		for (unsigned k = 0; k < 2; k++)
			for (struct run *r = lists[k]; r != NULL; r = r->next)
				for (unsigned i = 0; i < r->nregions; i++)
					if ((r->bits[i / WORD_BITS] >> i % WORD_BITS & 1) == 0)
						valgrind_free(run_region(r, i));
	}
	for (struct run *r = h->large; r != NULL; r = r->sib_next)
		valgrind_free((void *)r->base);
}

void arn_heap_shared_clear(struct heap *h)
{
	lock_take(&h->lock);
	/* What signal handlers freed on the remote way. */
	arn_heap_collect(h);
	if (ARN_VALGRIND)
		tell_cleared(h);
	for (unsigned c = 1; c < NCLASSES; c++) {
		clear_list(&h->bins[c].partial);
		clear_list(&h->bins[c].full);
		RELAXED_SET(h->bins[c].nruns, 0);
		heap_out(h, c, -h->bins[c].out);
	}
	clear_large(h);
	h->idle = h->gone = h->kept = 0;
	arn_heap_forget(h);
	lock_drop(&h->lock);
}

void arn_heap_renew(struct heap *h)
{
	uint32_t old = h->id;

	arn_heap_lost.kind = HEAP_LOST;
	arn_live_tell(h->untold);
	for (unsigned c = 1; c < NCLASSES; c++)
		arn_live_tell(-h->bins[c].out * arn_class[c].size);
	for (unsigned c = 1; c < NCLASSES; c++)
		h->bins[c] = (struct bin){.base = NULL};
	/* The part that was being worked off may be out of date in memory, and lead in a circle. */
	h->collecting = NULL;
	atomic_store_explicit(&h->remote_bytes, 0, memory_order_relaxed);
	h->large = NULL;
	h->untold = h->idle = h->gone = h->kept = 0;
	arn_heap_forget(h);
	if (!table_set(nheaps + 1, h))
		return;
	h->id = ++nheaps;
	h->info = h->id << INFO_CLASS_BITS;
	table_set(old, &arn_heap_lost);
}

bool arn_heap_check(struct heap *h)
{
	size_t idle = 0, gone = 0;
	bool ok = true;

	lock_take(&h->lock);
	for (unsigned c = 1; c < NCLASSES; c++)
		for (struct run *r = h->bins[c].partial; r != NULL; r = r->next) {
			ok &= arn_run_check(r) && r->owner == h->id && r->cls == c && r->listed &&
			      r->nfree > 0;
			idle += (size_t)r->nfree * arn_class[c].size;
			gone += (size_t)r->gone_kib * KIB;
		}
	for (const struct run *r = h->starters; r != NULL; r = r->next) {
		ok &= arn_starter_check(r) && r->owner == h->id;
		idle += (size_t)r->nfree * QUANTUM;
	}
	ok &= idle == h->idle && gone == h->gone && gone <= idle && h->regret <= h->allowed;
	lock_drop(&h->lock);
	return ok;
}
