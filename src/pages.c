/* SPDX-License-Identifier: MIT
 *
 * pages.c - chunks and the spans of pages in them.  Layer pages; everything under pages_lock.
 *
 * Chunks with free pages hang in buckets by the length of their longest free row, so that a span
 * is found without a search: the tightest bucket that fits, and in that chunk the tightest row.
 */
#include "pages.h"

#include "bits.h"
#include "fatal.h"
#include "meta.h"
#include "options.h"
#include "os.h"
#include "pagemap.h"
#include "promise.h"
#include "rows.h"
#include "valgrind.h"

struct lock arn_pages_lock;
struct pages_state arn_pages;

#define BUCKET_WORDS (CHUNK_PAGES / WORD_BITS + 1)

struct chunk *arn_chunks;
/* By length: short ones for all, and what the first chunk with a longer row brings. */
#define SHORT_ROW (2 * FIRST_CHUNK_PAGES)
static struct chunk *short_buckets[SHORT_ROW + 1];
static struct chunk **long_buckets;
static uint64_t bucket_map[BUCKET_WORDS];
static struct chunk *lru_head, *lru_tail;
static size_t empty_chunks;

/* Chunks without a page in use that are kept mapped.  One absorbs the swing of a program at a
 * chunk's edge; more only hold address space, their pages are purged all the same. */
#define EMPTY_CHUNKS_KEPT 1

/* From this much memory in use on, new chunks ask for huge pages: the last huge page is half empty
 * on average, which is then at most an eighth. */
#define HUGE_PAGES_FROM (8 * MIB)
/* And so much more for each heap: the first runs of a heap are used a little each, and 1000 threads
 * with 30 of them had 516 MiB resident instead of 154. */
#define HUGE_PAGES_PER_HEAP (2 * MIB)
/* And while at most a thirty-second of the heap lies free (a sixteenth: generations of bench/ has
 * 27 MiB resident instead of 20; a sixty-fourth: python3 a quarter more faults). */
#define DENSE_SHIFT 5
_Atomic size_t arn_pages_heaps;

/* ---- lists ------------------------------------------------------------------------------- */

static struct chunk **bucket(unsigned row)
{
	return row <= SHORT_ROW ? &short_buckets[row] : &long_buckets[row - SHORT_ROW - 1];
}

static void bucket_remove(struct chunk *c)
{
	struct chunk **b = bucket(c->largest);

	if (c->bucket_prev != NULL)
		c->bucket_prev->bucket_next = c->bucket_next;
	else
		*b = c->bucket_next;
	if (c->bucket_next != NULL)
		c->bucket_next->bucket_prev = c->bucket_prev;
	if (*b == NULL)
		bitmap_fill(bucket_map, c->largest, 1, false);
}

static void bucket_insert(struct chunk *c)
{
	struct chunk **b = bucket(c->largest);

	c->bucket_prev = NULL;
	c->bucket_next = *b;
	if (c->bucket_next != NULL)
		c->bucket_next->bucket_prev = c;
	*b = c;
	bitmap_fill(bucket_map, c->largest, 1, true);
}

static void lru_remove(struct chunk *c)
{
	if (!c->in_lru)
		return;
	if (c->lru_prev != NULL)
		c->lru_prev->lru_next = c->lru_next;
	else
		lru_head = c->lru_next;
	if (c->lru_next != NULL)
		c->lru_next->lru_prev = c->lru_prev;
	else
		lru_tail = c->lru_prev;
	c->in_lru = false;
}

static void lru_append(struct chunk *c)
{
	if (lru_tail == c)
		return;
	lru_remove(c);
	c->lru_next = NULL;
	c->lru_prev = lru_tail;
	if (lru_tail != NULL)
		lru_tail->lru_next = c;
	else
		lru_head = c;
	lru_tail = c;
	c->in_lru = true;
}

/* ---- taking and giving rows --------------------------------------------------------------- */

/* The chunk comes first in its bucket: what was in use last serves next. */
static void set_largest(struct chunk *c, unsigned largest)
{
	if (largest == c->largest && *bucket(largest) == c)
		return;
	bucket_remove(c);
	c->largest = (uint16_t)largest;
	bucket_insert(c);
}

