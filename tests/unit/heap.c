/* SPDX-License-Identifier: MIT
 *
 * heap.c - unit tests of heaps and of frees into the heap of another thread.  One thread plays all
 * parts here, so that every interleaving that is tested is tested every time; threads.c has the rest.
 */
#include "unit.h"

#include "init.h"
#include "pagemap.h"
#include "pages.h"
#include "run_ops.h"
#include "tcache.h"
#include "tcache_inl.h"

static void *take_one(struct heap *h, unsigned cls)
{
	void *p = NULL;

	REQUIRE(arn_heap_take(h, cls, &p + 1, 1) == 1 && p != NULL);
	return p;
}

static uint64_t remote_word(struct run *r, unsigned w)
{
	return atomic_load(&run_remote(r)[w]);
}

/* ---- ids ----------------------------------------------------------------------------------- */

START_TEST(heap_ids)
{
	static struct heap *h[1100]; /* past the first table and the first leaf */

	for (int i = 0; i < 1100; i++) {
		h[i] = unit_heap(HEAP_THREAD);
		ck_assert_uint_eq(h[i]->id, (uint32_t)i + 1);
		ck_assert_uint_eq(h[i]->info, h[i]->id << INFO_CLASS_BITS);
	}
	for (int i = 0; i < 1100; i++)
		ck_assert_ptr_eq(arn_heap_by_id((uint32_t)i + 1), h[i]);
	ck_assert_uint_eq(arn_heap_count(), 1100);
	/* No page's info matches the heap of a thread that has none. */
	ck_assert_uint_gt(arn_no_heap.heap.info, h[1099]->info);
}
END_TEST

/* ---- take and give ------------------------------------------------------------------------- */

#define POOL 3000

START_TEST(heap_against_model)
{
	static void *pool[POOL];
	struct heap *h = unit_heap(HEAP_THREAD);
	uint64_t seed = 5;

	for (unsigned c = 1; c < NCLASSES; c += 5) {
		size_t size = arn_class[c].size;
		unsigned n = 0;

		for (int step = 0; step < 400; step++) {
			unsigned want = 1 + (unsigned)(unit_random(&seed) % 128), got;

			if (want > POOL - n)
				want = POOL - n;
			if (want > 0 && unit_random(&seed) & 1) {
				got = arn_heap_take(h, c, pool + n + want, want);
				REQUIRE(got >= 1 && got <= want);
				memmove(pool + n, pool + n + want - got, got * sizeof *pool);
				for (unsigned i = n; i < n + got; i++) {
					/* Nothing is written into free regions; ours are left zero. */
					REQUIRE(*(uint64_t *)pool[i] == 0);
					*(uint64_t *)pool[i] = (uint64_t)step << 32 | c;
					((unsigned char *)pool[i])[size - 1] = (unsigned char)c;
				}
				n += got;
			} else if (n > 0) {
				got = want < n && want > 0 ? want : n;
				for (unsigned i = 0; i < got; i++) { /* a random set */
					unsigned k = i + (unsigned)(unit_random(&seed) % (n - i));
					void *p = pool[k];

					pool[k] = pool[i];
					pool[i] = p;
					REQUIRE((uint32_t)*(uint64_t *)p == c);
					REQUIRE(((unsigned char *)p)[size - 1] == c);
					*(uint64_t *)p = 0;
					((unsigned char *)p)[size - 1] = 0;
				}
				arn_heap_give(h, c, pool, got);
				memmove(pool, pool + got, (n - got) * sizeof *pool);
				n -= got;
			}
			REQUIRE(h->bins[c].out == n);
			if (step % 20 == 0)
				REQUIRE(arn_heap_check(h));
		}
		for (unsigned i = 0; i < n; i++) {
			*(uint64_t *)pool[i] = 0;
			((unsigned char *)pool[i])[size - 1] = 0;
		}
		arn_heap_give(h, c, pool, n);
		REQUIRE(h->bins[c].out == 0 && arn_heap_check(h));
		REQUIRE(h->bins[c].nruns <= 1);
	}
	arn_heap_trim(h);
	ck_assert_uint_eq(arn_pages.used, 0);
	ck_assert(arn_pages_check());
}
END_TEST

