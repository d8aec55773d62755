/* SPDX-License-Identifier: MIT
 *
 * huge.c - unit tests of the huge blocks and of the cache of freed ones.
 */
#include "unit.h"

#include <sys/resource.h>

#include "alloc.h"
#include "options.h"
#include "os.h"
#include "pagemap.h"
#include "promise.h"

static void boot(void)
{
	ck_assert(arn_boot());
}

#define REQUIRE_PROMISE() REQUIRE(arn_pages.dirty <= arn_promise_limit(arn_pages.used))
#define REQUIRE_STATES() \
	do { \
		REQUIRE(arn_pages_check()); \
		REQUIRE_PROMISE(); \
	} while (0)

static struct run *huge_new(size_t size)
{
	struct run *r = arn_huge_get(size, 1, 0, false);

	REQUIRE(r != NULL && r->size >= size && r->base % arn_os_page_bytes() == 0);
	REQUIRE(pagemap_run((void *)r->base) == r);
	REQUIRE_STATES();
	return r;
}

static void huge_tag(struct run *r, unsigned char tag)
{
	for (size_t i = 0; i < r->size; i += 64 * KIB)
		((unsigned char *)r->base)[i] = tag;
	((unsigned char *)r->base)[r->size - 1] = tag;
}

static void require_huge_tag(struct run *r, size_t size, unsigned char tag)
{
	for (size_t i = 0; i < size; i += 64 * KIB)
		REQUIRE(((unsigned char *)r->base)[i] == tag);
}

START_TEST(huge_cache_serves_again)
{
	struct run *r;
	uintptr_t base;

	arn_options.dirty_kib = 4096; /* what is freed here fits */
	boot();
	r = huge_new(3 * MIB);
	ck_assert(r->zero);
	base = r->base;
	huge_tag(r, 1);
	arn_huge_put(r);
	ck_assert_uint_eq(arn_pages.huge_cached, 3 * MIB);
	r = huge_new(3 * MIB);
	ck_assert_uint_eq(r->base, base);
	ck_assert(!r->zero);
	ck_assert_uint_eq(arn_pages.huge_cached, 0);
	arn_huge_put(r);
	arn_pages_trim(0);
	ck_assert_uint_eq(arn_pages.dirty, 0);
	ck_assert_ptr_null(arn_huge_cached);
	REQUIRE_STATES();
}
END_TEST

/* What calloc gave out and nobody filled comes again from the kernel, below 32 MiB as huge pages;
 * what was filled is cleared, and what has no room for huge pages too. */
START_TEST(huge_unwritten_is_not_cleared)
{
	static unsigned char resident[32 * MIB / 4096 + 1];
	struct run *r;
	size_t there = 0;

	arn_options.dirty_kib = 64 * 1024;
	boot();
	r = arn_huge_get(32 * MIB, 1, 0, true);
	ck_assert(r->zero);
	ck_assert_uint_eq((r->base + PAGE_BYTES) % HUGE_PAGE_BYTES, 0);
	memset((void *)r->base, 1, 64 * KIB);
	arn_huge_put(r);
	r = arn_huge_get(32 * MIB, 1, 0, true);
	ck_assert(r->zero && r->sparse);
	ck_assert_int_eq(mincore((void *)r->base, r->size, resident), 0);
	for (size_t i = 0; i < r->size / (size_t)sysconf(_SC_PAGESIZE); i++)
		there += resident[i] & 1;
	ck_assert_uint_eq(there, 0);
	require_huge_tag(r, r->size, 0);
	memset((void *)r->base, 1, r->size / 2);
	arn_huge_put(r);
	r = arn_huge_get(32 * MIB, 1, 0, true);
	ck_assert(!r->zero);
	arn_huge_put(r);
	arn_pages_trim(0);
	r = arn_huge_get(31 * MIB, 1, 0, true);
	arn_huge_put(r);
	r = arn_huge_get(31 * MIB, 1, 0, true);
	ck_assert(r->zero && !r->sparse);
	arn_huge_put(r);
	r = arn_huge_get(31 * MIB, 1, 0, true);
	ck_assert(r->zero && !r->sparse);
	memset((void *)r->base, 1, r->size);
	arn_huge_put(r);
	r = arn_huge_get(31 * MIB, 1, 0, true);
	ck_assert(!r->zero);
	arn_huge_put(r);
	arn_pages_trim(0);
	r = arn_huge_get(3 * MIB, 1, 0, true);
	arn_huge_put(r);
	r = arn_huge_get(3 * MIB, 1, 0, true);
	ck_assert(!r->zero);
	REQUIRE_STATES();
}
END_TEST