/* Pages [at, at + n), all unused, are in use from now on; the longest row is the caller's to set.
 * Returns how many are resident. */
static unsigned row_take(struct chunk *c, unsigned at, unsigned n)
{
	unsigned dirty = bitmap_count(c->dirty, at, n);

	ARN_ASSERT(at + n <= c->npages && bitmap_count(c->used, at, n) == 0);
	if (c->nfree == c->npages)
		empty_chunks--;
	bitmap_fill(c->used, at, n, true);
	c->nfree -= n;
	c->ndirty -= dirty;
	arn_pages.dirty -= (size_t)dirty << PAGE_SHIFT;
	arn_pages.used += (size_t)n << PAGE_SHIFT;
	if (arn_pages.used > arn_pages.peak_used)
		arn_pages.peak_used = arn_pages.used;
	if (c->ndirty == 0)
		lru_remove(c);
	return dirty;
}

/* And back. */
static void row_give(struct chunk *c, unsigned at, unsigned n)
{
	ARN_ASSERT(at + n <= c->npages && bitmap_count(c->used, at, n) == n);
	bitmap_fill(c->dirty, at, n, true);
	bitmap_fill(c->used, at, n, false);
	c->nfree += n;
	c->ndirty += n;
	arn_pages.dirty += (size_t)n << PAGE_SHIFT;
	arn_pages.used -= (size_t)n << PAGE_SHIFT;
	if (c->nfree == c->npages)
		empty_chunks++;
	if (!c->kept || c->nfree == c->npages)
		lru_append(c);
	set_largest(c, rows_max(c->largest, rows_around(c, at, n)));
}

/* ---- chunks ------------------------------------------------------------------------------ */

void arn_pages_account_map(size_t n, bool on)
{
	if (!on) {
		arn_pages.mapped -= n;
		return;
	}
	arn_pages.mapped += n;
	if (arn_pages.mapped > arn_pages.peak_mapped)
		arn_pages.peak_mapped = arn_pages.mapped;
}

static struct chunk *chunk_add(uintptr_t base, unsigned npages)
{
	struct chunk *c;

	if (npages > SHORT_ROW && long_buckets == NULL)
		long_buckets =
			arn_meta_get(META_BUCKETS, (CHUNK_PAGES - SHORT_ROW) *
							   sizeof *long_buckets / ARN_CACHE_LINE);
	if (npages > SHORT_ROW && long_buckets == NULL)
		return NULL;
	for (c = arn_chunks; c != NULL && c->npages != 0; c = c->all_next)
		;
	if (c == NULL) {
		c = arn_meta_get(META_CHUNK, (sizeof *c + ARN_CACHE_LINE - 1) / ARN_CACHE_LINE);
		if (c == NULL)
			return NULL;
		c->all_next = arn_chunks;
		atomic_signal_fence(memory_order_seq_cst);
		arn_chunks = c;
	}
	c->base = base;
	c->nfree = c->largest = (uint16_t)npages;
	c->ndirty = 0;
	for (unsigned i = 0; i < CHUNK_WORDS; i++)
		c->used[i] = c->dirty[i] = 0;
	bitmap_fill(c->used, npages, CHUNK_PAGES - npages, true);
	c->in_lru = c->huge_pages = c->kept = false;
	/* A child that is forked in between finds all of it, or none. */
	atomic_signal_fence(memory_order_seq_cst);
	c->npages = (uint16_t)npages;
	bucket_insert(c);
	empty_chunks++;
	arn_pages.nchunks++;
	arn_pages_account_map((size_t)npages << PAGE_SHIFT, true);
	return c;
}

void arn_pages_account_purge(size_t n)
{
	RELAXED_SET(arn_pages.purged, arn_pages.purged + n);
	arn_promise_gave(n);
}

/* How much of a new chunk for N pages would fill huge pages: all of it when the heap has grown, and
 * few pages of it lie free.  One whose sizes change all the time has free rows everywhere, which a
 * huge page makes resident (mix-fleet of bench/: 18.3 MiB resident instead of 12.3).  But blocks of
 * a huge page and more do not leave rows: for them what is free and resident anyway does not count
 * (buffers-touched: 14.0 -> 10.9 thousand faults, as much memory; from 1 MiB on mix-fleet would
 * have 13.6 MiB), and what such a block covers is huge whatever lies free (perl: 1500 faults of
 * 5100, as much memory). */
