/* SPDX-License-Identifier: MIT
 *
 * starter.c - unit tests of starter runs.
 */
#include "starter.h"

#include <pthread.h>

#include "alloc.h"
#include "init.h"
#include "pagemap.h"
#include "tcache.h"
#include "tcache_inl.h"
#include "unit.h"

/* Blocks of all classes side by side: none overlaps another, each keeps its size, and what is freed
 * serves again. */
START_TEST(blocks_side_by_side)
{
	struct heap *h = unit_heap(HEAP_THREAD);
	struct {
		char *p;
		size_t size;
	} block[2000];
	uint64_t seed = 3;
	unsigned n = 0, taken = 0;

	for (int step = 0; step < 2000; step++) {
		unsigned c = 1 + (unsigned)(unit_random(&seed) % sizeclass_of(STARTER_BYTES));
		char *p = arn_starter_malloc(h, c);

		if (p == NULL) {
			unsigned most = h->id == 1 ? STARTER_RUNS_FIRST : STARTER_RUNS;

			REQUIRE(h->nstarters == most);
			REQUIRE(taken > most * PAGE_BYTES); /* some of it twice */
			break;
		}
		taken += arn_class[c].size;
		for (unsigned i = 0; i < arn_class[c].size; i++)
			REQUIRE(p[i] == 0);
		memset(p, (int)(c + 1), arn_class[c].size);
		block[n].p = p;
		block[n++].size = arn_class[c].size;
		REQUIRE(arn_heap_check(h));
		if (unit_random(&seed) % 3 == 0) {
			unsigned k = (unsigned)(unit_random(&seed) % n);

			memset(block[k].p, 0, block[k].size);
			arn_starter_give(h, block[k].p);
			block[k] = block[--n];
			REQUIRE(arn_heap_check(h));
		}
	}
	ck_assert_uint_gt(n, 50);
	while (n-- > 0) {
		unsigned c = sizeclass_of(block[n].size);

		REQUIRE(arn_starter_size(pagemap_run(block[n].p), block[n].p) == block[n].size);
		for (unsigned i = 0; i < block[n].size; i++)
			REQUIRE(block[n].p[i] == (char)(c + 1));
		arn_starter_give(h, block[n].p);
	}
	for (unsigned c = 1; c < NCLASSES; c++)
		ck_assert_uint_eq(h->bins[c].out, 0);
	ck_assert_uint_eq(h->nstarters, 1); /* the one that serves */
	lock_take(&h->lock);
	arn_heap_trim(h);
	lock_drop(&h->lock);
	ck_assert_uint_eq(arn_pages.used, 0);
	ck_assert(arn_heap_check(h));
}
END_TEST

/* What is freed is not handed out at once, and yet no second OS page is touched for it. */
START_TEST(freed_blocks_rest)
{
	struct heap *h = unit_heap(HEAP_THREAD);
	char *p = arn_starter_malloc(h, sizeclass_of(48)), *q;
	unsigned n = 0;

	arn_starter_give(h, p);
	for (q = NULL; q != p; n++) {
		q = arn_starter_malloc(h, sizeclass_of(48));
		REQUIRE(q != NULL && (uintptr_t)q / STARTER_STEP == (uintptr_t)p / STARTER_STEP);
		arn_starter_give(h, q);
	}
	ck_assert_uint_eq(n, STARTER_STEP / 48);
	ck_assert_uint_eq(h->nstarters, 1);
	ck_assert(arn_heap_check(h));
}
END_TEST

/* One freed block of a class serves its next malloc, and nothing else. */
static void free_held(void *p)
{
	arn_free_slow(p);
}

