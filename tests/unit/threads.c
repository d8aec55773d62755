/* SPDX-License-Identifier: MIT
 *
 * threads.c - unit tests of what needs threads: parking and adoption, frees between threads, memory
 * that sleeping threads must not hold.
 */
#include "unit.h"

#include <errno.h>
#include <limits.h>

#include "alloc.h"
#include "init.h"
#include "pages.h"
#include "tcache.h"

#define THREADS 4

/* ---- park and adopt ------------------------------------------------------------------------ */

static void *use_heap(void *arg)
{
	void *p[200];

	for (int i = 0; i < 200; i++)
		p[i] = tcache_malloc((size_t)i * 97 + 1);
	for (int i = 0; i < 200; i++)
		tcache_free(p[i]);
	if (arg != NULL)
		*(struct heap **)arg = arn_heap;
	return arg;
}

START_TEST(heaps_are_adopted)
{
	struct heap *first = NULL, *h;
	pthread_t t;

	use_heap(NULL); /* the first heap of a process stays its thread's */
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(pthread_create(&t, NULL, use_heap, &h), 0);
		pthread_join(t, NULL);
		if (first == NULL)
			first = h;
		ck_assert_ptr_eq(h, first);
		ck_assert(h->parked);
		for (unsigned c = 1; c < NCLASSES; c++)
			ck_assert_ptr_null(h->bins[c].base); /* its array serves others */
	}
	ck_assert_uint_eq(arn_thread_parked(), 1);
	/* Ours, that one, and the one of threads that have ended. */
	ck_assert_uint_le(arn_heap_count(), 3);
}
END_TEST

static pthread_key_t late_key;

static void allocate_late(void *arg)
{
	uintptr_t rounds = (uintptr_t)arg;

	use_heap(NULL);
	if (rounds > 1)
		pthread_setspecific(late_key, (void *)(rounds - 1));
}

static void *end_late(void *arg)
{
	use_heap(NULL);
	/* In the last round ThreadSanitizer is no longer there for instrumented code. */
	pthread_setspecific(late_key,
			    (void *)(uintptr_t)(PTHREAD_DESTRUCTOR_ITERATIONS - 2 * UNIT_TSAN));
	return arg;
}

/* Others' destructors allocate in every round, after ours and before: no heap is made anew. */
START_TEST(destructors_allocate)
{
	pthread_t t;

	use_heap(NULL);
	ck_assert_int_eq(pthread_key_create(&late_key, allocate_late), 0);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(pthread_create(&t, NULL, end_late, NULL), 0);
		pthread_join(t, NULL);
	}
	ck_assert_uint_le(arn_heap_count(), 3);
}
END_TEST

/* Hazard: a heap that is adopted and parked again between another thread's load and swap would be
 * given to two. */
#define OWNERS 256
static _Atomic int owned[OWNERS];
static _Atomic int collisions;

static void *own(void *arg)
{
	void *p = tcache_malloc(16);
	uint32_t id = arn_heap->id;
	int nobody = 0;

	if (id >= OWNERS || !atomic_compare_exchange_strong(&owned[id], &nobody, 1))
		atomic_fetch_add(&collisions, 1);
	sched_yield();
	tcache_free(p);
	atomic_store(&owned[id], 0);
	return arg;
}

static void *churn(void *arg)
{
	pthread_t t[3];

	for (int i = 0; i < 200; i++) {
		for (int k = 0; k < 3; k++)
			if (pthread_create(&t[k], NULL, own, NULL) != 0)
				abort();
		for (int k = 0; k < 3; k++)
			pthread_join(t[k], NULL);
	}
	return arg;
}

START_TEST(one_heap_one_thread)
{
	pthread_t t[THREADS];

	use_heap(NULL);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, churn, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(collisions, 0);
	ck_assert_uint_le(arn_heap_count(), THREADS * 3 + 2);
}
END_TEST

/* ---- frees between threads ----------------------------------------------------------------- */

#define BOXES 512
static void *_Atomic boxes[BOXES];

/* A block holds its size at both ends of what the test may use. */
static void *fill(size_t n)
{
	size_t *p = tcache_malloc(n);

	if (p == NULL)
		abort();
	p[0] = n;
	((unsigned char *)p)[n - 1] = (unsigned char)n;
	return p;
}

static void drain(void *p)
{
	size_t n = *(size_t *)p;

	if (n <= sizeof n || n > 6 * MIB || ((unsigned char *)p)[n - 1] != (unsigned char)n)
		abort();
	tcache_free(p);
}

static void *exchange(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (int i = 0; i < 150000; i++) {
		uint64_t x = unit_random(&seed);
		/* Small mostly; every class; now and then a large one or a huge one. */
		size_t top = x % 1000 == 0  ? 5 * MIB
			     : x % 100 == 0 ? 200 * KIB
			     : x % 8        ? 600
					    : 40000;
		void *p = fill(9 + (x >> 20) % top);

		p = atomic_exchange(&boxes[x % BOXES], p);
		if (p != NULL)
			drain(p);
	}
	return NULL;
}

