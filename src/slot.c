/* SPDX-License-Identifier: MIT
 *
 * slot.c - the descriptors that run.h defines: where they lie, and how their memory goes back.
 * Layer pages; under meta_lock.
 *
 * The first slots of a process are cut from the boot memory (meta.c).  The others lie in blocks of
 * 64 KiB, aligned, each for slots of one length for ever:
 *
 *     +--------+------+------+------+-- ... --+------+------+
 *     | header | slot | slot | slot |         | slot | tail |
 *     +--------+------+------+------+-- ... --+------+------+
 *     used: bit i is set while slot i is taken; nfree == nslots - popcount(used)
 *
 * A slot is type-stable: another thread may queue a run a moment after it ended (remote.c).  So an
 * OS page goes back only when every slot on it is free and none is queued, and each is marked
 * RUN_BUSY first, which a late visitor sees and leaves; what the kernel hands out afterwards is
 * zero, a valid slot that is not queued.
 */
#include "lock.h"
#include "os.h"
#include "run.h"
#include "valgrind.h"

#define BLOCK_BYTES  (64 * KIB)
#define HEADER_BYTES ((size_t)2 * ARN_CACHE_LINE)
#define SLOTS_MAX    (BLOCK_BYTES / (2 * ARN_CACHE_LINE))
/* Blocks are mapped some at a time, an eighth of the metadata there is: fewer system calls. */
#define AREA_MIN (4 * BLOCK_BYTES)
#define AREA_MAX (4 * MIB)
/* OS pages are 4 KiB at least. */
#define PAGES_MAX (BLOCK_BYTES / (4 * KIB))

struct block {
	struct meta_block area; /* in the first block of a mapping */
	struct block *all_next;
	struct block *next, *prev; /* blocks of the same length with a free slot */
	uint16_t lines, nslots, nfree;
	uint16_t clean; /* OS pages that were given back and not touched since */
	uint64_t used[SLOTS_MAX / WORD_BITS];
};
_Static_assert(sizeof(struct block) <= HEADER_BYTES, "the header has two lines");
_Static_assert(PAGES_MAX <= 16, "clean has a bit for each OS page");

static struct block *all_blocks;
static struct block *open_blocks[META_RUN_KINDS]; /* by lines */
static unsigned empty_blocks[META_RUN_KINDS];
static char *area, *area_end; /* blocks that are mapped and not yet used */

static void open_add(struct block *b)
{
	b->prev = NULL;
	b->next = open_blocks[b->lines];
	if (b->next != NULL)
		b->next->prev = b;
	open_blocks[b->lines] = b;
}

static void open_del(struct block *b)
{
	if (b->prev != NULL)
		b->prev->next = b->next;
	else
		open_blocks[b->lines] = b->next;
	if (b->next != NULL)
		b->next->prev = b->prev;
}

static bool map_area(void)
{
	size_t n = bits_round_down(arn_meta_mapped / 8, BLOCK_BYTES);
	char *p;

	n = n < AREA_MIN ? AREA_MIN : n > AREA_MAX ? AREA_MAX : n;
	p = arn_os_map_aligned(NULL, n, BLOCK_BYTES);
	if (p == NULL) {
		n = BLOCK_BYTES;
		p = arn_os_map_aligned(NULL, n, BLOCK_BYTES);
		if (p == NULL)
			return false;
	}
	/* As the first chunk: a stack may lie below; and slots go back by single OS pages. */
	arn_os_want_no_huge(p, n);
	RELAXED_SET(arn_meta_mapped, arn_meta_mapped + n);
	((struct block *)(void *)p)->area = (struct meta_block){arn_meta_blocks, n};
	atomic_signal_fence(memory_order_seq_cst);
	arn_meta_blocks = (struct meta_block *)(void *)p;
	/* Order for fork: no moment shows a cursor with an end that is not its own. */
	area = NULL;
	atomic_signal_fence(memory_order_seq_cst);
	area_end = p + n;
	atomic_signal_fence(memory_order_seq_cst);
	area = p;
	valgrind_hide(p, n);
	return true;
}

static struct block *block_new(unsigned lines)
{
	struct block *b;

