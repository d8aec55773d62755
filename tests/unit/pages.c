/* SPDX-License-Identifier: MIT
 *
 * pages.c - unit tests of the page layer: meta, pagemap, chunks and spans, and runs.
 */
#include "unit.h"

#include <sys/syscall.h>

#include "init.h"
#include "options.h"
#include "os.h"
#include "pagemap.h"
#include "pages.h"
#include "promise.h"
#include "run_ops.h"

static void boot(void)
{
	ck_assert(arn_boot());
}

#define REQUIRE_PROMISE() REQUIRE(arn_pages.dirty <= arn_promise_limit(arn_pages.used))

/* ---- meta ---------------------------------------------------------------------------------- */

START_TEST(meta_slots)
{
	enum { N = 4000, LINES = 5 };
	static char *slot[N];
	char *first;

	for (int i = 0; i < N; i++) {
		slot[i] = arn_meta_get(META_RUN + LINES, LINES);
		REQUIRE(slot[i] != NULL && (uintptr_t)slot[i] % ARN_CACHE_LINE == 0);
		for (int k = 0; k < LINES * ARN_CACHE_LINE; k++)
			REQUIRE(slot[i][k] == 0);
		memset(slot[i], 1 + i % 100, LINES * ARN_CACHE_LINE);
	}
	for (int i = 0; i < N; i++)
		for (int k = 0; k < LINES * ARN_CACHE_LINE; k++)
			REQUIRE(slot[i][k] == 1 + i % 100);
	/* Type-stable: the slot comes back to its own kind only, and holds what it held but for
	 * the first word. */
	first = slot[7];
	arn_meta_put(META_RUN + LINES, first);
	ck_assert_ptr_ne(arn_meta_get(META_COMBINE, LINES), first);
	ck_assert_ptr_eq(arn_meta_get(META_RUN + LINES, LINES), first);
	ck_assert_ptr_null(*(void **)(void *)first);
	for (size_t k = sizeof(void *); k < LINES * ARN_CACHE_LINE; k++)
		REQUIRE(first[k] == 8);
	ck_assert_uint_ge(arn_meta_mapped, arn_meta_used);
	ck_assert_uint_ge(arn_meta_used, N * LINES * ARN_CACHE_LINE);
}
END_TEST

/* What a bin has outgrown is cut, for descriptors and for smaller arrays, and for nothing else. */
START_TEST(meta_outgrown_arrays)
{
	enum { BYTES = 8 * ARN_CACHE_LINE };
	char *a = arn_meta_get(META_ARRAY + 3, 8), *p;

	memset(a, 0xff, BYTES);
	arn_meta_put(META_ARRAY + 3, a);
	p = arn_meta_get(META_COMBINE, 5);
	ck_assert_uint_ge((uintptr_t)(p - a), BYTES);
	p = arn_meta_get(META_RUN + 5, 5);
	ck_assert_ptr_eq(p, a);
	for (size_t k = 0; k < 5 * ARN_CACHE_LINE; k++)
		REQUIRE(p[k] == 0);
	/* Three lines are left. */
	ck_assert_ptr_eq(arn_meta_get(META_ARRAY, 1), a + 5 * ARN_CACHE_LINE);
	ck_assert_ptr_eq(arn_meta_get(META_ARRAY + 1, 2), a + 6 * ARN_CACHE_LINE);
	p = arn_meta_get(META_ARRAY, 1);
	ck_assert_uint_ge((uintptr_t)(p - a), BYTES);
}
END_TEST

/* Hazard: descriptors that never go back after a peak.  Free ones do, but for pages on which one is
 * in use, or still queued by a late freer. */
