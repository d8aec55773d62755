/* SPDX-License-Identifier: MIT
 *
 * pages.h - chunks, the spans of pages in them, and huge blocks.  Layer pages; owns pages_lock.
 *
 * A chunk is an aligned mapping of up to 256 pages with two bitmaps:
 *     used[i]   page i belongs to a run, a large block or a spare span; and for i >= npages
 *     dirty[i]  page i was in use since it was last purged (meaningless while used)
 *     nfree == npages - popcount(used),  ndirty == popcount(dirty & ~used)
 *     largest == length of the longest row of unused pages
 * The bitmaps, and the lists of spare spans (spare.c), are the truth; the rest is derived from
 * them, and derived again in a child that was forked while another thread held the lock.
 *
 * How many dirty bytes may stay: promise.h.
 */
#ifndef ARN_PAGES_H
#define ARN_PAGES_H

#include "lock.h"
#include "run.h"

#define CHUNK_WORDS (CHUNK_PAGES / WORD_BITS)

struct chunk {
	struct chunk *all_next; /* every descriptor ever made; never unlinked */
	struct chunk *bucket_next, *bucket_prev;
	struct chunk *lru_next, *lru_prev; /* chunks with dirty pages, oldest free first */
	uintptr_t base;
	uint16_t npages; /* 0: descriptor without a mapping */
	uint16_t nfree, ndirty, largest;
	bool in_lru, huge_pages;
	bool kept; /* the kernel did not take pages back (locked memory): not asked again */
	uint64_t used[CHUNK_WORDS];
	uint64_t dirty[CHUNK_WORDS];
};

/* All under pages_lock; `purged` and `nhuge` are also read without it. */
struct pages_state {
	size_t used;        /* bytes of spans and huge blocks in use */
	size_t dirty;       /* bytes free but dirty: in chunks, spare spans, cached huge mappings */
	size_t mapped;      /* bytes of chunks and huge mappings, cached ones too */
	size_t large;       /* bytes of large blocks in use */
	size_t huge;        /* bytes of huge blocks in use */
	size_t huge_cached; /* part of dirty */
	size_t peak_used, peak_mapped;
	size_t purged; /* bytes given back since the start, by madvise or munmap */
	size_t nchunks, nhuge, nlarge;
};
extern struct lock arn_pages_lock;
extern struct pages_state arn_pages;

/* Makes the first chunk and the window that covers it.  Called once. */
bool arn_pages_boot(void);

/* A span of NPAGES (<= LARGE_MAX_PAGES) whose first page is aligned to ALIGN_PAGES pages (a power
 * of two).  Fills r->base, chunk, npages, size, zero, and the page map with FIRST and REST. */
bool arn_pages_get(struct run *r, unsigned npages, unsigned align_pages, uint32_t first,
		   uint32_t rest);
/* How many pages, of LEAST to MOST, a run has best now. */
unsigned arn_pages_run_length(unsigned most, unsigned least);
/* Gives the span of R back and clears its page map.  The slot stays the caller's. */
void arn_pages_put(struct run *r);
/* A large block, slot and span; NULL: out of memory.  GROWS: realloc will want more of it.  And
 * back. */
struct run *arn_pages_block_get(unsigned npages, unsigned align_pages, bool grows, uint32_t owner);
void arn_pages_block_put(struct run *r);
/* Changes a large block's length in place; false: nothing changed. */
bool arn_pages_resize(struct run *r, unsigned npages);

/* A block of SIZE bytes (> HUGE_PAGE_BYTES) with a mapping of its own, aligned to ALIGN; or NULL.
 * SPARSE: it may be written in few places (calloc), so no huge pages. */
struct run *arn_huge_get(size_t size, size_t align, uint32_t owner, bool sparse);
/* Gives the block back; R is gone afterwards. */
void arn_huge_put(struct run *r);
/* In place, or by moving the mapping; r->base may change.  False: nothing changed. */
bool arn_huge_resize(struct run *r, size_t size, bool may_move);

/* Gives free pages back until at most KEEP dirty bytes are left; returns bytes given back. */
size_t arn_pages_trim(size_t keep);

/* A picture of arn_pages in which the figures agree. */
void arn_pages_snapshot(struct pages_state *out);

/* For walkers: chunk descriptors by all_next, never freed; huge blocks by next. */
extern struct chunk *arn_chunks ARN_HIDDEN;
/* The bytes of free OS pages inside of runs that each heap may keep, besides what it regretted. */
size_t arn_pages_heap_share(void);
/* N of them went back; FORGET of its regrets the heap gives up. */
void arn_pages_runs_purged(size_t n, size_t forget);
/* N of them are wanted again: how many more may stay. */
size_t arn_pages_runs_regret(size_t n);
/* How many heaps in use share the pages: heap.h counts them. */
extern _Atomic size_t arn_pages_heaps ARN_HIDDEN;
extern struct run *arn_huge_live ARN_HIDDEN, *arn_huge_cached ARN_HIDDEN;

/* Whether P lies in a page of a chunk (used or free). */
bool arn_pages_contain(const void *p);

/* Internal to the layer, with pages_lock held. */
/* spare.c: slots for large blocks, NULL: none; and spans of N pages with their slots.  False: not
 * kept. */
void arn_spare_slot_add(struct run *r);
struct run *arn_spare_slot_take(void);
bool arn_spare_span_add(struct run *r);
struct run *arn_spare_span_take(unsigned npages);
struct run *arn_spare_span_any(void);
size_t arn_spare_bytes(void);
void arn_spare_fork_child(void);
void arn_pages_settle(void);            /* restores the promise */
void arn_huge_cache_purge(size_t need); /* frees about NEED bytes of cached mappings */
void arn_huge_cache_offer(void);
void arn_huge_fork_child(void);
void arn_pages_account_map(size_t n, bool on);
void arn_pages_account_purge(size_t n);
void arn_pages_account_take(size_t taken, size_t clean, bool block);

/* In a forked child: resets the lock and, if it was held, derives everything again. */
void arn_pages_fork_child(void);

/* The invariants above, for every chunk; false: broken. */
bool arn_pages_check(void);

#endif