static size_t huge_part(unsigned n)
{
	/* Without the new chunk. */
	size_t unused = arn_pages.mapped - CHUNK_BYTES - arn_pages.used -
			(n < HUGE_PAGE_PAGES ? arn_pages.huge_cached : arn_pages.dirty);

	if (arn_pages.used < HUGE_PAGES_FROM + arn_pages_heaps * HUGE_PAGES_PER_HEAP)
		return 0;
	return unused <= arn_pages.used >> DENSE_SHIFT
		       ? CHUNK_BYTES
		       : bits_round_down((size_t)n << PAGE_SHIFT, HUGE_PAGE_BYTES);
}

/* Maps a chunk with a row of NPAGES aligned ones.  While the heap is small, chunks double from the
 * size of the first; if memory is short, the smallest that serves is tried. */
static struct chunk *chunk_map(unsigned npages, unsigned align_pages)
{
	unsigned want = FIRST_CHUNK_PAGES, need = npages + align_pages - 1;
	static uintptr_t hint;
	struct chunk *c;
	size_t huge;
	char *p;

	while (want < CHUNK_PAGES && ((size_t)want << PAGE_SHIFT) < arn_pages.mapped)
		want *= 2;
	if (want < need)
		want = need > CHUNK_PAGES ? CHUNK_PAGES : need;
	for (;;) {
		size_t bytes = (size_t)want << PAGE_SHIFT;
		size_t align = want == CHUNK_PAGES ? CHUNK_BYTES : PAGE_BYTES;

		/* Below the last one.  Never a hint above what the kernel gave: on machines with
		 * 56-bit addresses that would ask for them. */
		p = arn_os_map_aligned(hint > bytes ? (void *)bits_round_down(hint - bytes, align)
						    : NULL,
				       bytes, align);
		if (p != NULL)
			break;
		if (want == need || need > CHUNK_PAGES)
			return NULL;
		want = need;
	}
	hint = (uintptr_t)p;
	valgrind_hide(&hint, sizeof hint);
	c = arn_pagemap_cover(p, (size_t)want << PAGE_SHIFT) ? chunk_add((uintptr_t)p, want) : NULL;
	if (c == NULL) {
		arn_os_unmap(p, (size_t)want << PAGE_SHIFT);
		return NULL;
	}
	huge = want == CHUNK_PAGES && arn_options.thp ? huge_part(npages) : 0;
	c->huge_pages = huge > 0;
	if (huge > 0)
		arn_os_want_huge(p, huge);
	/* Where the system gives huge pages to all who do not object, the first block of a chunk
	 * would take 2 MiB, and khugepaged would fill what was given back. */
	if (huge < (size_t)want << PAGE_SHIFT)
		arn_os_want_no_huge(p + huge, ((size_t)want << PAGE_SHIFT) - huge);
	return c;
}

bool arn_pages_boot(void)
{
	size_t bytes = (size_t)FIRST_CHUNK_PAGES << PAGE_SHIFT;
	char *mem = arn_os_map(NULL, bytes + PAGE_BYTES);
	uintptr_t base;

	if (mem == NULL)
		return false;
	/* Kernels before 6.7 join it to the stack of a thread that lies below, and give the end of
	 * that a huge page: 2 MiB for the 8 KiB that the thread uses. */
	arn_os_want_no_huge(mem, bytes + PAGE_BYTES);
	base = bits_round_up((uintptr_t)mem, PAGE_BYTES);
	return arn_pagemap_init(base + bytes, FIRST_CHUNK_PAGES) &&
	       chunk_add(base, FIRST_CHUNK_PAGES) != NULL;
}

/* Our page may be smaller than the OS page: cuts the row of N pages from *AT on to whole OS pages;
 * returns how many are left. */