static void *exchange_in_short_threads(void *arg)
{
	pthread_t t;

	for (uintptr_t i = 0; i < 6; i++) {
		if (pthread_create(&t, NULL, exchange, (void *)((uintptr_t)arg * 100 + i)) != 0)
			abort();
		pthread_join(t, NULL);
	}
	return NULL;
}

/* Hazards: push once, late push, owners that change under frees that are under way. */
START_TEST(blocks_change_hands)
{
	pthread_t t[THREADS];
	size_t out = 0;

	use_heap(NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL,
						i & 1 ? exchange : exchange_in_short_threads,
						(void *)(i + 1)),
				 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < BOXES; i++)
		if (boxes[i] != NULL)
			drain(boxes[i]);
	/* Everything was freed by threads that have ended, or by us: all heaps must see it. */
	arn_trim(0);
	arn_trim(0);
	for (struct heap *h = arn_heaps; h != NULL; h = h->all_next) {
		ck_assert(arn_heap_check(h));
		for (unsigned c = 1; c < NCLASSES; c++)
			out += h->bins[c].out;
	}
	ck_assert_uint_eq(out, 0);
	ck_assert_uint_eq(arn_pages.used, 0);
	ck_assert(arn_pages_check());
}
END_TEST

/* ---- owners that sleep --------------------------------------------------------------------- */

static pthread_barrier_t barrier;
static void **blocks;
static size_t nblocks, block_bytes;