/* The first runs of a bin are small, later ones larger, and no larger than the class's limit. */
START_TEST(heap_runs_grow)
{
	struct heap *h = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(512), last = 0;

	for (int i = 0; i < 1000; i++) {
		struct run *r = pagemap_run(take_one(h, c));

		REQUIRE(r->npages >= last || i == 0);
		REQUIRE(i > 0 || r->npages == arn_class[c].run_pages);
		last = r->npages;
	}
	ck_assert_uint_eq(last, arn_class[c].run_max);
}
END_TEST

struct crime {
	struct heap *h;
	unsigned cls;
	void *p;
};

static void give_twice(void *arg)
{
	struct crime *k = arg;

	arn_heap_give(k->h, k->cls, &k->p, 1);
	arn_heap_give(k->h, k->cls, &k->p, 1);
}

static void give_pair(void *arg)
{
	struct crime *k = arg;

	arn_heap_give(k->h, k->cls, (void *[]){k->p, k->p}, 2);
}

static void give_inside(void *arg)
{
	struct crime *k = arg;

	k->p = (char *)k->p + QUANTUM;
	arn_heap_give(k->h, k->cls, &k->p, 1);
}

static void give_wrong_class(void *arg)
{
	struct crime *k = arg;

	arn_heap_give(k->h, k->cls + 1, &k->p, 1);
}

static void remote_twice(void *arg)
{
	struct crime *k = arg;
	struct heap *me = unit_heap(HEAP_THREAD);

	arn_remote_free(me, pagemap_run(k->p), k->p);
	arn_remote_free(me, pagemap_run(k->p), k->p);
}

static void remote_twice_sent(void *arg)
{
	struct crime *k = arg;
	struct heap *me = unit_heap(HEAP_THREAD);

	arn_remote_free(me, pagemap_run(k->p), k->p);
	arn_remote_flush(me);
	arn_remote_free(me, pagemap_run(k->p), k->p);
	arn_remote_flush(me);
}

static void remote_and_own(void *arg)
{
	struct crime *k = arg;
	struct heap *me = unit_heap(HEAP_THREAD);

	arn_remote_free(me, pagemap_run(k->p), k->p);
	arn_remote_flush(me);
	arn_heap_give(k->h, k->cls, &k->p, 1);
	arn_heap_collect(k->h);
}

static void remote_inside(void *arg)
{
	struct crime *k = arg;
	struct heap *me = unit_heap(HEAP_THREAD);

	arn_remote_free(me, pagemap_run(k->p), (char *)k->p + QUANTUM);
}

START_TEST(heap_crimes)
{
	struct heap *h = unit_heap(HEAP_THREAD);
	static const unsigned sizes[] = {64, 4096};

	for (int i = 0; i < 2; i++) {
		unsigned c = sizeclass_of(sizes[i]);
		struct crime k = {h, c, take_one(h, c)};

		take_one(h, c); /* the run is not empty when the first one is freed */
		REQUIRE_CRIME(give_twice, &k, "double free");
		REQUIRE_CRIME(give_pair, &k, "double free");
		REQUIRE_CRIME(give_inside, &k, "interior pointer");
		REQUIRE_CRIME(give_wrong_class, &k, "double free");
		REQUIRE_CRIME(remote_twice, &k, "double free");
		REQUIRE_CRIME(remote_twice_sent, &k, "double free");
		REQUIRE_CRIME(remote_and_own, &k, "double free");
		REQUIRE_CRIME(remote_inside, &k, "interior pointer");
	}
}
END_TEST

/* ---- shared heaps -------------------------------------------------------------------------- */