START_TEST(meta_slots_go_back)
{
	enum { N = 40000, EACH = 6 * ARN_CACHE_LINE };
	static struct run *slot[N];
	size_t base = unit_resident(), peak, after;

	for (int i = 0; i < N; i++) {
		slot[i] = arn_run_slot_get(RUN_REGIONS_MAX);
		REQUIRE(slot[i] != NULL && slot[i]->remote_queued == 0);
		memset(slot[i]->bits, 0xff, 16);
		slot[i]->size = (size_t)i;
	}
	peak = unit_resident();
	if (!UNIT_SANITIZED) /* there unit_resident() does not see descriptors */
		ck_assert_uint_ge(peak - base, (size_t)N * EACH / 10 * 9);
	atomic_store(&slot[N / 2]->remote_queued, 1);
	for (int i = 0; i < N; i++)
		if (i != N / 3)
			arn_run_slot_put(slot[i]);
	arn_run_slot_trim();
	after = unit_resident();
	/* A page of 16 in each block. */
	ck_assert_uint_le(after - base, (peak - base) / 8);
	ck_assert_uint_eq(slot[N / 3]->size, N / 3);
	ck_assert_uint_eq(atomic_load(&slot[N / 2]->remote_queued), 1);
	ck_assert_uint_eq(slot[N / 2]->size, N / 2);
	ck_assert_uint_eq(arn_run_slot_trim(), 0);
	/* They serve again, zero where they were given back, and nothing is marked. */
	for (int i = 0; i < N; i++) {
		struct run *r = arn_run_slot_get(RUN_REGIONS_MAX);

		REQUIRE(r != NULL && r != slot[N / 3]);
		REQUIRE(r->remote_queued == (r == slot[N / 2] ? 1 : 0));
		REQUIRE(r->nwords == RUN_REGIONS_MAX / WORD_BITS);
	}
}
END_TEST

START_TEST(meta_larger_than_a_block)
{
	size_t lines = 8 * MIB / ARN_CACHE_LINE; /* above BLOCK_MAX */
	char *p = arn_meta_get(META_TABLE, lines);

	ck_assert_ptr_nonnull(p);
	p[0] = p[8 * MIB - 1] = 1;
}
END_TEST

/* ---- pagemap ------------------------------------------------------------------------------- */

static struct run *span_get(unsigned npages, unsigned align)
{
	struct run *r = arn_run_slot_get(0);

	REQUIRE(r != NULL);
	r->state = RUN_LARGE;
	REQUIRE(arn_pages_get(r, npages, align, INFO_LARGE, INFO_INNER));
	return r;
}

static void require_entries(struct run *r)
{
	for (unsigned i = 0; i < r->npages; i++) {
		char *p = (char *)r->base + i * PAGE_BYTES;

		REQUIRE(pagemap_info(pagemap_now(), p) == (i == 0 ? INFO_LARGE : INFO_INNER));
		REQUIRE(pagemap_info(pagemap_now(), p + PAGE_BYTES - QUANTUM) ==
			(i == 0 ? INFO_LARGE : INFO_INNER));
		REQUIRE(pagemap_run(p) == r);
	}
}

START_TEST(pagemap_before_boot)
{
	int on_stack;

	ck_assert_uint_eq(pagemap_info(pagemap_now(), NULL), 0);
	ck_assert_uint_eq(pagemap_info(pagemap_now(), &on_stack), 0);
	ck_assert_uint_eq(pagemap_info(pagemap_now(), (void *)~(uintptr_t)15), 0);
}
END_TEST

START_TEST(pagemap_foreign)
{
	struct run *r;
	int on_stack;

	boot();
	r = span_get(3, 1);
	ck_assert_uint_eq(pagemap_info(pagemap_now(), NULL), 0);
	ck_assert_uint_eq(pagemap_info(pagemap_now(), &on_stack), 0);
	ck_assert_uint_eq(pagemap_info(pagemap_now(), (void *)~(uintptr_t)15), 0);
	for (unsigned i = 1; i < QUANTUM; i++)
		ck_assert_uint_eq(pagemap_info(pagemap_now(), (char *)r->base + i), 0);
	require_entries(r);
	arn_pages_put(r);
	ck_assert_uint_eq(pagemap_info(pagemap_now(), (char *)r->base), 0);
}
END_TEST