static unsigned whole_os_pages(const struct chunk *c, unsigned *at, unsigned n)
{
	unsigned unit = (unsigned)(arn_os_page_bytes() >> PAGE_SHIFT);
	unsigned first = (unsigned)(c->base >> PAGE_SHIFT) + *at, lead;

	if (unit <= 1)
		return n;
	lead = (0u - first) & (unit - 1);
	*at += lead;
	return lead >= n ? 0 : (n - lead) & ~(unit - 1);
}

/* Drops the contents of one dirty row; false when the kernel keeps them. */
static bool purge_row(struct chunk *c, unsigned at, unsigned n)
{
	n = whole_os_pages(c, &at, n);
	if (n == 0 || !arn_os_purge((void *)(c->base + ((uintptr_t)at << PAGE_SHIFT)),
				    (size_t)n << PAGE_SHIFT))
		return false;
	bitmap_fill(c->dirty, at, n, false);
	c->ndirty -= n;
	arn_pages.dirty -= (size_t)n << PAGE_SHIFT;
	arn_pages_account_purge((size_t)n << PAGE_SHIFT);
	return true;
}

/* Whether a row of N pages surely holds a whole OS page. */
static bool os_page_fits(unsigned n)
{
	return ((size_t)n << PAGE_SHIFT) >= 2 * arn_os_page_bytes();
}

/* The next row of dirty pages of C at or after *AT; returns its length, 0 at the end.  WHOLE: only
 * where all of a huge page is free, so that the others stay in one piece: what is purged inside of
 * one comes back page by page. */
static unsigned next_dirty(const struct chunk *c, unsigned *at, bool whole)
{
	uint64_t row[CHUNK_WORDS];

	for (unsigned i = 0; i < CHUNK_WORDS; i++)
		row[i] = c->dirty[i] & ~c->used[i];
	while ((*at = bitmap_next(row, *at, c->npages, true)) < c->npages) {
		unsigned end = bitmap_next(row, *at, c->npages, false), from = *at;

		if (!whole)
			return end - from;
		from = (from + HUGE_PAGE_PAGES - 1) & ~(HUGE_PAGE_PAGES - 1);
		*at = end;
		if (from + HUGE_PAGE_PAGES <= end) {
			*at = from;
			return (end & ~(HUGE_PAGE_PAGES - 1)) - from;
		}
	}
	return 0;
}

static void chunk_purge(struct chunk *c, bool whole)
{
	unsigned n;

	for (unsigned at = 0; (n = next_dirty(c, &at, whole)) > 0; at += n)
		if (!purge_row(c, at, n) && os_page_fits(n)) {
			c->kept = true;
			break;
		}
	if (c->kept || c->ndirty == 0 || !whole)
		lru_remove(c);
}

/* Unmaps an empty chunk.  False: the kernel refused, and the chunk stays. */
static bool chunk_release(struct chunk *c)
{
	size_t bytes = (size_t)c->npages << PAGE_SHIFT;
	unsigned npages = c->npages;

	/* First forget, then unmap: a child forked in between must not find what is gone. */
	c->npages = 0;
	atomic_signal_fence(memory_order_seq_cst);
	if (!arn_os_unmap((void *)c->base, bytes)) {
		c->npages = (uint16_t)npages;
		return false;
	}
	bucket_remove(c);
	lru_remove(c);
	arn_pages.dirty -= (size_t)c->ndirty << PAGE_SHIFT;
	arn_pages_account_purge((size_t)c->ndirty << PAGE_SHIFT);
	arn_pages.nchunks--;
	arn_pages_account_map(bytes, false);
	empty_chunks--;
	return true;
}

static bool release_if_empty(struct chunk *c)
{
	return c->nfree == c->npages && empty_chunks > EMPTY_CHUNKS_KEPT && chunk_release(c);
}

static unsigned page_in_chunk(const struct run *r)
{
	return (unsigned)((r->base - r->chunk->base) >> PAGE_SHIFT);
}

/* N bytes in use are a spare span now, or (wrapped) the reverse. */
static void spare_account(size_t n)
{
	arn_pages.used -= n;
	arn_pages.dirty += n;
}