START_TEST(heap_shared_ends_with_all_it_has)
{
	struct heap *h = unit_heap(HEAP_SHARED);
	size_t sum = 0;
	void *p[500];

	for (int round = 0; round < 3; round++) {
		sum = 0;
		for (int i = 0; i < 500; i++) {
			unsigned c = 1 + (unsigned)(i * 7) % (NCLASSES - 1);

			p[i] = arn_heap_shared_malloc(h, c);
			REQUIRE(p[i] != NULL);
			memset(p[i], i, arn_class[c].size);
			sum += arn_class[c].size;
		}
		ck_assert_uint_eq(arn_heap_shared_live(h), sum);
		for (int i = 0; i < 500; i += 2) {
			struct run *r = pagemap_run(p[i]);

			sum -= arn_class[r->cls].size;
			arn_heap_shared_free(h, r, p[i]);
		}
		ck_assert_uint_eq(arn_heap_shared_live(h), sum);
		ck_assert(arn_heap_check(h));
		arn_heap_shared_clear(h);
		ck_assert_uint_eq(arn_heap_shared_live(h), 0);
		ck_assert_uint_eq(arn_pages.used, 0);
		ck_assert(arn_pages_check());
	}
}
END_TEST

/* ---- remote frees -------------------------------------------------------------------------- */

START_TEST(remote_gathers_words)
{
	struct heap *h = unit_heap(HEAP_THREAD), *me = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(64);
	struct run *r;
	void *p[128];

	ck_assert_uint_eq(arn_heap_take(h, c, p + 128, 128), 128); /* p[127] is the lowest */
	r = pagemap_run(p[127]);
	for (int i = 0; i < 63; i++)
		arn_remote_free(me, r, p[127 - i]);
	ck_assert_uint_eq(arn_remote_pending(me), 63 * 64);
	ck_assert_uint_eq(remote_word(r, 0), 0);
	ck_assert(!me->combining);
	arn_remote_free(me, r, p[127 - 63]); /* the word is full */
	ck_assert_uint_eq(arn_remote_pending(me), 0);
	ck_assert_uint_eq(remote_word(r, 0), ~0ull);
	ck_assert_ptr_eq(atomic_load(&h->remote_head), r);
	arn_remote_free(me, r, p[127 - 64]);
	arn_remote_flush(me);
	ck_assert_uint_eq(remote_word(r, 1), 1);
	/* Two words left zero; the run is queued once. */
	ck_assert_ptr_eq(atomic_load(&h->remote_head), r);
	ck_assert_ptr_null(atomic_load(&r->remote_next));
	ck_assert_uint_eq(h->bins[c].out, 128);
	arn_heap_collect(h);
	ck_assert_uint_eq(h->bins[c].out, 128 - 65);
	ck_assert_ptr_null(atomic_load(&h->remote_head));
	ck_assert_uint_eq(atomic_load(&r->remote_queued), 0);
	ck_assert(arn_heap_check(h));
	/* The owner finds them again. */
	ck_assert_ptr_eq(take_one(h, c), p[127]);
}
END_TEST

/* The short way of most frees takes no other than those that join a word. */
START_TEST(remote_joins_words)
{
	struct heap *h = unit_heap(HEAP_THREAD), *me = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(64);
	struct run *r;
	void *p[128];

	ck_assert_uint_eq(arn_heap_take(h, c, p + 128, 128), 128);
	r = pagemap_run(p[127]);
	arn_remote_free(me, r, p[127]); /* makes the table */
	ck_assert(!remote_join(me, r, c, p[127]));
	ck_assert(!remote_join(me, r, c, (char *)p[126] + QUANTUM));
	ck_assert(!remote_join(me, r, c, p[127 - 64]));
	me->combining = true; /* a signal handler, just there */
	ck_assert(!remote_join(me, r, c, p[126]));
	me->combining = false;
	for (int i = 1; i < 63; i++) {
		ck_assert(remote_join(me, r, c, p[127 - i]));
		ck_assert(!remote_join(me, r, c, p[127 - i]));
	}
	ck_assert_uint_eq(arn_remote_pending(me), 63 * 64);
	ck_assert(!remote_join(me, r, c, p[127 - 63])); /* it sends the word */
	arn_remote_free(me, r, p[127 - 63]);
	ck_assert_uint_eq(arn_remote_pending(me), 0);
	ck_assert_uint_eq(remote_word(r, 0), ~0ull);
	/* What was sent is no more in the table, which still names the word. */
	ck_assert(!remote_join(me, r, c, p[127]));
	ck_assert(!me->combining);
}
END_TEST

