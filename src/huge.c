/* SPDX-License-Identifier: MIT
 *
 * huge.c - blocks above 4 MiB, and of calloc above 2, each a mapping of its own, and the cache of
 * freed ones.
 * Layer pages; everything under pages_lock.
 *
 * A freed mapping stays in the cache, within the promise, since the same pages are often wanted
 * again; a request takes the tightest that fits and leaves the rest cached, or grows a smaller one
 * by mremap, which keeps its resident pages.  A mapping that the kernel does not take back (map
 * count limit, sandbox) also waits in the cache: nothing is lost.
 */
#include "bits.h"
#include "options.h"
#include "os.h"
#include "pagemap.h"
#include "pages.h"
#include "promise.h"
#include "valgrind.h"

/* A cached mapping serves a request that is up to an eighth smaller without being cut. */
#define CACHE_SLACK_SHIFT 3

/* From this size on a block asks for huge pages: one that is written only at its beginning is then
 * an eighth too big at most. */
#define THP_BLOCK_MIN (16 * MIB)
/* And from this one on the part behind the first huge page: what is written beyond that is mostly
 * written to its end (z3 has two tables of 8.1 MiB, which were 4160 of its 4680 faults), and of
 * buffers of which only the beginning is used (xz: 0.8 of 12.5 MiB) no more is resident. */
#define THP_REST_MIN (8 * MIB)
/* Such a block is aligned to HUGE_PAGE_BYTES: mremap would have to split the pages of one that
 * moves to another alignment (growth to 1 GiB: 2.0 s instead of 0.5). */

/* One of calloc with room for two huge pages begins one page before the first of them
 * (calloc_lead): what is read of it comes as the kernel's huge page of zeros, and a header that is
 * written makes none resident.  Its last huge page is mapped whole, if that is no more than what a
 * cached mapping may have too much: what is read of the rest was 430 faults for 8 MB. */
#define CALLOC_HUGE_MIN (2 * HUGE_PAGE_BYTES)

/* A mapping of which so many words are not set holds nearly nothing, and calloc gives it back
 * instead of clearing it (each of them may be a page fault). */
#define UNWRITTEN_SAMPLES 4
/* From this size on what comes again declines huge pages, as what comes first: glibc's largest mmap
 * threshold, so that a table of which little is used costs what it costs there (64 MB, one word of
 * it written, 300 times: 0.58 s and 127 MiB otherwise). */
#define SPARSE_MIN (32 * MIB)

struct run *arn_huge_live;   /* newest first */
struct run *arn_huge_cached; /* newest first */