static void *allocate_and_sleep(void *arg)
{
	for (size_t i = 0; i < nblocks; i++) {
		blocks[i] = tcache_malloc(block_bytes);
		memset(blocks[i], 1, block_bytes);
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

/* Hazard: A allocates much and sleeps, B frees it all.  It must go back without A. */
START_TEST(owner_asleep)
{
	static const size_t sizes[] = {64, 1024, 16384};
	pthread_t t;
	size_t before, peak;

	block_bytes = sizes[_i];
	nblocks = 256 * MIB / block_bytes;
	blocks = mmap(NULL, nblocks * sizeof *blocks, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(blocks, 0, nblocks * sizeof *blocks);
	pthread_barrier_init(&barrier, NULL, 2);
	before = unit_resident();
	ck_assert_int_eq(pthread_create(&t, NULL, allocate_and_sleep, NULL), 0);
	pthread_barrier_wait(&barrier);
	peak = unit_resident();
	ck_assert_uint_ge(peak - before, 256 * MIB);
	for (size_t i = 0; i < nblocks; i++)
		tcache_free(blocks[i]);
	/* The promise (4 MiB), what the helpers wait for, the metadata: 16 MiB cover them. */
	ck_assert_uint_le(unit_resident() - before, 16 * MIB + nblocks / 8);
	pthread_barrier_wait(&barrier);
	pthread_join(t, NULL);
}
END_TEST

/* BYTES of written blocks of 64; returns what was resident before. */
static size_t fill_with_small(size_t bytes)
{
	size_t before;

	block_bytes = 64;
	nblocks = bytes / block_bytes;
	blocks = mmap(NULL, nblocks * sizeof *blocks, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(blocks, 0, nblocks * sizeof *blocks);
	before = unit_resident();
	for (size_t i = 0; i < nblocks; i++) {
		blocks[i] = tcache_malloc(block_bytes);
		memset(blocks[i], 1, block_bytes);
	}
	return before;
}

/* Hazard: each of some thousand cached regions may be the last one of its run and keep all of it.
 */
START_TEST(frees_in_random_order)
{
	uint64_t seed = 3;
	size_t before;

	before = fill_with_small(128 * MIB);
	for (size_t i = nblocks; i > 0; i--) {
		size_t k = unit_random(&seed) % i;
		void *p = blocks[k];

		blocks[k] = blocks[i - 1];
		tcache_free(p);
	}
	/* The promise (4 MiB), the metadata of 128 MiB, and a few runs of 64 KiB. */
	ck_assert_uint_le(unit_resident() - before, 16 * MIB);
}
END_TEST

/* One block in 1024 stays.  Each pins an OS page of its own, and not the run around it; also when
 * all the time as much is allocated in another class. */
START_TEST(survivors_pin_pages_not_runs)
{
	const size_t survivors = 64 * MIB / 64 / 1024;
	void **others = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t before, n = 0;

	before = fill_with_small(64 * MIB);
	for (size_t i = 0; i < nblocks; i++)
		if (i % 1024 != 0) {
			tcache_free(blocks[i]);
			if (_i == 1 && i % 2 == 0) {
				others[n] = tcache_malloc(128);
				memset(others[n++], 1, 128);
			}
		}
	/* The caches, the promise, the metadata, and rows too short to go. */
	if (!UNIT_SANITIZED)
		ck_assert_uint_le(unit_resident() - before, survivors * 2 * PURGE_ROW_MIN + 8 * MIB +
								 n * 128 / 8 * 9 + n * 8);
	for (size_t i = 0; i < nblocks; i += 1024) {
		ck_assert_int_eq(*(char *)blocks[i], 1);
		ck_assert_int_eq(((char *)blocks[i])[63], 1);
		tcache_free(blocks[i]);
	}
	/* What comes again from there reads and writes as memory does. */
	for (size_t i = 0; i < nblocks / 8; i++) {
		blocks[i] = tcache_malloc(block_bytes);
		memset(blocks[i], 2, block_bytes);
	}
	for (size_t i = 0; i < nblocks / 8; i++)
		tcache_free(blocks[i]);
	while (n > 0)
		tcache_free(others[--n]);
	ck_assert(arn_heap_check(arn_heap));
	munmap(others, 4 * MIB);
	munmap(blocks, nblocks * sizeof *blocks);
}
END_TEST

/* ---- in a signal handler that interrupted the holder of a lock --------------------------------
 */

static void free_twice(void *p)
{
	lock_take(&arn_pages_lock);
	tcache_free(p);
	tcache_free(p);
}

static void free_again_later(void *p)
{
	lock_take(&arn_pages_lock);
	tcache_free(p);
	lock_drop(&arn_pages_lock);
	tcache_free(p);
}

/* What a handler freed of an arena is not freed again when the arena goes. */
static void arena_goes(void)
{
	size_t before = arn_pages.large, huge = arn_pages.huge;

	for (int i = 0; i < 3; i++) {
		struct heap *h = arn_thread_shared_new();
		void *small = arn_alloc_in(h, 100, QUANTUM), *large = arn_alloc_in(h, MIB, QUANTUM);
		void *big = arn_alloc_in(h, 5 * MIB, QUANTUM);

		lock_take(&arn_pages_lock);
		tcache_free(small);
		tcache_free(large);
		tcache_free(big);
		lock_drop(&arn_pages_lock);
		arn_large_free_deferred();
		arn_heap_shared_clear(h);
		ck_assert(arn_heap_check(h));
		ck_assert_ptr_null(atomic_load(&h->remote_head));
		arn_thread_shared_free(h);
		ck_assert_uint_eq(arn_pages.large, before);
		ck_assert_uint_eq(arn_pages.huge, huge);
	}
}

START_TEST(handlers_wait_for_nothing)
{
	void *mine = tcache_malloc(40), *p, *q, *large = tcache_malloc(MIB);
	struct lock *const locks[] = {&arn_heap->lock, &arn_threads_lock, &arn_pages_lock,
				      &arn_meta_lock};

	ck_assert_ptr_nonnull(large);
	arn_tcache_flush_all(arn_heap);
	for (unsigned i = 0; i < 4; i++) {
		size_t before = arn_pages.large;
		void *other = tcache_malloc(MIB);

		arn_tcache_flush_all(arn_heap);
		lock_take(locks[i]);
		/* From the shared heap, or, where pages or slots are being changed, nothing. */
		errno = 0;
		p = tcache_malloc(40);
		q = tcache_malloc(2 * MIB);
		ck_assert(i >= 2 || (p != NULL && q != NULL));
		ck_assert(i < 2 || (p == NULL && q == NULL && errno == ENOMEM));
		tcache_free(p);
		tcache_free(q);
		large = arn_realloc(large, MIB / 2);
		ck_assert_ptr_nonnull(large);
		tcache_free(other);
		ck_assert_int_eq(arn_trim(0), 0);
		lock_drop(locks[i]);
		ck_assert_uint_eq(arn_locks_mine, 0);
		/* What was freed meanwhile goes back with the next large block. */
		tcache_free(large);
		large = tcache_malloc(MIB);
		ck_assert_uint_le(arn_pages.large, before);
	}
	lock_take(&arn_heap->lock);
	tcache_free(mine); /* on the remote way: the owner collects it later */
	lock_drop(&arn_heap->lock);
	arn_tcache_flush_all(arn_heap);
	ck_assert(arn_heap_check(arn_heap));
	REQUIRE_CRIME(free_twice, large, "double free");
	REQUIRE_CRIME(free_again_later, large, "double free");
	arena_goes();
	tcache_free(large);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("threads");
	TCase *tc = tcase_create("sleep");

	unit_add(s, "park", heaps_are_adopted);
	unit_add(s, "park", destructors_allocate);
	unit_add(s, "park", one_heap_one_thread);
	unit_add(s, "handler", handlers_wait_for_nothing);
	unit_add(s, "exchange", blocks_change_hands);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, owner_asleep, 0, 3);
	tcase_add_test(tc, frees_in_random_order);
	tcase_add_loop_test(tc, survivors_pin_pages_not_runs, 0, 2);
	suite_add_tcase(s, tc);
	return unit_run(s);
}