/* The process may map ROOM bytes more. */
static void limit_to(size_t room)
{
	struct rlimit limit;
	long pages;
	FILE *f = fopen("/proc/self/statm", "r");

	ck_assert(f != NULL && fscanf(f, "%ld", &pages) == 1);
	fclose(f);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + room;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

/* The rest of the last huge page is no reason to fail. */
START_TEST(huge_without_room_for_more)
{
	struct rlimit old;
	struct run *r;

	arn_options.dirty_kib = 64 * 1024;
	boot();
	/* So that the window is there. */
	r = arn_huge_get(20 * MIB, 1, 0, true);
	arn_huge_put(r);
	arn_pages_trim(0);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
	limit_to(17 * MIB + MIB / 2);
	r = arn_huge_get(17 * MIB, 1, 0, true);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);
	ck_assert_ptr_nonnull(r);
	ck_assert_uint_eq(r->slack_kib, 0);
	REQUIRE_STATES();
}
END_TEST

/* A mapping for which the window had no room does not take that of the next request. */
START_TEST(huge_refused_leaves_nothing)
{
	struct rlimit old;
	struct run *r;

	boot();
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &old), 0);
	limit_to(20 * MIB);
	ck_assert_ptr_null(arn_huge_get(20 * MIB - PAGE_BYTES, 1, 0, false));
	ck_assert_ptr_null(arn_huge_cached);
	r = arn_huge_get(12 * MIB, 1, 0, false);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &old), 0);
	ck_assert_ptr_nonnull(r);
	arn_huge_put(r);
	REQUIRE_STATES();
}
END_TEST

START_TEST(huge_cache_splits)
{
	struct run *front, *tail;
	uintptr_t base;

	boot();
	arn_options.dirty_kib = 64 * 1024;
	front = huge_new(40 * MIB);
	base = front->base;
	huge_tag(front, 1);
	arn_huge_put(front);
	front = huge_new(10 * MIB);
	ck_assert_uint_eq(front->base, base);
	ck_assert_uint_eq(arn_pages.huge_cached, 40 * MIB - front->size);
	tail = huge_new(30 * MIB);
	ck_assert_uint_eq(tail->base, base + 10 * MIB);
	huge_tag(front, 2);
	huge_tag(tail, 3);
	require_huge_tag(front, front->size, 2);
	require_huge_tag(tail, tail->size, 3);
	arn_huge_put(tail);
	arn_huge_put(front);
	REQUIRE_STATES();
	ck_assert_uint_eq(arn_pages.huge_cached, 40 * MIB);
}
END_TEST

/* A tail that is freed beside its cached front while the promise is too small for it. */
START_TEST(huge_tail_above_the_promise)
{
	struct run *ballast, *front, *tail, *r;

	boot();
	ballast = huge_new(700 * MIB); /* untouched; it raises the promise */
	r = huge_new(60 * MIB);
	arn_huge_put(r);
	front = huge_new(3 * MIB);
	tail = huge_new(57 * MIB);
	arn_huge_put(ballast);
	arn_huge_put(front);
	arn_huge_put(tail);
	REQUIRE_STATES();
	for (int i = 0; i < 3; i++) {
		struct run *a = huge_new(50 * MIB), *b = huge_new(50 * MIB);

		ck_assert_ptr_ne(a, b);
		huge_tag(a, 1);
		huge_tag(b, 2);
		require_huge_tag(a, a->size, 1);
		arn_huge_put(a);
		arn_huge_put(b);
	}
	REQUIRE_STATES();
}
END_TEST

/* A loop over 64 MiB faults them in twice, not each time. */
START_TEST(huge_loop_is_kept)
{
	size_t purged = 0;

	boot();
	for (int turn = 0; turn < 6; turn++) {
		struct run *r = huge_new(64 * MIB);

		if (turn == 2)
			purged = arn_pages.purged;
		arn_huge_put(r);
	}
	ck_assert_uint_gt(purged, 0);
	ck_assert_uint_eq(arn_pages.purged, purged);
	ck_assert_uint_eq(arn_pages.dirty, 64 * MIB);
}
END_TEST

START_TEST(huge_grows_from_cache)
{
	struct run *r;
	size_t limit;

	arn_options.dirty_kib = 4096; /* what is freed here fits */
	boot();
	arn_huge_put(huge_new(8 * MIB)); /* but this */
	r = huge_new(3 * MIB);
	huge_tag(r, 1);
	arn_huge_put(r);
	limit = arn_promise_limit(0);
	r = huge_new(5 * MIB);
	/* What it was stretched by is wanted again. */
	ck_assert_uint_eq(arn_promise_limit(0) - limit, BLOCK_REGRET * 2 * MIB);
	ck_assert(!r->zero);
	ck_assert_uint_eq(arn_pages.huge_cached, 0);
	huge_tag(r, 2);
	require_huge_tag(r, r->size, 2);
}
END_TEST