static void list_add(struct run **head, struct run *r)
{
	r->prev = NULL;
	r->next = *head;
	if (r->next != NULL)
		r->next->prev = r;
	atomic_signal_fence(memory_order_seq_cst);
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

static void cache_del(struct run *r)
{
	list_del(&arn_huge_cached, r);
	if (!r->zero) {
		arn_pages.huge_cached -= r->size;
		arn_pages.dirty -= r->size;
	}
}

/* Whether A and B are the two parts of one mapping. */
static bool belong_together(const struct run *a, const struct run *b)
{
	return b->split && a->base + a->size == b->base && a->zero == b->zero &&
	       a->sparse == b->sparse;
}

/* Returns the mapping that R is now, or is now a part of. */
static struct run *cache_add(struct run *r)
{
	r->state = RUN_UNUSED;
	for (struct run *e = arn_huge_cached, *next; e != NULL; e = next) {
		struct run *gone = belong_together(e, r) ? r : belong_together(r, e) ? e : NULL;

		next = e->next;
		if (gone == NULL)
			continue;
		cache_del(e);
		e->parted = r->parted = e->parted || r->parted;
		if (gone == e) {
			r->size += e->size;
		} else {
			e->size += r->size;
			r = e;
		}
		arn_run_slot_put(gone);
	}
	list_add(&arn_huge_cached, r);
	if (!r->zero) {
		arn_pages.huge_cached += r->size;
		arn_pages.dirty += r->size;
	}
	return r;
}

/* Unmaps a cached mapping, or at least drops its contents. */
/* False: neither. */
static bool cache_drop(struct run *r)
{
	size_t n = r->size;
	bool dropped;

	/* First forget, then unmap: a child forked in between must not find what is gone. */
	cache_del(r);
	if (arn_os_unmap((void *)r->base, n)) {
		arn_pages_account_map(n, false);
		if (!r->zero)
			arn_pages_account_purge(n);
		arn_run_slot_put(r);
		return true;
	}
	dropped = !r->zero && arn_os_purge((void *)r->base, n);
	if (dropped) {
		arn_pages_account_purge(n);
		r->zero = true;
	}
	cache_add(r);
	return dropped;
}

void arn_huge_cache_offer(void)
{
	for (const struct run *r = arn_huge_cached; r != NULL; r = r->next)
		if (!r->zero)
			arn_os_offer((void *)r->base, r->size);
}

void arn_huge_cache_purge(size_t need)
{
	size_t goal = arn_pages.dirty > need ? arn_pages.dirty - need : 0;
	/* The oldest that holds contents, each time anew: one that the kernel does not take back
	 * comes in at the front, clean, and may have joined another. */
	while (arn_pages.dirty > goal) {
		struct run *oldest = NULL;

		for (struct run *r = arn_huge_cached; r != NULL; r = r->next)
			if (!r->zero)
				oldest = r;
		if (oldest == NULL || !cache_drop(oldest))
			break;
	}
}

/* The tightest cached mapping of at least N bytes whose start has the alignment. */
static struct run *cache_find(size_t n, size_t align)
{
	struct run *best = NULL;

	for (struct run *r = arn_huge_cached; r != NULL; r = r->next)
		if (r->size >= n && (r->base & (align - 1)) == 0 &&
		    (best == NULL || r->size < best->size))
			best = r;
	return best;
}

static struct run *take_whole(struct run *r, size_t n)
{
	r->slack_kib = (uint32_t)((r->size - n) / KIB);
	r->size = n;
	return r;
}

/* Takes N bytes from the front of a cached mapping; the tail stays cached if it is worth it. */
static struct run *cache_take(struct run *r, size_t n)
{
	struct run *tail;

	cache_del(r);
	/* A little too long is served as it is. */
	if (r->size - n <= n >> CACHE_SLACK_SHIFT)
		return take_whole(r, n);
	/* The tail stays cached, and joins its front again when that is freed: cutting it off would
	 * give back resident pages that the next, larger block wants. */
	tail = arn_run_slot_get(0);
	if (tail == NULL)
		return take_whole(r, n);
	tail->base = r->base + n;
	tail->size = r->size - n;
	tail->zero = r->zero;
	tail->sparse = r->sparse;
	tail->parted = r->parted;
	tail->chunk = NULL;
	tail->split = true;
	cache_add(tail);
	r->size = n;
	return r;
}

static size_t calloc_lead(void)
{
	return arn_os_page_bytes() > PAGE_BYTES ? arn_os_page_bytes() : PAGE_BYTES;
}

/* What makes the last huge page whole of N bytes of calloc, or 0. */
static size_t calloc_slack(size_t n)
{
	size_t slack = (calloc_lead() - n) & (HUGE_PAGE_BYTES - 1);

	return slack <= n >> CACHE_SLACK_SHIFT ? slack : 0;
}

/* PHASE: how far behind a multiple of HUGE_PAGE_BYTES the mapping is to begin. */
static void *map_for(size_t n, size_t align, size_t phase)
{
	void *p = NULL;

	if ((n >= THP_REST_MIN || phase != 0) && arn_options.thp && align < HUGE_PAGE_BYTES)
		p = arn_os_map_aligned(NULL, n + phase, HUGE_PAGE_BYTES);
	/* What cannot be cut off costs address space, nothing else. */
	if (p != NULL && phase != 0)
		arn_os_unmap(p, phase);
	if (p != NULL)
		return (char *)p + phase;
	return align > arn_os_page_bytes() ? arn_os_map_aligned(NULL, n, align)
					   : arn_os_map(NULL, n);
}

/* mremap takes one mapping: what is to grow or move gets the same advice everywhere. */
static void join_parts(struct run *r)
{
	if (r->parted)
		arn_os_want_huge((void *)r->base, run_block_bytes(r));
	r->parted = false;
}

/* Moves R's pages to a fresh address range of N bytes that the window covers; nothing after the
 * move can fail.  NULL: nothing changed. */
static void *move_to_fresh(struct run *r, size_t n)
{
	size_t phase = r->base & (HUGE_PAGE_BYTES - 1);
	void *to = map_for(n, arn_os_page_bytes(),
			   phase + calloc_lead() == HUGE_PAGE_BYTES ? phase : 0);

	if (to == NULL)
		return NULL;
	join_parts(r);
	if (!arn_pagemap_cover(to, n))
		arn_os_unmap(to, n);
	else if (arn_os_move((void *)r->base, run_block_bytes(r), n, to))
		return to;
	return NULL;
}

/* Grows the largest cached mapping that has at least half of N bytes; FRESH: by so many. */
static struct run *cache_grow(size_t n, size_t *fresh)
{
	struct run *best = NULL;
	void *p;

	for (struct run *r = arn_huge_cached; r != NULL; r = r->next)
		if (r->size < n && r->size >= n / 2 && (best == NULL || r->size > best->size))
			best = r;
	if (best == NULL)
		return NULL;
	cache_del(best);
	p = move_to_fresh(best, n);
	if (p == NULL) {
		cache_add(best);
		return NULL;
	}
	*fresh = best->zero ? n : n - best->size;
	arn_pages_account_map(n - best->size, true);
	best->base = (uintptr_t)p;
	best->size = n;
	best->zero = best->split = false;
	return best;
}

/* The whole mapping, although only whole huge pages can come of it: with different advice in its
 * parts it is several mappings to the kernel, which mremap does not take (join_parts).  From
 * THP_REST_MIN to THP_BLOCK_MIN it is two all the same. */
static void advise(struct run *r, bool sparse)
{
	if (!arn_options.thp || sparse) {
		arn_os_want_no_huge((void *)r->base, r->size);
	} else if (r->size >= THP_BLOCK_MIN) {
		arn_os_want_huge((void *)r->base, r->size);
		r->sparse = false;
	} else if (r->size >= THP_REST_MIN && !r->sparse) {
		_Atomic uint32_t *word = (_Atomic uint32_t *)r->base;
		uint32_t now = atomic_load_explicit(word, memory_order_relaxed);

		/* Parts that were first written to as mappings of their own can be no single one
		 * again: so first a page of what is one, without a change (clang makes a load of an
		 * or with 0). */
		arn_os_want_no_huge((void *)r->base, r->size);
		atomic_compare_exchange_strong_explicit(word, &now, now, memory_order_relaxed,
							memory_order_relaxed);
		arn_os_want_huge((char *)r->base + HUGE_PAGE_BYTES, r->size - HUGE_PAGE_BYTES);
		r->parted = true;
	}
}

/* Whether what calloc gave out as R lies there mostly unwritten, by some words of it. */
static bool seems_unwritten(const struct run *r)
{
	size_t step = bits_round_down(r->size / UNWRITTEN_SAMPLES, sizeof(uint64_t));
	uint64_t written = 0;

	/* Not the first: where there is anything, there is a header. */
	for (unsigned i = 1; i <= UNWRITTEN_SAMPLES; i++)
		written |= *(const volatile uint64_t *)(r->base + i * step - 8);
	return written == 0;
}

/* R comes from the cache for calloc, and holds contents.  One that was hardly written is given back
 * and comes as zeros again: as huge pages, since clearing it would make all of it resident, too.
 * Any other will be cleared; what was only read of it is not copied page by page from the kernel's
 * page of zeros, but comes as huge pages. */
static void expect_clearing(struct run *r)
{
	bool huge = arn_options.thp && r->size >= CALLOC_HUGE_MIN;
	bool unwritten = (huge || r->size >= SPARSE_MIN) && !valgrind_runs() && seems_unwritten(r);
	size_t end;

	if (!unwritten && !(huge && r->sparse))
		return;
	if (!arn_os_purge((void *)r->base, run_block_bytes(r)))
		return;
	RELAXED_SET(arn_pages.purged, arn_pages.purged + run_block_bytes(r));
	r->zero = unwritten;
	if (!r->sparse || (unwritten && r->size >= SPARSE_MIN))
		return;
	r->sparse = false;
	/* What is cleared has no slack to make resident. */
	end = run_block_bytes(r);
	r->parted = !unwritten && r->slack_kib != 0;
	if (r->parted)
		end = bits_round_down(r->size - calloc_lead(), HUGE_PAGE_BYTES) + calloc_lead();
	arn_os_want_huge((void *)r->base, end);
}

static struct run *map_fresh(size_t n, size_t align, bool sparse)
{
	struct run *r = arn_run_slot_get(0);
	bool whole = sparse && arn_options.thp && n >= CALLOC_HUGE_MIN;
	size_t slack = whole ? calloc_slack(n) : 0;
	size_t phase = whole ? HUGE_PAGE_BYTES - calloc_lead() : 0;
	void *p;

	if (r == NULL)
		return NULL;
	p = map_for(n + slack, align, phase);
	/* Where address space is short. */
	if (p == NULL && slack != 0) {
		slack = 0;
		p = map_for(n, align, phase);
	}
	if (p == NULL) {
		arn_run_slot_put(r);
		return NULL;
	}
	r->base = (uintptr_t)p;
	r->size = n + slack;
	r->zero = true;
	r->chunk = NULL;
	r->split = false;
	r->sparse = sparse;
	r->parted = false;
	arn_pages_account_map(r->size, true);
	advise(r, sparse);
	take_whole(r, n);
	return r;
}

/* Whether the window covers R.  Where address space is short it takes the place of what a fresh
 * mapping has beyond its block. */
static bool cover(struct run *r)
{
	size_t slack = r->slack_kib * KIB;

	if (arn_pagemap_cover((void *)r->base, run_block_bytes(r)))
		return true;
	if (slack == 0 || !r->zero || !arn_os_unmap((char *)r->base + r->size, slack))
		return false;
	r->slack_kib = 0;
	arn_pages_account_map(slack, false);
	return arn_pagemap_cover((void *)r->base, r->size);
}

static void account_used(size_t n, bool on)
{
	if (on) {
		arn_pages.used += n;
		arn_pages.huge += n;
		if (arn_pages.used > arn_pages.peak_used)
			arn_pages.peak_used = arn_pages.used;
	} else {
		arn_pages.used -= n;
		arn_pages.huge -= n;
	}
}

struct run *arn_huge_get(size_t size, size_t align, uint32_t owner, bool sparse)
{
	/* At least a page of ours, or two blocks of small size and large alignment could begin in
	 * the same one, which has one entry in the page map. */
	size_t n = bits_round_up(size < PAGE_BYTES ? PAGE_BYTES : size, arn_os_page_bytes());
	size_t fresh = 0;
	struct run *r;

	if (align < arn_os_page_bytes())
		align = arn_os_page_bytes();
	lock_take(&arn_pages_lock);
	r = cache_find(n, align);
	if (r != NULL)
		r = cache_take(r, n);
	else if (align == arn_os_page_bytes())
		r = cache_grow(n, &fresh);
	if (r == NULL)
		r = map_fresh(n, align, sparse);
	/* What the promise is told; not what is given back because it is to be zero. */
	if (r != NULL && r->zero)
		fresh = r->size;
	else if (r != NULL && sparse)
		expect_clearing(r);
	if (r != NULL && !cover(r)) {
		r->size = run_block_bytes(r);
		r->slack_kib = 0;
		r = cache_add(r);
		/* What holds nothing would keep its address space, and be found again each time. */
		if (r->zero)
			cache_drop(r);
		r = NULL;
	}
	if (r != NULL) {
		r->state = RUN_HUGE;
		RELAXED_SET(r->nregions, 1);
		atomic_store_explicit(&r->owner, owner, memory_order_relaxed);
		list_add(&arn_huge_live, r);
		valgrind_noaccess((void *)r->base, run_block_bytes(r));
		account_used(run_block_bytes(r), true);
		RELAXED_SET(arn_pages.nhuge, arn_pages.nhuge + 1);
		arn_pages_account_take(r->size, fresh, true);
		arn_pagemap_set((void *)r->base, 1, INFO_HUGE | owner << INFO_CLASS_BITS, 0, r);
	}
	lock_drop(&arn_pages_lock);
	return r;
}

void arn_huge_put(struct run *r)
{
	lock_take(&arn_pages_lock);
	arn_pagemap_set((void *)r->base, 1, 0, 0, NULL);
	list_del(&arn_huge_live, r);
	r->size = run_block_bytes(r);
	r->slack_kib = 0;
	account_used(r->size, false);
	RELAXED_SET(arn_pages.nhuge, arn_pages.nhuge - 1);
	r->zero = false;
	r = cache_add(r);
	/* What the promise cannot hold goes at once, instead of pushing others out first. */
	if (r->size > arn_promise_limit(arn_pages.used))
		cache_drop(r);
	arn_pages_settle();
	lock_drop(&arn_pages_lock);
}

bool arn_huge_resize(struct run *r, size_t size, bool may_move)
{
	size_t n = bits_round_up(size, arn_os_page_bytes());
	size_t old = run_block_bytes(r);
	void *p;

	if (n == r->size)
		return true;
	lock_take(&arn_pages_lock);
	p = (void *)r->base;
	if (n > old)
		join_parts(r);
	if (n == old || arn_os_resize(p, old, n)) {
		if (n > old && !arn_pagemap_cover(p, n)) {
			arn_os_resize(p, n, old);
			p = NULL;
		}
	} else {
		p = may_move && n > old ? move_to_fresh(r, n) : NULL;
	}
	if (p != NULL) {
		arn_pagemap_set((void *)r->base, 1, 0, 0, NULL);
		account_used(old, false);
		arn_pages_account_map(old, false);
		r->slack_kib = 0;
		if (r->base != (uintptr_t)p)
			r->split = false;
		r->base = (uintptr_t)p;
		r->size = n;
		account_used(n, true);
		arn_pages_account_map(n, true);
		if (n > old)
			advise(r, false);
		arn_pagemap_set(p, 1, INFO_HUGE | r->owner << INFO_CLASS_BITS, 0, r);
		arn_pages_settle();
	}
	lock_drop(&arn_pages_lock);
	return p != NULL;
}

void arn_huge_fork_child(void)
{
	struct run **lists[] = {&arn_huge_live, &arn_huge_cached};

	/* Forward links are whole at every store; the backward ones follow from them. */
	for (unsigned i = 0; i < 2; i++) {
		struct run *prev = NULL;

		for (struct run *r = *lists[i]; r != NULL; prev = r, r = r->next)
			r->prev = prev;
	}
}