/* Takes all that the first RUNS runs of class CLS have, which is new to H, and leaves one region of
 * each in ONE. */
static void take_runs(struct heap *h, unsigned cls, void **one, unsigned runs)
{
	for (unsigned n = 0; n < runs || h->bins[cls].partial != NULL;) {
		void *p = take_one(h, cls);

		if (n == 0 || pagemap_run(p) != pagemap_run(one[n - 1])) {
			REQUIRE(n < runs);
			one[n++] = p;
		}
	}
}

/* A refill takes a part of what was freed, but all before it asks for memory. */
START_TEST(remote_is_collected_in_parts)
{
	enum { RUNS = 2 * COLLECT_RUNS };
	struct heap *h = unit_heap(HEAP_THREAD), *me = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(2048), d = sizeclass_of(4096); /* large: sent at once */
	void *in_c[1], *in_d[RUNS];
	size_t used, out;

	take_runs(h, c, in_c, 1);
	take_runs(h, d, in_d, RUNS);
	used = arn_pages.used;
	out = h->bins[d].out;
	arn_remote_free(me, pagemap_run(in_c[0]), in_c[0]);
	for (unsigned i = 0; i < RUNS; i++)
		arn_remote_free(me, pagemap_run(in_d[i]), in_d[i]);
	/* The last runs that were queued come first. */
	ck_assert_ptr_eq(take_one(h, d), in_d[RUNS - COLLECT_RUNS]);
	ck_assert_uint_eq(h->bins[d].out, out - COLLECT_RUNS + 1);
	ck_assert_uint_eq(atomic_load(&h->remote_bytes), (RUNS - COLLECT_RUNS) * 4096 + 2048);
	ck_assert_ptr_eq(take_one(h, c), in_c[0]);
	ck_assert_uint_eq(h->bins[d].out, out - RUNS + 1);
	ck_assert_ptr_null(h->collecting);
	ck_assert_uint_eq(atomic_load(&h->remote_bytes), 0);
	ck_assert_uint_eq(arn_pages.used, used);
	/* Also what is queued while a part is left. */
	for (unsigned i = 0; i <= COLLECT_RUNS; i++)
		in_d[i] = take_one(h, d); /* each the only one of its run */
	for (unsigned i = 0; i <= COLLECT_RUNS; i++)
		arn_remote_free(me, pagemap_run(in_d[i]), in_d[i]);
	arn_heap_collect_some(h, COLLECT_RUNS);
	ck_assert_ptr_nonnull(h->collecting);
	arn_remote_free(me, pagemap_run(in_c[0]), in_c[0]);
	ck_assert_uint_eq(atomic_load(&h->remote_bytes), 4096 + 2048);
	ck_assert_ptr_eq(take_one(h, c), in_c[0]);
	ck_assert_uint_eq(atomic_load(&h->remote_bytes), 0);
	ck_assert_uint_eq(arn_pages.used, used);
	take_one(h, c);
	ck_assert_uint_gt(arn_pages.used, used);
	ck_assert(arn_heap_check(h));
}
END_TEST

START_TEST(remote_evicts_by_slot)
{
	struct heap *h = unit_heap(HEAP_THREAD), *me = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(512), n = 0;
	static void *p[8192];

	/* More words than the table has slots: what is evicted must not be lost. */
	for (unsigned i = 0; i < 8192; i++)
		p[i] = take_one(h, c);
	for (unsigned i = 0; i < 8192; i++) {
		unsigned k = i * 4099 % 8192;

		arn_remote_free(me, pagemap_run(p[k]), p[k]);
	}
	arn_remote_flush(me);
	arn_heap_collect(h);
	ck_assert_uint_eq(h->bins[c].out, 0);
	arn_heap_trim(h);
	ck_assert_uint_eq(h->bins[c].nruns, 0);
	for (unsigned k = 1; k < NCLASSES; k++)
		n += h->bins[k].nruns;
	ck_assert_uint_eq(n, 0);
	ck_assert_uint_eq(arn_pages.used, 0);
}
END_TEST