START_TEST(one_at_hand)
{
	struct heap *h;
	char *p = tcache_malloc(300), *q = tcache_malloc(300);
	unsigned c = sizeclass_of(300);
	size_t out;

	h = arn_heap;
	out = h->bins[c].out;
	tcache_free(p);
	ck_assert_uint_eq(tcache_count(h, c), 1);
	REQUIRE_CRIME(free_held, p, "double free");
	tcache_free(q);
	ck_assert_uint_eq(tcache_count(h, c), 1);
	ck_assert_uint_eq(h->bins[c].out, out - 1);
	REQUIRE_CRIME(free_held, q, "double free");
	REQUIRE_CRIME(free_held, p, "double free");
	ck_assert_ptr_eq(tcache_malloc(290), p);
	ck_assert_uint_eq(tcache_count(h, c), 0);
	tcache_free(p);
	ck_assert(arn_heap_check(h));
	/* It serves no alignment that it has not. */
	ck_assert_ptr_eq(arn_memalign(16, 300), p);
	tcache_free(p);
	do
		q = tcache_malloc(256);
	while ((uintptr_t)q % 256 == 0);
	tcache_free(q);
	ck_assert_uint_eq(tcache_count(h, sizeclass_of(256)), 1);
	ck_assert_uint_eq((uintptr_t)arn_memalign(256, 256) % 256, 0);
	/* A flush takes it back, and so does the first array. */
	out = h->bins[c].out;
	arn_tcache_flush_all(h);
	ck_assert_uint_eq(tcache_count(h, c), 0);
	ck_assert_uint_eq(h->bins[c].out, out - 1);
	p = tcache_malloc(100);
	tcache_free(p);
	c = sizeclass_of(100);
	ck_assert_uint_eq(tcache_count(h, c), 1);
	ck_assert_ptr_ne(arn_tcache_refill_slow(h, c, true), p);
	ck_assert_ptr_nonnull(h->bins[c].base);
	REQUIRE_CRIME(free_held, p, "double free");
	ck_assert(arn_heap_check(h));
}
END_TEST

#if defined(__x86_64__) && !ARN_TSAN
/* A signal handler that interrupts a free at any instruction, takes the class to its array, and
 * frees what it had. */
#define TRAP_FLAG 0x100

static volatile long traps, trap_at;

static void on_trap(int sig)
{
	void *p[STARTER_LIVE + 4];

	(void)sig;
	if (traps++ != trap_at)
		return;
	for (int i = 0; i < STARTER_LIVE + 4; i++)
		p[i] = tcache_malloc(100);
	for (int i = 0; i < STARTER_LIVE + 4; i++)
		tcache_free(p[i]);
}

static void free_in_steps(struct heap *h, void *p)
{
	struct run *r = pagemap_run(p);

	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" ::"i"(TRAP_FLAG) : "cc", "memory");
	arn_starter_free(h, r, p);
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" ::"i"(~TRAP_FLAG) : "cc", "memory");
}

START_TEST(handlers_interrupt_free)
{
	struct sigaction old, sa = {.sa_handler = on_trap};
	unsigned c = sizeclass_of(100);

	tcache_free(tcache_malloc(1));
	sigaction(SIGTRAP, &sa, &old);
	for (trap_at = 0, traps = 1; traps > trap_at; trap_at++) {
		struct heap *h = unit_heap(HEAP_THREAD);
		void *p;

		arn_heap = h;
		p = tcache_malloc(100);
		traps = 0;
		free_in_steps(h, p);
		REQUIRE(tcache_count(h, c) <= (h->bins[c].base != NULL ? h->bins[c].cap : 1u));
		for (int i = 0; i < 2 * STARTER_LIVE; i++)
			memset(tcache_malloc(100), 0xff, 100);
		arn_tcache_flush_all(h);
		REQUIRE(arn_heap_check(h));
	}
	sigaction(SIGTRAP, &old, NULL);
}
END_TEST
#endif

/* A class begins in a starter run and leaves it, by number, by bytes or after so many mallocs; an
 * aligned block never lies there.  More of all that in the first heap. */
static const size_t sizes[] = {16, 100, 256, 512, 1024, 1025, 5000};

static unsigned served(size_t size)
{
	unsigned n = 0;

	while (n < 100 && pagemap_run(tcache_malloc(size))->state == RUN_STARTER)
		n++;
	return n;
}

static void *serves_second(void *arg)
{
	static const unsigned some[] = {12, 9, 4, 2, 1, 0, 0};
	unsigned n = 0;
	void *p;

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		n = served(sizes[i]);
		ck_assert_msg(n == some[i], "%zu bytes: %u in starters", sizes[i], n);
	}
	for (n = 0; pagemap_run(p = tcache_malloc(700))->state == RUN_STARTER; n++)
		tcache_free(p);
	ck_assert_uint_eq(n, STARTER_TAKES - STARTER_FRESH + 1);
	return arg;
}

/* How many blocks of SIZE, each freed before the next, are starters. */
static unsigned served_in_turn(size_t size)
{
	unsigned m = 0;
	void *q;

	for (; pagemap_run(q = tcache_malloc(size))->state == RUN_STARTER; m++)
		tcache_free(q);
	return m;
}