START_TEST(huge_resize_keeps_contents)
{
	struct run *r, *wall;
	void *old;

	boot();
	r = huge_new(4 * MIB);
	wall = huge_new(4 * MIB);
	huge_tag(r, 5);
	huge_tag(wall, 6);
	for (size_t size = 5 * MIB; size <= 80 * MIB; size *= 2) {
		old = (void *)r->base;
		ck_assert(arn_huge_resize(r, size, true));
		ck_assert_uint_eq(r->size, size);
		ck_assert_ptr_eq(pagemap_run((void *)r->base), r);
		if ((void *)r->base != old)
			ck_assert_uint_eq(pagemap_info(pagemap_now(), old), 0);
		require_huge_tag(r, 4 * MIB, 5);
		((char *)r->base)[size - 1] = 1;
		REQUIRE_STATES();
	}
	old = (void *)r->base;
	ck_assert(arn_huge_resize(r, 3 * MIB, true));
	ck_assert_ptr_eq((void *)r->base, old);
	require_huge_tag(r, 3 * MIB, 5);
	require_huge_tag(wall, wall->size, 6);
	REQUIRE_STATES();
}
END_TEST

/* The part behind the first huge page asks for some; then the block is two mappings, of which mremap
 * moves neither: it must be one again before it grows, in use or from the cache. */
START_TEST(huge_parts_are_joined)
{
	struct run *r, *wall;

	arn_options.dirty_kib = 64 * 1024;
	boot();
	r = huge_new(9 * MIB);
	wall = huge_new(3 * MIB);
	huge_tag(r, 7);
	ck_assert(!unit_has_flag((void *)r->base, " hg"));
	if (!unit_has_flag((char *)r->base + HUGE_PAGE_BYTES, " hg"))
		puts("# this kernel has no huge pages, or does not tell");
	ck_assert(arn_huge_resize(r, 11 * MIB, true));
	require_huge_tag(r, 9 * MIB, 7);
	ck_assert(arn_huge_resize(r, 9 * MIB, true));
	ck_assert(arn_huge_resize(r, 12 * MIB, true));
	require_huge_tag(r, 9 * MIB, 7);
	REQUIRE_STATES();
	arn_huge_put(r);
	arn_huge_put(huge_new(9 * MIB)); /* its front, which joins the rest */
	ck_assert_uint_eq(arn_pages.huge_cached, 12 * MIB);
	r = huge_new(15 * MIB);
	ck_assert(!r->zero);
	ck_assert_uint_eq(arn_pages.huge_cached, 0);
	require_huge_tag(r, 9 * MIB, 7);
	arn_huge_put(wall);
	REQUIRE_STATES();
}
END_TEST

/* What a shrinking block takes from the promise must go back at once. */
START_TEST(huge_shrink_keeps_the_promise)
{
	struct run *big, *r[10];

	boot();
	big = huge_new(1024 * MIB);
	for (int i = 0; i < 10; i++)
		r[i] = huge_new(8 * MIB);
	for (int i = 0; i < 10; i++)
		arn_huge_put(r[i]);
	ck_assert_uint_ge(arn_pages.dirty, 80 * MIB);
	ck_assert(arn_huge_resize(big, 3 * MIB, true));
	REQUIRE_STATES();
}
END_TEST

START_TEST(huge_aligned)
{
	boot();
	for (size_t align = 1; align <= 64 * MIB; align *= 2) {
		struct run *r = arn_huge_get(3 * MIB, align, 0, false);

		ck_assert_ptr_nonnull(r);
		ck_assert_uint_eq(r->base & (align - 1), 0);
		huge_tag(r, 1);
		REQUIRE_STATES();
		if (align % 3 == 1)
			arn_huge_put(r);
	}
	/* More than the address space has left, on 32 bits too. */
	ck_assert_ptr_null(arn_huge_get(SIZE_MAX - 64 * MIB, 1, 0, false));
	REQUIRE_STATES();
}
END_TEST

/* Starts of blocks are told apart by our pages: a tiny block of a huge alignment must not share one
 * with the next mapping. */
START_TEST(huge_tiny_blocks_have_pages_of_their_own)
{
	struct run *tiny, *next;
	char *hole;

	boot();
	tiny = arn_huge_get(1, 8 * MIB, 0, false);
	ck_assert_ptr_nonnull(tiny);
	ck_assert_uint_ge(tiny->size, PAGE_BYTES);
	hole = (char *)tiny->base + tiny->size;
	next = arn_huge_get(3 * MIB, 1, 0, false);
	ck_assert_uint_ne(next->base >> PAGE_SHIFT, tiny->base >> PAGE_SHIFT);
	(void)hole;
}
END_TEST