	if ((area == NULL || area == area_end) && !map_area())
		return NULL;
	b = (struct block *)(void *)area;
	area += BLOCK_BYTES;
	b->lines = (uint16_t)lines;
	b->nslots = b->nfree = (uint16_t)((BLOCK_BYTES - HEADER_BYTES) / (lines * ARN_CACHE_LINE));
	b->all_next = all_blocks;
	atomic_signal_fence(memory_order_seq_cst);
	all_blocks = b;
	open_add(b);
	empty_blocks[lines]++;
	return b;
}

static struct run *block_slot(struct block *b, unsigned i)
{
	return (struct run *)((char *)b + HEADER_BYTES + (size_t)i * b->lines * ARN_CACHE_LINE);
}

static struct block *block_of(const struct run *r)
{
	return (struct block *)bits_round_down((uintptr_t)r, BLOCK_BYTES);
}

/* The slots that touch OS pages [from, to) of a block, not its first: [*first, *end). */
static void slots_on(const struct block *b, size_t from, size_t to, unsigned *first, unsigned *end)
{
	size_t os = arn_os_page_bytes(), size = (size_t)b->lines * ARN_CACHE_LINE;

	*first = (unsigned)((from * os - HEADER_BYTES) / size);
	*end = (unsigned)((to * os - HEADER_BYTES + size - 1) / size);
	if (*first > b->nslots)
		*first = b->nslots;
	if (*end > b->nslots)
		*end = b->nslots;
}

/* ---- giving OS pages back ------------------------------------------------------------------ */

/* Ends the marks on slots [first, end) that still lie there, and not in pages that went back. */
static void unmark(struct block *b, unsigned first, unsigned end, uintptr_t gone, size_t gone_n)
{
	for (unsigned i = first; i < end; i++) {
		_Atomic uint32_t *queued = &block_slot(b, i)->remote_queued;

		if ((uintptr_t)queued - gone >= gone_n)
			atomic_store_explicit(queued, 0, memory_order_relaxed);
	}
}

/* Marks slots [first, end) busy; false: one is still queued, and none is marked. */
static bool mark(struct block *b, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++) {
		uint32_t idle = 0;

		/* Pairs with the exchange in remote.c: who finds the mark there queues nothing, and
		 * what it wrote over the mark ends with it. */
		if (!atomic_compare_exchange_strong_explicit(&block_slot(b, i)->remote_queued,
							     &idle, RUN_BUSY, memory_order_acq_rel,
							     memory_order_relaxed)) {
			unmark(b, first, i, 0, 0);
			return false;
		}
	}
	return true;
}

static bool page_is_free(const struct block *b, size_t page)
{
	unsigned first, end;

	slots_on(b, page, page + 1, &first, &end);
	return (b->clean >> page & 1) == 0 && bitmap_next(b->used, first, end, true) == end;
}

static size_t block_purge(struct block *b)
{
	size_t os = arn_os_page_bytes(), npages = BLOCK_BYTES / os, bytes = 0;

	/* The first page holds the header. */
	for (size_t from = 1, to; from < npages; from = to + 1) {
		uintptr_t start = (uintptr_t)b + from * os;
		unsigned first, end;

		for (to = from; to < npages && page_is_free(b, to); to++)
			;
		if (to == from)
			continue;
		slots_on(b, from, to, &first, &end);
		if (!mark(b, first, end))
			continue;
		if (arn_os_purge((void *)start, (to - from) * os)) {
			unmark(b, first, end, start, (to - from) * os);
			b->clean |= (uint16_t)(((1u << (to - from)) - 1) << from);
			bytes += (to - from) * os;
		} else {
			unmark(b, first, end, 0, 0);
		}
	}
	return bytes;
}

size_t arn_run_slot_trim(void)
{
	size_t bytes = 0;

	lock_take(&arn_meta_lock);
	for (struct block *b = all_blocks; b != NULL; b = b->all_next)
		if (b->nfree > 0)
			bytes += block_purge(b);
	lock_drop(&arn_meta_lock);
	return bytes;
}

/* ---- getting and putting back --------------------------------------------------------------- */

static struct run *block_get(unsigned lines)
{
	struct block *b = open_blocks[lines];
	struct run *r;
	unsigned i;