/* Large regions are not gathered: a sleeping thread would pin too much. */
START_TEST(remote_large_regions_go_at_once)
{
	struct heap *h = unit_heap(HEAP_THREAD), *me = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(COMBINE_SIZE_MAX + 1);
	void *p = take_one(h, c);

	arn_remote_free(me, pagemap_run(p), p);
	ck_assert_uint_eq(arn_remote_pending(me), 0);
	ck_assert_ptr_eq(atomic_load(&h->remote_head), pagemap_run(p));
}
END_TEST

/* Hazard: B sets its bit, A empties the run and another heap gets the slot, B then pushes it onto
 * A's list. */
START_TEST(remote_late_push)
{
	struct heap *a = unit_heap(HEAP_THREAD), *c = unit_heap(HEAP_THREAD),
		    *me = unit_heap(HEAP_THREAD);
	unsigned cls = sizeclass_of(2048);
	struct run *r, *again;
	void *p, *q;

	p = take_one(a, cls);
	r = pagemap_run(p);
	arn_heap_give(a, cls, &p, 1); /* the run goes: its class keeps no empty one */
	ck_assert_uint_eq(r->state, RUN_UNUSED);
	/* The push that comes too late. */
	atomic_store(&r->remote_queued, 1);
	atomic_store(&r->remote_next, NULL);
	atomic_store(&a->remote_head, r);
	/* Collected while the slot is unused: nothing happens. */
	arn_heap_collect(a);
	ck_assert_uint_eq(atomic_load(&r->remote_queued), 0);
	ck_assert_ptr_null(atomic_load(&a->remote_head));
	/* Again, but now another heap has the slot, and a free into it finds the run queued. */
	atomic_store(&r->remote_queued, 1);
	atomic_store(&a->remote_head, r);
	q = take_one(c, cls);
	again = pagemap_run(q);
	ck_assert_ptr_eq(again, r);
	ck_assert_uint_eq(r->owner, c->id);
	arn_remote_free(me, r, q);
	ck_assert_ptr_null(atomic_load(&c->remote_head));
	arn_heap_collect(a);
	ck_assert_ptr_eq(atomic_load(&c->remote_head), r);
	ck_assert_uint_eq(c->bins[cls].out, 1);
	arn_heap_collect(c);
	ck_assert_uint_eq(c->bins[cls].out, 0);
	ck_assert_uint_eq(arn_pages.used, 0);
	ck_assert(arn_heap_check(a) && arn_heap_check(c));
}
END_TEST

/* The slot may also have become a large block, which has no remote words at all. */
START_TEST(remote_late_push_of_a_large_block)
{
	struct heap *a = unit_heap(HEAP_THREAD);
	unsigned cls = sizeclass_of(2048);
	void *p = take_one(a, cls);
	struct run *r = pagemap_run(p), *large;

	arn_heap_give(a, cls, &p, 1);
	large = arn_run_slot_get(0);
	ck_assert_ptr_eq(large, r);
	large->state = RUN_LARGE;
	ck_assert(arn_pages_get(large, 3, 1, INFO_LARGE, INFO_INNER));
	atomic_store(&r->remote_queued, 1);
	atomic_store(&a->remote_head, r);
	arn_heap_collect(a);
	ck_assert_uint_eq(large->size, 3 * PAGE_BYTES);
	ck_assert_uint_eq(large->state, RUN_LARGE);
	ck_assert(arn_pages_check());
}
END_TEST

