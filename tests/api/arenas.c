/* SPDX-License-Identifier: MIT
 *
 * arenas.c - first-class arenas: create, allocate in, ask, free from any thread, destroy with
 * everything in it, also while other threads hold cached pointers or pending frees into it.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "form.h"

#define MiB ((size_t)1 << 20)

static const size_t sizes[] = { 0, 1, 16, 100, 1000, 5000, 20000, 100000, 1 * MiB, 6 * MiB };

#define SIZE_COUNT (sizeof sizes / sizeof *sizes)

static void test_one_arena(void)
{
	struct arena *a = F.arena_create(), *b = F.arena_create();
	void *p[SIZE_COUNT], *q, *outside = F.malloc(100);
	int in_place = 1, lives = 1, kept = 1;
	size_t asked = 0;

	tap_ok(a && b && a != b, "arena_create gives arenas");
	tap_ok(F.arena_live(a) == 0, "a new arena has no live bytes");
	tap_ok(F.arena_of(outside) == NULL, "arena_of an ordinary block is NULL");
	tap_ok(F.arena_of(NULL) == NULL, "arena_of NULL is NULL");
	for (size_t i = 0; i < SIZE_COUNT; i++) {
		p[i] = F.arena_malloc(a, sizes[i]);
		in_place &= p[i] && F.arena_of(p[i]) == a && (uintptr_t)p[i] % 16 == 0;
		lives &= F.usable_size(p[i]) >= sizes[i];
		pattern_fill(p[i], 0, sizes[i], i);
		asked += sizes[i];
	}
	tap_ok(in_place, "blocks of 0 B to 6 MiB are in their arena, aligned to 16");
	tap_ok(lives, "their usable size is at least what was asked");
	tap_ok(F.arena_live(a) >= asked && F.arena_live(a) <= asked + asked / 2 + 4096,
	       "arena_live counts them (%zu of %zu)", F.arena_live(a), asked);
	tap_ok(F.arena_live(b) == 0, "the other arena has none of them");

	for (size_t i = 0; i < SIZE_COUNT; i++) {
		q = F.realloc(p[i], sizes[i] * 3 + 1);
		in_place &= q && F.arena_of(q) == a;
		kept &= pattern_holds(q, 0, sizes[i], i);
		p[i] = q;
		q = F.realloc(p[i], sizes[i] / 2 + 1);
		in_place &= q && F.arena_of(q) == a;
		kept &= pattern_holds(q, 0, sizes[i] / 2, i);
		p[i] = q;
	}
	tap_ok(in_place, "realloc keeps blocks in their arena");
	tap_ok(kept, "and their contents");
	for (size_t i = 0; i < SIZE_COUNT; i++)
		F.free(p[i]);
	tap_ok(F.arena_live(a) == 0, "after free the arena has no live bytes");

	for (size_t i = 0; i < SIZE_COUNT; i++) {
		q = F.arena_malloc(a, sizes[i]);
		memset(q, 0xa5, sizes[i]);
		F.free(q);
		q = F.arena_calloc(a, 1, sizes[i]);
		kept &= q && all_bytes_are(q, sizes[i], 0) && F.arena_of(q) == a;
		F.free(q);
	}
	tap_ok(kept, "arena_calloc is zero after the memory was dirtied");
	for (size_t alignment = 1; alignment <= 4 * MiB; alignment *= 4) {
		q = F.arena_memalign(a, alignment, 1000);
		in_place &= q && (uintptr_t)q % alignment == 0 && F.arena_of(q) == a;
		F.free(q);
	}
	tap_ok(in_place, "arena_memalign aligns up to 4 MiB, in the arena");
	errno = 0;
	tap_ok(F.arena_malloc(a, SIZE_MAX) == NULL && errno == ENOMEM &&
	       F.arena_calloc(a, SIZE_MAX, 2) == NULL && F.arena_memalign(a, 64, SIZE_MAX) == NULL,
	       "impossible sizes are ENOMEM");
	F.arena_destroy(a);
	F.arena_destroy(b);
	F.arena_destroy(NULL);
	F.free(outside);
	tap_ok(1, "arena_destroy takes arenas and NULL");
}

/* 100 MiB in blocks of all kinds; destroy must give all back without a single free. */
static void test_destroy_releases(void)
{
	size_t before, full, after;
	struct amalloc_stats live_before, live_after;

	F.trim(0);
	before = resident_bytes();
	F.stats(&live_before, sizeof live_before);
	for (int round = 0; round < 5; round++) {
		struct arena *a = F.arena_create();

		for (size_t total = 0; total < 100 * MiB;) {
			size_t size = sizes[1 + total % 997 % (SIZE_COUNT - 1)];

			memset(F.arena_malloc(a, size), 1, size);
			total += size + 61; /* 61: an odd number, so that sizes vary */
			if (size < 100)
				total += 4000; /* few tiny ones: they take the time */
		}
		full = resident_bytes();
		F.arena_destroy(a);
	}
	F.trim(0);
	after = resident_bytes();
	F.stats(&live_after, sizeof live_after);
	tap_ok(full > before + 40 * MiB && after < before + 16 * MiB,
	       "arena_destroy gives back what was never freed (%zu MiB, then %zu MiB)",
	       full / MiB, after / MiB);
	tap_ok(live_after.live <= live_before.live + MiB, "and it is no longer counted as live");
}