	if (b == NULL)
		b = block_new(lines);
	if (b == NULL)
		return NULL;
	i = bitmap_next(b->used, 0, b->nslots, false);
	r = block_slot(b, i);
	if (b->nfree == b->nslots)
		empty_blocks[lines]--;
	bitmap_fill(b->used, i, 1, true);
	b->nfree--;
	if (b->nfree == 0)
		open_del(b);
	if (b->clean != 0) {
		size_t os = arn_os_page_bytes();
		size_t from = ((uintptr_t)r - (uintptr_t)b) / os;
		size_t to = ((uintptr_t)r - (uintptr_t)b + lines * ARN_CACHE_LINE - 1) / os;

		b->clean &= (uint16_t) ~(1u << from | 1u << to);
	}
	RELAXED_SET(arn_meta_used, arn_meta_used + lines * ARN_CACHE_LINE);
	return r;
}

static void block_put(struct run *r)
{
	struct block *b = block_of(r);
	size_t size = (size_t)b->lines * ARN_CACHE_LINE;

	bitmap_fill(b->used, (unsigned)(((uintptr_t)r - (uintptr_t)b - HEADER_BYTES) / size), 1,
		    false);
	if (b->nfree == 0)
		open_add(b);
	b->nfree++;
	RELAXED_SET(arn_meta_used, arn_meta_used - size);
	/* One empty block is kept for the next swing. */
	if (b->nfree == b->nslots && empty_blocks[b->lines]++ > 0)
		block_purge(b);
}

struct run *arn_run_slot_get(unsigned nregions)
{
	unsigned nwords = (nregions + WORD_BITS - 1) / WORD_BITS;
	unsigned lines = run_lines(nwords);
	struct run *r = arn_meta_boot_get(META_RUN + lines, lines);

	if (r == NULL) {
		lock_take(&arn_meta_lock);
		r = block_get(lines);
		lock_drop(&arn_meta_lock);
	}
	if (r == NULL)
		return NULL;
	/* Written first: a page that is read before gets a second fault. */
	r->lines = (uint8_t)lines;
	/* Only in a child that was forked while its pages were given back. */
	if (unlikely(atomic_load_explicit(&r->remote_queued, memory_order_relaxed) == RUN_BUSY))
		atomic_compare_exchange_strong_explicit(&r->remote_queued, &(uint32_t){RUN_BUSY}, 0,
							memory_order_relaxed, memory_order_relaxed);
	RELAXED_SET(r->nwords, (uint8_t)nwords);
	RELAXED_SET(r->nregions, (uint16_t)nregions);
	RELAXED_SET(r->bits[0], 0); /* a large block that is not deferred: alloc.c */
	/* In its last life the slot may have had another number of words.  No late visitor touches
	 * them: a bit is only ever set for a live region. */
	for (unsigned i = 0; i < nwords; i++)
		atomic_store_explicit(&run_remote(r)[i], 0, memory_order_relaxed);
	return r;
}

void arn_run_slot_put(struct run *r)
{
	RELAXED_SET(r->state, (uint8_t)RUN_UNUSED);
	/* Relaxed: a late push reads it only to find that it should not have come here. */
	atomic_store_explicit(&r->owner, 0, memory_order_relaxed);
	if (arn_meta_is_boot(r)) {
		arn_meta_put(META_RUN + r->lines, r);
		return;
	}
	lock_take(&arn_meta_lock);
	block_put(r);
	lock_drop(&arn_meta_lock);
}

void arn_run_slot_fork_child(void)
{
	for (unsigned i = 0; i < META_RUN_KINDS; i++) {
		open_blocks[i] = NULL;
		empty_blocks[i] = 0;
	}
	for (struct block *b = all_blocks; b != NULL; b = b->all_next) {
		b->nfree = (uint16_t)(b->nslots - bitmap_count(b->used, 0, b->nslots));
		if (b->nfree > 0)
			open_add(b);
		if (b->nfree == b->nslots)
			empty_blocks[b->lines]++;
		/* Whether a purge had happened is not known: the worst is another one. */
		b->clean = 0;
	}
}