/* The map covers addresses without touching what is there, so any will do. */
START_TEST(pagemap_grows)
{
	struct run *r[40], *huge;
	uintptr_t base;
	size_t before;
	/* 32 bits have 4 GiB in all; elsewhere, near, far (a hole of 1 TiB) and both ways. */
	static const int64_t gib[] = {-1, -2, 1, -9, -60, 30, -1024};
	unsigned n = sizeof(void *) == 8 ? sizeof gib / sizeof *gib : 1;

	boot();
	for (int i = 0; i < 40; i++)
		r[i] = span_get(1 + (unsigned)i * 3, 1);
	huge = arn_huge_get(3 * MIB, 1, 0, false);
	ck_assert_ptr_nonnull(huge);
	base = r[0]->base;
	for (unsigned i = 0; i < n; i++) {
		char *p = (char *)(base + (uintptr_t)(gib[i] * (int64_t)GIB));
		page_info *m;

		/* Some kernels, and qemu, begin at some hundred GiB. */
		if (gib[i] < 0 && base < (uintptr_t)-gib[i] * GIB)
			continue;
		ck_assert(arn_pagemap_cover(p, 5 * PAGE_BYTES));
		m = pagemap_now();
		ck_assert(pagemap_covers(m, pagemap_offset(m, p)));
		ck_assert(pagemap_covers(m, pagemap_offset(m, p + 5 * PAGE_BYTES - QUANTUM)));
		ck_assert_uint_eq(pagemap_info(m, p), 0);
		arn_pagemap_set(p, 5, 0x1234, 0x5678, r[1]);
		ck_assert_uint_eq(pagemap_info(m, p), 0x1234);
		ck_assert_uint_eq(pagemap_info(m, p + 4 * PAGE_BYTES), 0x5678);
		ck_assert_ptr_eq(pagemap_run(p + 2 * PAGE_BYTES), r[1]);
		arn_pagemap_set(p, 5, 0, 0, NULL);
		for (int k = 0; k < 40; k++)
			require_entries(r[k]);
		ck_assert_ptr_eq(pagemap_run((void *)huge->base), huge);
		ck_assert_uint_eq(INFO_CLASS(pagemap_info(m, (void *)huge->base)), INFO_HUGE);
		/* What is covered is not covered anew. */
		before = arn_pagemap_mapped();
		ck_assert(arn_pagemap_cover(p, 5 * PAGE_BYTES));
		ck_assert(arn_pagemap_cover((void *)base, 1));
		ck_assert_uint_eq(arn_pagemap_mapped(), before);
	}
	for (int i = 0; i < 40; i++)
		arn_pages_put(r[i]);
	arn_huge_put(huge);
	ck_assert(arn_pages_check());
}
END_TEST

/* A process that needs the first chunk alone has no mapping for the page map. */
START_TEST(pagemap_begins_in_bss)
{
	struct run *r[8];
	page_info *first;

	boot();
	first = pagemap_now();
	r[0] = span_get(FIRST_CHUNK_PAGES, 1);
	require_entries(r[0]);
	ck_assert_uint_eq(arn_pagemap_mapped(), 0);
	ck_assert(!pagemap_covers(first, pagemap_offset(first, (char *)r[0]->base - QUANTUM)));
	for (int i = 1; i < 8; i++)
		r[i] = span_get(FIRST_CHUNK_PAGES, 1);
	ck_assert_uint_ge(arn_pagemap_mapped(), WINDOW_MAPPED / PAGE_BYTES * sizeof(page_info));
	for (int i = 0; i < 8; i++)
		require_entries(r[i]);
	/* Who had the old one in hand. */
	ck_assert_uint_eq(pagemap_info(first, (void *)r[0]->base), INFO_LARGE);
	ck_assert(!pagemap_covers(first, pagemap_offset(first, (void *)r[1]->base)));
}
END_TEST

static bool declines_huge_pages(const void *p)
{
	return unit_has_flag(p, " nh");
}

/* Hazard: what is mapped without that flag is joined to the stack of a thread that lies below, and
 * the end of the stack gets a huge page. */