START_TEST(serves_few)
{
	static const unsigned first[] = {12, 12, 12, 8, 4, 3, 0};
	pthread_t thread;

	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		unsigned n = served(sizes[i]);

		ck_assert_msg(n == first[i], "%zu bytes: %u in starters", sizes[i], n);
		ck_assert_int_eq(pagemap_run(tcache_malloc(sizes[i]))->state, RUN_SMALL);
	}
	/* All but the first take the block at hand. */
	ck_assert_uint_eq(served_in_turn(STARTER_RARE - 2 * QUANTUM),
			  STARTER_TAKES_FIRST - STARTER_FRESH + 1);
	ck_assert_uint_eq(served_in_turn(STARTER_RARE), STARTER_TAKES_RARE - STARTER_FRESH + 1);
	ck_assert_uint_eq(served_in_turn(700), STARTER_TAKES_RARE - STARTER_FRESH + 1);
	ck_assert_int_eq(pthread_create(&thread, NULL, serves_second, NULL), 0);
	pthread_join(thread, NULL);
	for (size_t size = 1; size < 1024; size += 61) {
		char *p = arn_memalign(64, size);

		ck_assert_uint_eq((uintptr_t)p % 64, 0);
		ck_assert_int_eq(pagemap_run(p)->state, RUN_SMALL);
	}
	ck_assert(arn_heap_check(arn_heap));
}
END_TEST

/* Other threads free, and the owner takes it in; what is freed twice is found in any order. */
static char *victim;
static struct heap *owner, *other;

static void remote_then_own(void *arg)
{
	(void)arg;
	arn_remote_free(other, pagemap_run(victim), victim);
	arn_starter_give(owner, victim);
}

static void own_then_remote(void *arg)
{
	(void)arg;
	arn_starter_give(owner, victim);
	arn_remote_free(other, pagemap_run(victim), victim);
}

static void remote_twice(void *arg)
{
	(void)arg;
	arn_remote_free(other, pagemap_run(victim), victim);
	arn_remote_free(other, pagemap_run(victim), victim);
}

static void remote_inside(void *arg)
{
	(void)arg;
	arn_remote_free(other, pagemap_run(victim), victim + 16);
}

START_TEST(freed_by_others)
{
	char *p[40];

	owner = unit_heap(HEAP_THREAD);
	other = unit_heap(HEAP_THREAD);
	for (int i = 0; i < 40; i++)
		p[i] = arn_starter_malloc(owner, 1 + (unsigned)i);
	for (int i = 0; i < 40; i += 2)
		arn_remote_free(other, pagemap_run(p[i]), p[i]);
	lock_take(&owner->lock);
	arn_heap_collect(owner);
	lock_drop(&owner->lock);
	for (unsigned c = 1; c <= 40; c++)
		ck_assert_uint_eq(owner->bins[c].out, (c + 1) % 2);
	ck_assert(arn_heap_check(owner));
	victim = p[5];
	REQUIRE_CRIME(remote_then_own, NULL, "double free");
	REQUIRE_CRIME(own_then_remote, NULL, "double free");
	REQUIRE_CRIME(remote_twice, NULL, "double free");
	REQUIRE_CRIME(remote_inside, NULL, "interior pointer");
	for (int i = 1; i < 40; i += 2)
		arn_remote_free(other, pagemap_run(p[i]), p[i]);
	lock_take(&owner->lock);
	arn_heap_trim(owner);
	lock_drop(&owner->lock);
	ck_assert_uint_eq(arn_pages.used, 0);
}
END_TEST

/* The owner sleeps: whoever frees the last block of a run takes all of them in. */
START_TEST(last_freer_helps)
{
	char *p[8];

	owner = unit_heap(HEAP_THREAD);
	other = unit_heap(HEAP_THREAD);
	for (unsigned i = 0; i < 8; i++)
		p[i] = arn_starter_malloc(owner, 1 + i);
	atomic_store(&owner->sleeps, true);
	for (unsigned i = 0; i < 7; i++)
		arn_remote_free(other, pagemap_run(p[i]), p[i]);
	ck_assert_uint_eq(owner->bins[1].out, 1);
	arn_remote_free(other, pagemap_run(p[7]), p[7]);
	for (unsigned c = 1; c <= 8; c++)
		ck_assert_uint_eq(owner->bins[c].out, 0);
	ck_assert(arn_heap_check(owner));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("starter");

	unit_add(s, "own", blocks_side_by_side);
	unit_add(s, "own", serves_few);
	unit_add(s, "own", freed_blocks_rest);
	unit_add(s, "own", one_at_hand);
#if defined(__x86_64__) && !ARN_TSAN
	unit_add(s, "own", handlers_interrupt_free);
#endif
	unit_add(s, "remote", freed_by_others);
	unit_add(s, "remote", last_freer_helps);
	return unit_run(s);
}