/* An owner that sleeps: who frees much into its heap collects for it. */
START_TEST(remote_helps_a_sleeping_owner)
{
	struct heap *h = unit_heap(HEAP_THREAD), *me = unit_heap(HEAP_THREAD);
	unsigned c = sizeclass_of(1024);
	static void *p[16384];
	size_t used;

	for (unsigned i = 0; i < 16384; i++)
		p[i] = take_one(h, c);
	used = arn_pages.used;
	ck_assert_uint_ge(used, 16 * MIB);
	for (unsigned i = 0; i < 16384; i++)
		arn_remote_free(me, pagemap_run(p[i]), p[i]);
	ck_assert_uint_le(arn_pages.used, 2 * HELP_BYTES);
	/* But not while its owner is busy. */
	for (unsigned i = 0; i < 16384; i++)
		p[i] = take_one(h, c);
	lock_take(&h->lock);
	for (unsigned i = 0; i < 16384; i++)
		arn_remote_free(me, pagemap_run(p[i]), p[i]);
	ck_assert_uint_ge(arn_pages.used, 16 * MIB);
	lock_drop(&h->lock);
	arn_remote_flush(me);
	arn_heap_trim(h);
	ck_assert_uint_eq(arn_pages.used, 0);
}
END_TEST

/* ---- tcache -------------------------------------------------------------------------------- */

static void require_bins(struct heap *h)
{
	for (unsigned c = 1; c < NCLASSES; c++) {
		struct bin *b = &h->bins[c];

		if (b->base == NULL)
			continue;
		REQUIRE(b->base[-1] == NULL);
		REQUIRE(b->base <= h->top[c] && h->top[c] <= h->limit[c]);
		REQUIRE(h->limit[c] <= b->base + b->cap);
	}
}

START_TEST(tcache_grows_and_flushes)
{
	struct heap *h;
	static void *p[20000];

	for (unsigned c = 1; c < NCLASSES; c += 3) {
		unsigned n = c < 30 ? 20000 : 500;

		for (unsigned i = 0; i < n; i++) {
			p[i] = tcache_malloc(arn_class[c].size);
			REQUIRE(p[i] != NULL);
			*(unsigned *)p[i] = i;
		}
		h = arn_heap;
		require_bins(h);
		for (unsigned i = 0; i < n; i++)
			REQUIRE(*(unsigned *)p[i] == i);
		for (unsigned i = 0; i < n; i++) {
			tcache_free(p[i & 1 ? i : n - 2 - i]); /* from both ends */
			REQUIRE(h->bins[c].cap <= TCACHE_CAP_MAX);
		}
		require_bins(h);
		REQUIRE(arn_heap_check(h));
		REQUIRE(tcache_count(h, c) <= arn_class[c].cache_max);
		REQUIRE(tcache_count(h, c) == h->bins[c].out);
	}
	arn_tcache_flush_all(h);
	for (unsigned c = 1; c < NCLASSES; c++)
		ck_assert_uint_eq(h->bins[c].out, 0);
	lock_take(&h->lock);
	arn_heap_trim(h);
	lock_drop(&h->lock);
	ck_assert_uint_eq(arn_pages.used, 0);
	ck_assert(arn_pages_check());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("heap");

	unit_add(s, "heap", heap_ids);
	unit_add(s, "heap", heap_against_model);
	unit_add(s, "heap", heap_runs_grow);
	unit_add(s, "heap", heap_crimes);
	unit_add(s, "heap", heap_shared_ends_with_all_it_has);
	unit_add(s, "remote", remote_gathers_words);
	unit_add(s, "remote", remote_joins_words);
	unit_add(s, "remote", remote_is_collected_in_parts);
	unit_add(s, "remote", remote_evicts_by_slot);
	unit_add(s, "remote", remote_large_regions_go_at_once);
	unit_add(s, "remote", remote_late_push);
	unit_add(s, "remote", remote_late_push_of_a_large_block);
	unit_add(s, "remote", remote_helps_a_sleeping_owner);
	unit_add(s, "tcache", tcache_grows_and_flushes);
	return unit_run(s);
}