/* All spare spans go back to their chunks; false: there was none. */
static bool spare_release(void)
{
	struct run *r = arn_spare_span_any();
	bool any = r != NULL;

	for (; r != NULL; r = arn_spare_span_any()) {
		spare_account(-r->size);
		row_give(r->chunk, page_in_chunk(r), r->npages);
		arn_spare_slot_add(r);
	}
	return any;
}

/* What lay free for longest first; but before it what goes without cutting a huge page. */
static void give_back(size_t keep)
{
	spare_release();
	if (arn_pages.dirty > keep)
		arn_huge_cache_purge(arn_pages.dirty - keep);
	for (struct chunk *c = lru_head, *next; arn_pages.dirty > keep && c != NULL; c = next) {
		next = c->lru_next;
		if (!release_if_empty(c) && c->huge_pages && c->ndirty >= HUGE_PAGE_PAGES)
			chunk_purge(c, true);
	}
	while (arn_pages.dirty > keep && lru_head != NULL) {
		struct chunk *c = lru_head;

		if (!release_if_empty(c))
			chunk_purge(c, false);
	}
}

/* Tells the kernel that it may have what is dirty, should memory run short; until then it serves
 * again without a fault. */
static void offer(void)
{
	unsigned n;

	spare_release();
	for (const struct chunk *c = lru_head; c != NULL; c = c->lru_next)
		for (unsigned at = 0; (n = next_dirty(c, &at, c->huge_pages)) > 0; at += n) {
			unsigned from = at, whole = whole_os_pages(c, &from, n);

			if (whole > 0)
				arn_os_offer((void *)(c->base + ((uintptr_t)from << PAGE_SHIFT)),
					     (size_t)whole << PAGE_SHIFT);
		}
	arn_huge_cache_offer();
}

void arn_pages_account_take(size_t taken, size_t clean, bool block)
{
	static size_t offered; /* at most so many dirty bytes are offered */
	static size_t grown;   /* bytes that came fresh since the last offer */
	size_t reused = taken - clean, firm;

	if (arn_promise_took(taken, clean, block, arn_pages.dirty, arn_pages.used))
		arn_pages_settle();
	offered -= reused < offered ? reused : offered;
	if (likely(clean == 0))
		return;
	grown += clean;
	firm = arn_pages.dirty - (offered < arn_pages.dirty ? offered : arn_pages.dirty);
	if (firm > arn_promise_firm(arn_pages.used) && grown >= firm >> OFFER_SHIFT) {
		offer();
		offered = arn_pages.dirty;
		grown = 0;
	}
}

void arn_pages_settle(void)
{
	size_t limit = arn_promise_limit(arn_pages.used);

	if (unlikely(arn_pages.dirty > limit))
		give_back(limit - (limit >> PURGE_SLACK_SHIFT));
}

size_t arn_pages_trim(size_t keep)
{
	size_t before;
	struct run *r;

	lock_take(&arn_pages_lock);
	before = arn_pages.purged;
	give_back(keep);
	while ((r = arn_spare_slot_take()) != NULL)
		arn_run_slot_put(r);
	before = arn_pages.purged - before;
	lock_drop(&arn_pages_lock);
	return before;
}

/* ---- spans ------------------------------------------------------------------------------- */

/* A place for N pages in a row of LEAST or more, in a chunk with one of ROW or more; NULL when
 * there is none. */
static struct chunk *find_place(unsigned row, unsigned least, unsigned n, unsigned align,
				struct row_place *p)
{
	struct chunk *c;

	row = bitmap_next(bucket_map, row < CHUNK_PAGES ? row : CHUNK_PAGES, CHUNK_PAGES + 1, true);
	c = row <= CHUNK_PAGES ? *bucket(row) : NULL;
	return c != NULL && rows_find(c, least, n, align, p) ? c : NULL;
}

/* A place all of whose pages are dirty, in one of the chunks to which pages came back last.  Four:
 * with one, waves of mixed sizes had 44 MiB at their peak instead of 42, sqlite3 4,150 faults
 * instead of 3,730, clang 9,420 instead of 9,080; 16 change no more.  The tightest of dirty rows,
 * not the tightest if it is dirty: beside a short clean row a long dirty one was not seen, and bulk
 * of 100,000 in random order had 10.1 MiB instead of 9.4. */