static void test_many_arenas(void)
{
	enum { count = 1000 };
	static struct arena *a[count];
	static unsigned char *p[count][3];
	int right = 1;

	for (int i = 0; i < count; i++) {
		a[i] = F.arena_create();
		right &= a[i] != NULL;
		for (int k = 0; k < 3; k++) {
			p[i][k] = F.arena_malloc(a[i], 500);
			pattern_fill(p[i][k], 0, 500, (uint64_t)(i * 3 + k));
		}
	}
	for (int i = 0; i < count; i++)
		for (int k = 0; k < 3; k++)
			right &= pattern_holds(p[i][k], 0, 500, (uint64_t)(i * 3 + k)) &&
				F.arena_of(p[i][k]) == a[i];
	for (int i = 0; i < count; i += 2)
		F.arena_destroy(a[i]);
	for (int i = 1; i < count; i += 2)
		for (int k = 0; k < 3; k++)
			right &= pattern_holds(p[i][k], 0, 500, (uint64_t)(i * 3 + k));
	for (int i = 1; i < count; i += 2)
		F.arena_destroy(a[i]);
	tap_ok(right, "1000 arenas at once, every second destroyed: the others are intact");

	for (int i = 0; i < 20000; i++) {
		struct arena *one = F.arena_create();

		right &= one != NULL && F.arena_malloc(one, (size_t)i % 2000) != NULL;
		F.arena_destroy(one);
	}
	tap_ok(right, "20000 arenas, one after the other");
}

/* ---- other threads --------------------------------------------------------------------------- */

enum { shared_blocks = 20000 };
static void *block[shared_blocks];
static struct arena *shared_arena;
static atomic_size_t broken;
static pthread_barrier_t barrier;

static void *free_half(void *arg)
{
	(void)arg;
	for (int i = 0; i < shared_blocks; i += 2)
		F.free(block[i]);
	return NULL;
}

static void *allocate_in(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;

	for (size_t i = 0; i < 20000; i++) {
		size_t size = i * 7 % 3000;
		unsigned char *p = F.arena_malloc(shared_arena, size);

		if (!p || F.arena_of(p) != shared_arena)
			atomic_fetch_add(&broken, 1);
		pattern_fill(p, 0, size, seed);
		if (!pattern_holds(p, 0, size, seed))
			atomic_fetch_add(&broken, 1);
		if (i % 3)
			F.free(p);
	}
	return NULL;
}

static void test_threads_in_arena(void)
{
	pthread_t thread[4];

	shared_arena = F.arena_create();
	for (size_t i = 0; i < shared_blocks; i++)
		block[i] = F.arena_malloc(shared_arena, i % 600);
	pthread_create(&thread[0], NULL, free_half, NULL);
	pthread_join(thread[0], NULL);
	for (size_t i = 1; i < shared_blocks; i += 2)
		F.free(block[i]);
	tap_ok(F.arena_live(shared_arena) == 0,
	       "blocks freed by two threads are no longer live (%zu bytes)",
	       F.arena_live(shared_arena));
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, allocate_in, (void *)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	tap_ok(atomic_load(&broken) == 0, "four threads allocate and free in one arena");
	F.arena_destroy(shared_arena);
}

/* A thread that frees blocks of the arena, keeps what it caches, and lives on: the destroyed
 * arena's memory goes to others, and nothing late may touch it. */
static void *hold_cached(void *arg)
{
	(void)arg;
	for (int round = 0; round < 50; round++) {
		pthread_barrier_wait(&barrier); /* the arena is filled */
		for (int i = 0; i < shared_blocks; i += 3)
			F.free(block[i]);
		pthread_barrier_wait(&barrier); /* frees are pending or cached here */
		pthread_barrier_wait(&barrier); /* the arena is gone, its memory reused */
		for (int i = 0; i < 3000; i++)  /* now let pending things flush */
			F.free(F.malloc((size_t)i % 600));
		pthread_barrier_wait(&barrier); /* the reuser may check */
	}
	return NULL;
}

static void test_destroy_under_caches(void)
{
	pthread_t thread;
	size_t lost = 0;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, hold_cached, NULL);
	for (int round = 0; round < 50; round++) {
		struct arena *a = F.arena_create(), *next;

		for (size_t i = 0; i < shared_blocks; i++)
			block[i] = F.arena_malloc(a, i % 600);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		F.arena_destroy(a);
		/* The same sizes: the most likely to get the same addresses. */
		next = F.arena_create();
		for (size_t i = 0; i < shared_blocks; i++) {
			block[i] = round % 2 ? F.malloc(i % 600) : F.arena_malloc(next, i % 600);
			pattern_fill(block[i], 0, i % 600, i);
		}
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		/* A late free would let these be handed out a second time. */
		for (int i = 0; i < 20000; i++) {
			void *p = round % 2 ? F.malloc((size_t)i % 600) :
				F.arena_malloc(next, (size_t)i % 600);

			memset(p, 0xee, (size_t)i % 600);
			if (round % 2)
				F.free(p);
		}
		for (size_t i = 0; i < shared_blocks; i++) {
			lost += !pattern_holds(block[i], 0, i % 600, i);
			if (round % 2)
				F.free(block[i]);
		}
		F.arena_destroy(next);
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
	tap_ok(lost == 0, "destroy while another thread holds cached and pending frees: memory's "
	       "next owner is unharmed (%zu blocks hurt)", lost);
}

void test_arenas(void)
{
	if (!F.arena_create) {
		tap_skip("first-class arenas", "libarena does not serve");
		return;
	}
	test_one_arena();
	test_destroy_releases();
	test_many_arenas();
	test_threads_in_arena();
	test_destroy_under_caches();
}