START_TEST(mappings_decline_huge_pages)
{
	void *probe = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct meta_block *b;
	unsigned blocks = 0;

	ck_assert(probe != MAP_FAILED);
	if (madvise(probe, 4 * MIB, MADV_NOHUGEPAGE) != 0 || !declines_huge_pages(probe)) {
		puts("# this kernel has no huge pages, or does not tell");
		return;
	}
	boot();
	ck_assert(declines_huge_pages((void *)arn_chunks->base));
	for (int i = 0; i < 4; i++)
		span_get(FIRST_CHUNK_PAGES, 1);
	for (int i = 0; i < 1000; i++)
		REQUIRE(arn_run_slot_get(RUN_REGIONS_MAX) != NULL);
	REQUIRE(arn_meta_get(META_TABLE, 2048) != NULL);
	for (struct chunk *c = arn_chunks; c != NULL; c = c->all_next)
		ck_assert(declines_huge_pages((void *)c->base));
	for (b = arn_meta_blocks; b != NULL; b = b->next, blocks++)
		ck_assert(declines_huge_pages(b));
	ck_assert_uint_ge(blocks, 2);
	ck_assert(declines_huge_pages(pagemap_now()));
}
END_TEST

/* Where much lies free, only what a large block covers. */
START_TEST(chunks_ask_for_huge_pages)
{
	struct run *r = NULL;

	boot();
	if (!arn_options.thp || !declines_huge_pages((void *)arn_chunks->base)) {
		puts("# this kernel has no huge pages, or does not tell");
		return;
	}
	while (arn_pages.used < 8 * MIB + arn_pages_heaps * 2 * MIB)
		r = span_get(200, 1);
	ck_assert(declines_huge_pages((void *)r->chunk->base));
	r = span_get(200, 1);
	ck_assert(unit_has_flag((void *)r->chunk->base, " hg"));
	ck_assert(declines_huge_pages((char *)r->chunk->base + HUGE_PAGE_BYTES));
	r = span_get(100, 1);
	ck_assert(declines_huge_pages((void *)r->chunk->base));
	for (struct chunk *c = arn_chunks; c != NULL; c = c->all_next)
		while (c->largest > 0)
			span_get(1, 1);
	r = span_get(1, 1);
	ck_assert(unit_has_flag((char *)r->chunk->base + HUGE_PAGE_BYTES, " hg"));
}
END_TEST

START_TEST(pagemap_entries_of_a_run)
{
	struct run *r;

	boot();
	r = arn_run_new(5, arn_class[5].run_max, 77);
	ck_assert_ptr_nonnull(r);
	for (unsigned i = 0; i < r->npages; i++)
		ck_assert_uint_eq(pagemap_info(pagemap_now(), (char *)r->base + i * PAGE_BYTES),
				  5 | 77u << INFO_CLASS_BITS);
	arn_run_release(r);
}
END_TEST

/* ---- pages --------------------------------------------------------------------------------- */

#define SPANS 120

/* Each page of a span holds its owner's number at both ends. */
static void mark(struct run *r, unsigned from, unsigned char tag)
{
	for (unsigned i = from; i < r->npages; i++) {
		((unsigned char *)r->base)[i * PAGE_BYTES] = tag;
		((unsigned char *)r->base)[(i + 1) * PAGE_BYTES - 1] = tag;
	}
}

static void require_mark(const struct run *r, unsigned npages, unsigned char tag)
{
	for (unsigned i = 0; i < npages; i++) {
		REQUIRE(((unsigned char *)r->base)[i * PAGE_BYTES] == tag);
		REQUIRE(((unsigned char *)r->base)[(i + 1) * PAGE_BYTES - 1] == tag);
	}
}

static void require_zero(const struct run *r)
{
	for (size_t i = 0; i < r->size; i += 512)
		REQUIRE(((unsigned char *)r->base)[i] == 0 &&
			((unsigned char *)r->base)[i + 511] == 0);
}

static unsigned random_pages(uint64_t *seed)
{
	unsigned top = 1u << unit_random(seed) % 8; /* as many small ones as large */

	return 1 + (unsigned)(unit_random(seed) % top);
}

static void require_states(struct run *const *span)
{
	size_t used = 0;

	for (int i = 0; i < SPANS; i++)
		used += span[i] != NULL ? span[i]->size : 0;
	REQUIRE(arn_pages.used == used && arn_pages.large == used);
	REQUIRE(arn_pages_check());
	REQUIRE_PROMISE();
}