static struct chunk *find_warm(unsigned n, unsigned align, struct row_place *p)
{
	struct chunk *c = lru_tail;

	for (unsigned i = 0; c != NULL && i < 4; c = c->lru_prev, i++)
		if (c->ndirty >= n && c->largest >= n && rows_find_dirty(c, n, align, p))
			return c;
	return NULL;
}

/* How long a run is to be, of LEAST to MOST pages: when all of that would lie in clean pages, half
 * of it, or a quarter, that find a row of dirty ones.  What a program has given back in pieces
 * serves first: sqlite3 has 20.5 MiB at its peak instead of 22.0, python3 with malloc a third fewer
 * page faults (doc/performance.md). */
unsigned arn_pages_run_length(unsigned most, unsigned least)
{
	unsigned n = most;
	struct row_place p;
	struct chunk *c;

	if (most == least)
		return most;
	lock_take(&arn_pages_lock);
	if (arn_pages.dirty >= (size_t)least << PAGE_SHIFT) {
		c = find_place(n, n, n, 1, &p);
		if (c == NULL || bitmap_count(c->dirty, p.at, n) == 0)
			while (n >= least && find_warm(n, 1, &p) == NULL)
				n /= 2;
	}
	lock_drop(&arn_pages_lock);
	return n >= least ? n : most;
}

/* RUN: before clean pages come those that are resident anyway, or waves would have both (bulk of
 * 100,000: 3 MiB more at its peak).  Blocks, whose lengths differ, fill what fits them best.
 * GROWS: in the longest row, if the block is
 * worth it: many small ones that grow side by side would leave holes everywhere. */
static struct chunk *find_chunk(unsigned n, unsigned align, bool run, bool grows,
				struct row_place *p)
{
	struct chunk *c = NULL, *warm;
	struct row_place q;

	if (grows && (size_t)n << PAGE_SHIFT >= arn_pages.used >> GROWS_SHIFT) {
		unsigned most = bitmap_last(bucket_map, n, CHUNK_PAGES + 1, true);

		most = most < LARGE_MAX_PAGES ? most : LARGE_MAX_PAGES;
		c = find_place(most, most, n, align, p);
	}
	if (c == NULL)
		c = find_place(n + align - 1, n, n, align, p);
	if (run && (c == NULL || bitmap_count(c->dirty, p->at, n) == 0)) {
		warm = find_warm(n, align, &q);
		if (warm != NULL) {
			*p = q;
			return warm;
		}
	}
	if (c == NULL && spare_release())
		c = find_place(n + align - 1, n, n, align, p);
	if (c != NULL)
		return c;
	c = chunk_map(n, align);
	return c != NULL && rows_find(c, n, n, align, p) ? c : NULL;
}

/* BYTES and BLOCKS more of large blocks; fewer as wrapped numbers. */
static void block_count(size_t bytes, size_t blocks)
{
	arn_pages.large += bytes;
	arn_pages.nlarge += blocks;
}

static bool span_get(struct run *r, unsigned npages, unsigned align_pages, bool grows,
		     uint32_t first, uint32_t rest)
{
	unsigned dirty;
	struct row_place p;
	struct chunk *c = find_chunk(npages, align_pages, r->state != RUN_LARGE, grows, &p);

	if (c == NULL)
		return false;
	r->base = c->base + ((uintptr_t)p.at << PAGE_SHIFT);
	r->chunk = c;
	r->npages = (uint16_t)npages;
	r->size = (size_t)npages << PAGE_SHIFT;
	dirty = row_take(c, p.at, npages);
	set_largest(c, p.largest == ROWS_UNKNOWN ? rows_longest(c) : p.largest);
	r->zero = dirty == 0;
	valgrind_noaccess((void *)r->base, r->size);
	if (r->state == RUN_LARGE)
		block_count(r->size, 1);
	arn_pagemap_set((void *)r->base, npages, first, rest, r);
	arn_pages_account_take(r->size, (size_t)(npages - dirty) << PAGE_SHIFT,
			       r->state == RUN_LARGE);
	return true;
}