START_TEST(huge_against_model)
{
	enum { N = 12 };
	struct run *r[N] = {NULL};
	uint64_t seed = 7;

	boot();
	arn_options.dirty_kib = (size_t)_i * 1024;
	for (int step = 0; step < 1500; step++) {
		unsigned i = (unsigned)(unit_random(&seed) % N);
		size_t size = LARGE_MAX + 1 + unit_random(&seed) % (12 * MIB), old;
		size_t align = unit_random(&seed) % 8 ? 1 : MIB << unit_random(&seed) % 4;

		if (r[i] == NULL) {
			r[i] = arn_huge_get(size, align, 0, false);
			REQUIRE(r[i] != NULL && r[i]->base % align == 0 && r[i]->size >= size);
			if (r[i]->zero)
				require_huge_tag(r[i], r[i]->size, 0);
			huge_tag(r[i], (unsigned char)(i + 1));
		} else if (unit_random(&seed) % 3 == 0) {
			old = r[i]->size;
			if (arn_huge_resize(r[i], size, unit_random(&seed) & 1))
				require_huge_tag(r[i], old < r[i]->size ? old : r[i]->size,
						 (unsigned char)(i + 1));
			huge_tag(r[i], (unsigned char)(i + 1));
		} else {
			require_huge_tag(r[i], r[i]->size, (unsigned char)(i + 1));
			arn_huge_put(r[i]);
			r[i] = NULL;
		}
		REQUIRE_STATES();
	}
	for (int i = 0; i < N; i++)
		if (r[i] != NULL)
			arn_huge_put(r[i]);
	arn_pages_trim(0);
	ck_assert_uint_eq(arn_pages.huge, 0);
	ck_assert_uint_eq(arn_pages.huge_cached, 0);
	REQUIRE_STATES();
}
END_TEST

/* ---- what malloc makes of it --------------------------------------------------------------- */

static struct run *run_of(void *p)
{
	REQUIRE(p != NULL);
	return pagemap_run(p);
}

/* calloc: a table of which little is written must not lie in a chunk, where a dirty page anywhere
 * would have all of it cleared, and a huge page make 2 MiB of it resident. */
START_TEST(huge_table_of_calloc)
{
	unsigned char *p, *large;

	boot();
	p = arn_calloc_slow(1, HUGE_PAGE_BYTES + 1);
	ck_assert_int_eq(run_of(p)->state, RUN_HUGE);
	ck_assert(run_of(p)->sparse);
	ck_assert_uint_eq(run_of(p)->size, HUGE_PAGE_BYTES + PAGE_BYTES); /* amalloc_good_size() */
	large = arn_calloc_slow(1, HUGE_PAGE_BYTES);
	ck_assert_int_eq(run_of(large)->state, RUN_LARGE);
	memset(p, 1, HUGE_PAGE_BYTES + 1);
	tcache_free(p);
	p = arn_calloc_slow(1, HUGE_PAGE_BYTES + 1);
	for (size_t i = 0; i < HUGE_PAGE_BYTES + 1; i++)
		REQUIRE(p[i] == 0);
	REQUIRE_STATES();
}
END_TEST

/* A block that was moved to a mapping, with room to grow, is not moved back by the next step. */
START_TEST(huge_with_room_stays)
{
	char *p, *q;

	boot();
	p = arn_realloc(tcache_malloc(5 * MIB), 4 * MIB);
	ck_assert_int_eq(run_of(p)->state, RUN_HUGE);
	q = arn_realloc(p, 4 * MIB + 100);
	ck_assert_ptr_eq(q, p);
	q = arn_realloc(p, 3 * MIB + 512 * KIB);
	ck_assert_ptr_eq(q, p);
	ck_assert_int_eq(run_of(q)->state, RUN_HUGE);
	q = arn_realloc(p, MIB);
	ck_assert_int_eq(run_of(q)->state, RUN_LARGE);
	REQUIRE_STATES();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("huge");
	TCase *tc = tcase_create("models");

	unit_add(s, "huge", huge_cache_serves_again);
	unit_add(s, "huge", huge_unwritten_is_not_cleared);
	unit_add(s, "huge", huge_without_room_for_more);
	unit_add(s, "huge", huge_refused_leaves_nothing);
	unit_add(s, "huge", huge_cache_splits);
	unit_add(s, "huge", huge_tail_above_the_promise);
	unit_add(s, "huge", huge_loop_is_kept);
	unit_add(s, "huge", huge_grows_from_cache);
	unit_add(s, "huge", huge_resize_keeps_contents);
	unit_add(s, "huge", huge_parts_are_joined);
	unit_add(s, "huge", huge_shrink_keeps_the_promise);
	unit_add(s, "huge", huge_aligned);
	unit_add(s, "huge", huge_tiny_blocks_have_pages_of_their_own);
	unit_add(s, "malloc", huge_table_of_calloc);
	unit_add(s, "malloc", huge_with_room_stays);
	/* The fixed part of the promise: none, 16 MiB. */
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, huge_against_model, 0, 1);
	tcase_add_loop_test(tc, huge_against_model, 16, 17);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