START_TEST(pages_against_model)
{
	static struct run *span[SPANS];
	uint64_t seed = 42;

	arn_options.dirty_kib = (size_t)_i;
	boot();
	for (int step = 0; step < 6000; step++) {
		unsigned i = (unsigned)(unit_random(&seed) % SPANS), n = random_pages(&seed), old;

		if (span[i] == NULL) {
			unsigned align = unit_random(&seed) % 4 ? 1 : 1u << unit_random(&seed) % 8;

			span[i] = span_get(n, align);
			REQUIRE(span[i]->npages == n && span[i]->size == n * PAGE_BYTES);
			REQUIRE(span[i]->base % (align * PAGE_BYTES) == 0);
			if (span[i]->zero)
				require_zero(span[i]);
			mark(span[i], 0, (unsigned char)(i + 1));
		} else if (unit_random(&seed) % 3 == 0) {
			old = span[i]->npages;
			if (arn_pages_resize(span[i], n)) {
				REQUIRE(span[i]->npages == n && span[i]->size == n * PAGE_BYTES);
				require_mark(span[i], n < old ? n : old, (unsigned char)(i + 1));
				mark(span[i], old < n ? old : n, (unsigned char)(i + 1));
			} else {
				REQUIRE(span[i]->npages == old && n > old);
			}
			require_entries(span[i]);
		} else {
			require_mark(span[i], span[i]->npages, (unsigned char)(i + 1));
			require_entries(span[i]);
			arn_pages_put(span[i]);
			REQUIRE(pagemap_info(pagemap_now(), (void *)span[i]->base) == 0);
			arn_run_slot_put(span[i]);
			span[i] = NULL;
		}
		require_states(span);
	}
	for (int i = 0; i < SPANS; i++)
		if (span[i] != NULL)
			arn_pages_put(span[i]);
	ck_assert_uint_eq(arn_pages.used, 0);
	arn_pages_trim(0);
	ck_assert_uint_eq(arn_pages.dirty, 0);
	ck_assert(arn_pages_check());
}
END_TEST

START_TEST(pages_chunks_go_back)
{
	struct run *r[100];
	size_t mapped, n, purged;

	boot();
	arn_options.dirty_kib = 0;
	for (int i = 0; i < 100; i++) {
		r[i] = span_get(LARGE_MAX_PAGES, 1);
		mark(r[i], 0, 1);
	}
	mapped = arn_pages.mapped;
	ck_assert_uint_ge(mapped, 100 * LARGE_MAX);
	for (int i = 0; i < 100; i++) {
		arn_pages_put(r[i]);
		REQUIRE_PROMISE();
	}
	purged = arn_pages.purged;
	n = arn_pages_trim(0);
	ck_assert_uint_eq(arn_pages.purged - purged, n);
	ck_assert_uint_eq(arn_pages.dirty, 0);
	/* Two at most: the one that is kept, and the first one. */
	ck_assert_uint_le(arn_pages.mapped, 2 * CHUNK_BYTES);
	ck_assert(arn_pages_check());
}
END_TEST

/* What the map says is purged is not resident. */
START_TEST(pages_purge_is_real)
{
	unsigned char resident[LARGE_MAX / 4096];
	struct run *r, *neighbour;
	size_t bytes;

	arn_options.dirty_kib = 4096; /* what is freed here fits */
	boot();
	r = span_get(100, 1);
	neighbour = span_get(1, 1); /* the chunk stays in use */
	mark(r, 0, 9);
	mark(neighbour, 0, 8);
	bytes = r->size;
	arn_pages_put(r);
	ck_assert_uint_ge(arn_pages_trim(0), bytes);
	ck_assert_int_eq(mincore((void *)r->base, bytes, resident), 0);
	for (size_t i = 0; i < bytes / (size_t)sysconf(_SC_PAGESIZE); i++)
		ck_assert_int_eq(resident[i] & 1, 0);
	require_mark(neighbour, 1, 8);
	r = span_get(100, 1);
	ck_assert(r->zero);
	require_zero(r);
}
END_TEST