bool arn_pages_get(struct run *r, unsigned npages, unsigned align_pages, uint32_t first,
		   uint32_t rest)
{
	bool ok;

	lock_take(&arn_pages_lock);
	ok = span_get(r, npages, align_pages, false, first, rest);
	lock_drop(&arn_pages_lock);
	return ok;
}

/* The page map knows R no more. */
static void span_put(struct run *r)
{
	row_give(r->chunk, page_in_chunk(r), r->npages);
	if (r->state == RUN_LARGE)
		block_count(-r->size, -(size_t)1);
	arn_pages_settle();
}

void arn_pages_put(struct run *r)
{
	lock_take(&arn_pages_lock);
	arn_pagemap_set((void *)r->base, r->npages, 0, 0, NULL);
	span_put(r);
	lock_drop(&arn_pages_lock);
}

/* A spare span of NPAGES serves again, or NULL. */
static struct run *spare_get(unsigned npages)
{
	struct run *r = arn_spare_span_take(npages);

	if (r == NULL)
		return NULL;
	spare_account(-r->size);
	if (arn_pages.used > arn_pages.peak_used)
		arn_pages.peak_used = arn_pages.used;
	r->zero = false;
	valgrind_noaccess((void *)r->base, r->size);
	block_count(r->size, 1);
	return r;
}

struct run *arn_pages_block_get(unsigned npages, unsigned align_pages, bool grows, uint32_t owner)
{
	const uint32_t first = INFO_LARGE | owner << INFO_CLASS_BITS;
	struct run *r, *again;

	lock_take(&arn_pages_lock);
	again = align_pages == 1 && !grows ? spare_get(npages) : NULL;
	r = again != NULL ? again : arn_spare_slot_take();
	if (r == NULL)
		r = arn_run_slot_get(0);
	if (r != NULL) {
		RELAXED_SET(r->state, (uint8_t)RUN_LARGE);
		atomic_store_explicit(&r->owner, owner, memory_order_relaxed);
	}
	if (again != NULL) {
		arn_pagemap_set((void *)r->base, npages, first, INFO_INNER, r);
		arn_pages_account_take(r->size, 0, true);
	} else if (r != NULL && !span_get(r, npages, align_pages, grows, first, INFO_INNER)) {
		arn_spare_slot_add(r);
		r = NULL;
	}
	lock_drop(&arn_pages_lock);
	return r;
}

void arn_pages_block_put(struct run *r)
{
	lock_take(&arn_pages_lock);
	/* Two threads that free it at once both found it in use. */
	if (unlikely(r->state != RUN_LARGE))
		arn_crime(CRIME_DOUBLE_FREE, (void *)r->base);
	arn_pagemap_set((void *)r->base, r->npages, 0, 0, NULL);
	if (arn_spare_span_add(r)) {
		spare_account(r->size);
		block_count(-r->size, -(size_t)1);
		arn_pages_settle();
	} else {
		span_put(r);
		arn_spare_slot_add(r);
	}
	lock_drop(&arn_pages_lock);
}

/* How many pages from AT on are free. */
static unsigned free_from(const struct chunk *c, unsigned at)
{
	return bitmap_next(c->used, at, c->npages, true) - at;
}

/* Whether page AT of C is one of a spare span: in use, and forgotten. */
static bool is_spare(const struct chunk *c, unsigned at)
{
	return at < c->npages &&
	       pagemap_info(pagemap_now(), (char *)c->base + ((size_t)at << PAGE_SHIFT)) == 0;
}

bool arn_pages_resize(struct run *r, unsigned npages)
{
	unsigned at = page_in_chunk(r), old = r->npages, row;
	struct chunk *c = r->chunk;
	bool ok = true;

	if (npages == old)
		return true;
	lock_take(&arn_pages_lock);
	if (npages < old) {
		arn_pagemap_set((char *)r->base + ((size_t)npages << PAGE_SHIFT), old - npages, 0,
				0, NULL);
		row_give(c, at + npages, old - npages);
		arn_pages_settle();
	} else if ((row = free_from(c, at + old)) >= npages - old ||
		   (is_spare(c, at + old + row) && spare_release() &&
		    (row = free_from(c, at + old)) >= npages - old)) {
		unsigned dirty = row_take(c, at + old, npages - old);

		if (row == c->largest)
			set_largest(c, rows_longest(c));
		arn_pagemap_set((char *)r->base + r->size, npages - old, INFO_INNER, INFO_INNER, r);
		arn_pages_account_take((size_t)(npages - old) << PAGE_SHIFT,
				       (size_t)(npages - old - dirty) << PAGE_SHIFT, false);
	} else {
		ok = false;
	}
	if (ok) {
		arn_pages.large -= r->size;
		arn_pages.large += (size_t)npages << PAGE_SHIFT;
		r->npages = (uint16_t)npages;
		r->size = (size_t)npages << PAGE_SHIFT;
	}
	lock_drop(&arn_pages_lock);
	return ok;
}