/* Locked memory cannot be purged: the pages stay dirty, nothing loops, nothing counts as given. */
START_TEST(pages_kernel_refuses)
{
	struct run *r, *neighbour;

	boot();
	r = span_get(4, 1);
	neighbour = span_get(1, 1);
	mark(r, 0, 9);
	/* Not mlock(): sanitizers make that do nothing. */
	if (syscall(SYS_mlock, r->base, r->size) != 0)
		return; /* RLIMIT_MEMLOCK is below 64 KiB */
	arn_pages_put(r);
	ck_assert_uint_eq(arn_pages_trim(0), 0);
	ck_assert_uint_ge(arn_pages.dirty, 4 * PAGE_BYTES);
	ck_assert(arn_pages_check());
	r = span_get(4, 1);
	ck_assert(!r->zero);
	arn_pages_put(r);
	arn_pages_put(neighbour);
	ck_assert(arn_pages_check());
}
END_TEST

/* What a block grows by in place was given back too early, too, when it was given back before. */
/* A run is given pages that are resident anyway rather than clean ones that fit better, a block is
 * not. */
START_TEST(pages_dirty_before_clean)
{
	struct run *one[FIRST_CHUNK_PAGES], *rest, *run;

	boot();
	for (unsigned i = 0; i < FIRST_CHUNK_PAGES; i++)
		one[i] = span_get(1, 1);
	rest = span_get(2 * FIRST_CHUNK_PAGES, 1);
	ck_assert_ptr_ne(rest->chunk, one[5]->chunk);
	arn_run_release(one[5]);
	arn_pages_trim(0);
	ck_assert(arn_pages_resize(rest, 2 * FIRST_CHUNK_PAGES - 4));
	run = arn_run_new(1, 1, 1);
	ck_assert_ptr_eq(run->chunk, rest->chunk);
	ck_assert_ptr_eq(span_get(1, 1)->chunk, one[4]->chunk);
}
END_TEST

/* A run is as long as a row of dirty pages, if it would have none otherwise. */
START_TEST(pages_runs_fit_dirty_rows)
{
	struct run *one[FIRST_CHUNK_PAGES + 1], *run;

	boot();
	ck_assert_uint_eq(arn_pages_run_length(16, 1), 16);
	for (unsigned i = 0; i <= FIRST_CHUNK_PAGES; i++)
		one[i] = span_get(1, 1);
	for (unsigned i = 8; i < 12; i++)
		arn_run_release(one[i]);
	ck_assert_uint_eq(arn_pages_run_length(16, 1), 4);
	ck_assert_uint_eq(arn_pages_run_length(16, 3), 4);
	ck_assert_uint_eq(arn_pages_run_length(16, 5), 16);
	ck_assert_uint_eq(arn_pages_run_length(2, 1), 2);
	run = arn_run_new(1, 4, 1);
	ck_assert_ptr_eq(run->chunk, one[7]->chunk);
	ck_assert_uint_eq(arn_pages_run_length(16, 1), 16);
	arn_run_release(run);
	arn_pages_trim(0);
	ck_assert_uint_eq(arn_pages_run_length(16, 1), 16);
}
END_TEST

START_TEST(pages_growth_is_regretted)
{
	size_t purged = 0;
	struct run *r;

	boot();
	r = span_get(2, 1);
	for (int turn = 0; turn < 20; turn++) {
		ck_assert(arn_pages_resize(r, 28)); /* 448 KiB; dirty_kib is 256 */
		mark(r, 0, 1);
		ck_assert(arn_pages_resize(r, 2));
		if (turn == 0)
			purged = arn_pages.purged;
	}
	ck_assert_uint_gt(purged, 0);
	ck_assert_uint_le(arn_pages.purged, 2 * purged);
}
END_TEST

static struct run *block_get(void)
{
	struct run *r = arn_pages_block_get(4, 1, false, 0);

	REQUIRE(r != NULL && r->state == RUN_LARGE && r->npages == 4);
	REQUIRE(pagemap_run((void *)r->base) == r);
	memset((void *)r->base, 1, r->size);
	return r;
}

START_TEST(pages_spare_spans)
{
	struct run *r, *s, *many[2 * SPARE_SPANS];
	size_t used;

	boot();
	arn_options.dirty_kib = 64 * KIB;
	used = arn_pages.used;
	/* A length that was asked for a few times goes back to its chunk, ... */
	r = block_get();
	arn_pages_block_put(r);
	ck_assert_uint_eq(arn_spare_bytes(), 0);
	for (int i = 0; i < SPARE_ASKED; i++) {
		r = block_get();
		arn_pages_block_put(r);
	}
	/* ... one that is asked for again and again waits, and a stale pointer finds nothing. */
	ck_assert_uint_eq(arn_spare_bytes(), r->size);
	ck_assert_uint_eq(arn_pages.used, used);
	ck_assert_uint_eq(pagemap_info(pagemap_now(), (void *)r->base), 0);
	ck_assert(pagemap_run((void *)r->base) == NULL);
	ck_assert(arn_pages_contain((void *)r->base));
	ck_assert(arn_pages_check());
	s = block_get();
	ck_assert_ptr_eq(s, r);
	ck_assert(!s->zero);
	ck_assert_uint_eq(arn_spare_bytes(), 0);
	arn_pages_block_put(s);
	/* No more than so many. */
	for (int i = 0; i < 2 * SPARE_SPANS; i++)
		many[i] = block_get();
	for (int i = 0; i < 2 * SPARE_SPANS; i++)
		arn_pages_block_put(many[i]);
	ck_assert_uint_eq(arn_spare_bytes(), SPARE_SPANS * 4 * PAGE_BYTES);
	ck_assert(arn_pages_check());
	/* What was not wanted goes, and must be asked for anew. */
	arn_pages_trim(0);
	ck_assert_uint_eq(arn_spare_bytes(), 0);
	ck_assert_uint_eq(arn_pages.used, used);
	ck_assert_uint_eq(arn_pages.dirty, 0);
	arn_pages_block_put(block_get());
	ck_assert_uint_eq(arn_spare_bytes(), 0);
	ck_assert(arn_pages_check());
}
END_TEST

/* A spare span behind it is not in the way of a block that grows. */
START_TEST(pages_grow_over_spare_spans)
{
	struct run *r, *next;

	boot();
	arn_options.dirty_kib = 64 * KIB;
	for (int i = 0; i < SPARE_ASKED; i++)
		arn_pages_block_put(block_get());
	arn_pages_trim(0);
	for (int i = 0; i < SPARE_ASKED; i++)
		arn_pages_block_put(block_get());
	r = block_get();
	next = block_get();
	if (next->base < r->base) {
		struct run *t = r;

		r = next;
		next = t;
	}
	REQUIRE(r->base + r->size == next->base);
	arn_pages_block_put(next);
	ck_assert_uint_eq(arn_spare_bytes(), 4 * PAGE_BYTES);
	ck_assert(arn_pages_resize(r, 6));
	ck_assert_uint_eq(arn_spare_bytes(), 0);
	ck_assert(arn_pages_check());
	arn_pages_block_put(r);
}
END_TEST

START_TEST(pages_contain_what_is_ours)
{
	struct run *r;
	int on_stack;

	boot();
	r = span_get(2, 1);
	ck_assert(arn_pages_contain((void *)r->base));
	ck_assert(arn_pages_contain((char *)r->base + r->size - 1));
	arn_pages_put(r);
	ck_assert(arn_pages_contain((void *)r->base));
	ck_assert(!arn_pages_contain(&on_stack));
	ck_assert(!arn_pages_contain(NULL));
}
END_TEST

/* ---- run ----------------------------------------------------------------------------------- */