void arn_pages_snapshot(struct pages_state *out)
{
	/* In a signal handler that interrupted the holder: as it is. */
	if (unlikely(arn_locks_mine != 0 && !arn_lock_soon(&arn_pages_lock))) {
		*out = arn_pages;
		return;
	}
	lock_take(&arn_pages_lock);
	*out = arn_pages;
	lock_drop(&arn_pages_lock);
}

bool arn_pages_contain(const void *p)
{
	bool found = false;

	if (unlikely(arn_locks_mine != 0 && !arn_lock_soon(&arn_pages_lock)))
		return false;
	lock_take(&arn_pages_lock);
	for (struct chunk *c = arn_chunks; c != NULL && !found; c = c->all_next)
		found = (uintptr_t)p - c->base < (size_t)c->npages << PAGE_SHIFT;
	lock_drop(&arn_pages_lock);
	return found;
}

/* ---- fork and checking ------------------------------------------------------------------- */

static void chunk_derive(struct chunk *c)
{
	c->nfree = (uint16_t)(c->npages - bitmap_count(c->used, 0, c->npages));
	c->ndirty = 0;
	for (unsigned i = 0; i < CHUNK_WORDS; i++)
		c->ndirty += bits_popcount(c->dirty[i] & ~c->used[i]);
	c->largest = (uint16_t)rows_longest(c);
}

void arn_pages_fork_child(void)
{
	size_t used = 0, dirty = 0;

	if (!lock_reset(&arn_pages_lock))
		return;
	arn_huge_fork_child();
	lru_head = lru_tail = NULL;
	empty_chunks = 0;
	for (unsigned i = 0; i <= (long_buckets == NULL ? SHORT_ROW : CHUNK_PAGES); i++)
		*bucket(i) = NULL;
	arn_spare_fork_child();
	for (unsigned i = 0; i < BUCKET_WORDS; i++)
		bucket_map[i] = 0;
	for (struct chunk *c = arn_chunks; c != NULL; c = c->all_next) {
		if (c->npages == 0)
			continue;
		chunk_derive(c);
		c->in_lru = false;
		bucket_insert(c);
		if (c->ndirty > 0)
			lru_append(c);
		if (c->nfree == c->npages)
			empty_chunks++;
		used += (size_t)(c->npages - c->nfree) << PAGE_SHIFT;
		dirty += (size_t)c->ndirty << PAGE_SHIFT;
	}
	arn_pages.used = used + arn_pages.huge;
	arn_pages.dirty = dirty + arn_pages.huge_cached;
	spare_account(arn_spare_bytes());
}

bool arn_pages_check(void)
{
	size_t used = 0, dirty = 0;
	bool ok = true;

	lock_take(&arn_pages_lock);
	for (struct chunk *c = arn_chunks; c != NULL; c = c->all_next) {
		struct chunk copy = *c;

		if (c->npages == 0)
			continue;
		chunk_derive(&copy);
		ok &= copy.nfree == c->nfree && copy.ndirty == c->ndirty &&
		      copy.largest == c->largest;
		used += (size_t)(c->npages - c->nfree) << PAGE_SHIFT;
		dirty += (size_t)c->ndirty << PAGE_SHIFT;
	}
	ok &= used + arn_pages.huge == arn_pages.used + arn_spare_bytes();
	ok &= dirty + arn_pages.huge_cached + arn_spare_bytes() == arn_pages.dirty;
	lock_drop(&arn_pages_lock);
	return ok;
}