START_TEST(run_every_class)
{
	static void *p[RUN_REGIONS_MAX + 1];

	boot();
	for (unsigned c = 1; c < NCLASSES; c++) {
		size_t size = arn_class[c].size;
		struct run *r = arn_run_new(c, arn_class[c].run_max, 1);
		unsigned n, got = 0;

		REQUIRE(r != NULL && arn_run_check(r));
		n = r->nregions;
		REQUIRE(n == r->nfree && n * size <= r->npages * PAGE_BYTES);
		while (got < n) {
			unsigned k = arn_run_take(r, p + n - got, 13);

			REQUIRE(k == (n - got < 13 ? n - got : 13));
			got += k;
			REQUIRE(r->nfree == n - got && arn_run_check(r));
		}
		REQUIRE(arn_run_take(r, p + 1, 1) == 0);
		for (unsigned i = 0; i < n; i++) {
			REQUIRE(p[n - 1 - i] == (char *)r->base + i * size); /* address order */
			REQUIRE(run_region(r, i) == p[n - 1 - i]);
		}
		for (size_t off = 0; off < r->npages * PAGE_BYTES; off += QUANTUM) {
			int region = run_region_of(r, (char *)r->base + off);

			REQUIRE(region == (off % size == 0 && off / size < n ? (int)(off / size) : -1));
		}
		for (unsigned w = 0; w < r->nwords; w++) {
			unsigned left = n - w * WORD_BITS;
			uint64_t all = bits_low(left < WORD_BITS ? left : WORD_BITS);

			REQUIRE(arn_run_merge(r, w, all & 0x5555555555555555) == 0);
			REQUIRE(arn_run_merge(r, w, all) == (all & 0x5555555555555555));
			REQUIRE(arn_run_check(r));
		}
		REQUIRE(r->nfree == n);
		arn_run_release(r);
	}
	ck_assert_uint_eq(arn_pages.used, 0);
	ck_assert(arn_pages_check());
}
END_TEST

/* Slots are shared between lives with other numbers of words: the remote ones must start at zero. */
START_TEST(run_slots_between_lives)
{
	boot();
	for (int round = 0; round < 4; round++) {
		for (unsigned c = 1; c < NCLASSES; c++) {
			for (unsigned n = arn_class[c].run_pages; n <= arn_class[c].run_max; n *= 2) {
				struct run *r = arn_run_new(c, n, 1);

				REQUIRE(r != NULL && arn_run_check(r));
				for (unsigned w = 0; w < r->nwords; w++)
					REQUIRE(run_remote(r)[w] == 0);
				arn_run_take(r, (void *[RUN_REGIONS_MAX]){NULL} + RUN_REGIONS_MAX,
					 RUN_REGIONS_MAX);
				for (unsigned i = 0; i < r->nregions; i++)
					arn_run_merge(r, i / WORD_BITS, 1ull << i % WORD_BITS);
				arn_run_release(r);
			}
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pages");
	TCase *tc = tcase_create("models");

	unit_add(s, "meta", meta_slots);
	unit_add(s, "meta", meta_outgrown_arrays);
	unit_add(s, "meta", meta_slots_go_back);
	unit_add(s, "meta", meta_larger_than_a_block);
	unit_add(s, "pagemap", pagemap_before_boot);
	unit_add(s, "pagemap", pagemap_foreign);
	unit_add(s, "pagemap", pagemap_grows);
	unit_add(s, "pagemap", pagemap_begins_in_bss);
	unit_add(s, "pagemap", mappings_decline_huge_pages);
	unit_add(s, "pagemap", chunks_ask_for_huge_pages);
	unit_add(s, "pagemap", pagemap_entries_of_a_run);
	unit_add(s, "pages", pages_chunks_go_back);
	unit_add(s, "pages", pages_purge_is_real);
	unit_add(s, "pages", pages_kernel_refuses);
	unit_add(s, "pages", pages_dirty_before_clean);
	unit_add(s, "pages", pages_runs_fit_dirty_rows);
	unit_add(s, "pages", pages_growth_is_regretted);
	unit_add(s, "pages", pages_spare_spans);
	unit_add(s, "pages", pages_grow_over_spare_spans);
	unit_add(s, "pages", pages_contain_what_is_ours);
	unit_add(s, "run", run_every_class);
	unit_add(s, "run", run_slots_between_lives);
	/* The fixed part of the promise: none, 1 KiB (below one page), 4 MiB. */
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, pages_against_model, 0, 2);
	tcase_add_loop_test(tc, pages_against_model, 4096, 4097);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
