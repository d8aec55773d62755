/* SPDX-License-Identifier: MIT
 *
 * threads.c - blocks that travel between threads; threads that end and leave blocks behind;
 * allocation in the destructors of thread-specific data.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "form.h"

/* A block carries its own size and seed, so that whoever gets it can check it. */
struct parcel {
	size_t size;
	uint64_t seed;
	unsigned char bytes[];
};

static atomic_size_t broken;

static struct parcel *pack(uint64_t *state)
{
	size_t size = random_size(state);
	struct parcel *p = F.malloc(sizeof *p + size);

	if (!p) {
		atomic_fetch_add(&broken, 1);
		return NULL;
	}
	p->size = size;
	p->seed = random_next(state);
	pattern_fill(p->bytes, 0, size, p->seed);
	return p;
}

static void unpack(struct parcel *p)
{
	if (!p)
		return;
	if (!pattern_holds(p->bytes, 0, p->size, p->seed))
		atomic_fetch_add(&broken, 1);
	F.free(p);
}

/* ---- a table where every thread swaps its new block for somebody's old one ------------------- */

enum { swap_slots = 2048, swap_threads = 4, swap_steps = 150000 };
static _Atomic(struct parcel *) table[swap_slots];

static void *swap_body(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg * 7919 + 12345;

	for (int i = 0; i < swap_steps; i++) {
		struct parcel *fresh = pack(&state);
		size_t slot = random_next(&state) % swap_slots;

		unpack(atomic_exchange(&table[slot], fresh));
	}
	return NULL;
}

static void test_swap(void)
{
	pthread_t thread[swap_threads];

	atomic_store(&broken, 0);
	for (uintptr_t i = 0; i < swap_threads; i++)
		pthread_create(&thread[i], NULL, swap_body, (void *)(i + 1));
	for (int i = 0; i < swap_threads; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < swap_slots; i++)
		unpack(atomic_exchange(&table[i], NULL));
	tap_ok(atomic_load(&broken) == 0, "%d threads free each other's blocks %d times",
	       swap_threads, swap_threads * swap_steps);
}

/* ---- one makes, the other frees: memory must not grow ---------------------------------------- */

enum { ring_size = 1024, ring_steps = 1000000 };
static _Atomic(struct parcel *) ring[ring_size];

static void *consume(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ring_steps; i++) {
		struct parcel *p;

		while (!(p = atomic_exchange(&ring[i % ring_size], NULL)))
			sched_yield();
		if (p->size != i || !all_bytes_are(p->bytes, i % 300, (unsigned char)i))
			atomic_fetch_add(&broken, 1);
		F.free(p);
	}
	return NULL;
}

static void test_producer_consumer(void)
{
	size_t before = resident_bytes(), after;
	pthread_t thread;

	atomic_store(&broken, 0);
	pthread_create(&thread, NULL, consume, NULL);
	for (size_t i = 0; i < ring_steps; i++) {
		struct parcel *p = F.malloc(sizeof *p + i % 300), *expected;

		p->size = i;
		memset(p->bytes, (unsigned char)i, i % 300);
		do {
			expected = NULL;
			if (atomic_load(&ring[i % ring_size]))
				sched_yield();
		} while (!atomic_compare_exchange_weak(&ring[i % ring_size], &expected, p));
	}
	pthread_join(thread, NULL);
	after = resident_bytes();
	tap_ok(atomic_load(&broken) == 0, "a consumer frees a million blocks of a producer");
	/* 1 million blocks are 170 MB; the ring holds 1024 of them. */
	tap_ok(after < before + ((size_t)48 << 20), "their memory comes back (%zu KiB more)",
	       after > before ? (after - before) >> 10 : 0);
}

/* The other way: one thread allocates 256 MiB and sleeps, another frees all of it. */
enum { sleeper_blocks = 65536 };
static void *sleeper_block[sleeper_blocks];
static pthread_barrier_t barrier;

static void *sleeper_body(void *arg)
{
	(void)arg;
	for (int i = 0; i < sleeper_blocks; i++) {
		sleeper_block[i] = F.malloc(4096);
		memset(sleeper_block[i], 1, 4096);
	}
	pthread_barrier_wait(&barrier); /* all is allocated */
	pthread_barrier_wait(&barrier); /* all is measured */
	return NULL;
}

static void test_sleeping_owner(void)
{
	size_t full, after;
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, sleeper_body, NULL);
	pthread_barrier_wait(&barrier);
	full = resident_bytes();
	for (int i = 0; i < sleeper_blocks; i++)
		F.free(sleeper_block[i]);
	F.trim(0);
	after = resident_bytes();
	tap_ok(after + ((size_t)200 << 20) < full, "256 MiB of a sleeping thread, freed by another, "
	       "go back to the OS (%zu MiB of %zu stay)", after >> 20, full >> 20);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

void test_threads(void)
{
	test_swap();
	test_producer_consumer();
	test_sleeping_owner();
}

/* ---- threads that end ------------------------------------------------------------------------ */

enum { legacy_slots = 4096, generations = 500 };
static struct parcel *legacy[legacy_slots];
static pthread_mutex_t legacy_lock = PTHREAD_MUTEX_INITIALIZER;

/* Frees some of what earlier threads left, leaves ten blocks, and drops the rest itself. */
static void *generation_body(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg * 104729 + 1;
	struct parcel *own[200];

	for (int i = 0; i < 200; i++)
		own[i] = pack(&state);
	for (int i = 0; i < 10; i++) {
		size_t slot = random_next(&state) % legacy_slots;
		struct parcel *old;

		pthread_mutex_lock(&legacy_lock);
		old = legacy[slot];
		legacy[slot] = own[i];
		pthread_mutex_unlock(&legacy_lock);
		unpack(old);
	}
	for (int i = 10; i < 200; i++)
		unpack(own[i]);
	return NULL;
}

static void run_generations(int at_once)
{
	pthread_t thread[8];

	for (uintptr_t i = 0; i < generations; i += (uintptr_t)at_once) {
		for (int k = 0; k < at_once; k++)
			pthread_create(&thread[k], NULL, generation_body,
				       (void *)(i + (uintptr_t)k + 1));
		for (int k = 0; k < at_once; k++)
			pthread_join(thread[k], NULL);
	}
}

static pthread_key_t first_key, second_key;
static atomic_int destructor_runs;
static _Atomic(void *) from_destructor[64];

/* Runs again as long as it sets the key again: libc gives up after four rounds. */
static void key_destructor(void *value)
{
	struct parcel *p = value;
	uint64_t state = p->seed;
	int run = atomic_fetch_add(&destructor_runs, 1);

	unpack(p);
	for (int i = 0; i < 50; i++)
		unpack(pack(&state));
	if (run < 64)
		atomic_store(&from_destructor[run], F.malloc(1000));
	if (run % 4 != 3)
		pthread_setspecific(run % 2 ? first_key : second_key, pack(&state));
}

static void *key_body(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg + 99;

	pthread_setspecific(first_key, pack(&state));
	pthread_setspecific(second_key, pack(&state));
	return NULL;
}

static void test_tsd_destructors(void)
{
	atomic_store(&broken, 0);
	pthread_key_create(&first_key, key_destructor);
	pthread_key_create(&second_key, key_destructor);
	for (uintptr_t i = 0; i < 100; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, key_body, (void *)i);
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < 64; i++)
		F.free(atomic_load(&from_destructor[i]));
	tap_ok(atomic_load(&broken) == 0 && atomic_load(&destructor_runs) > 200,
	       "malloc and free in destructors of thread-specific data (%d runs)",
	       atomic_load(&destructor_runs));
	pthread_key_delete(first_key);
	pthread_key_delete(second_key);
}

static void *short_body(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg + 1;

	unpack(pack(&state));
	return NULL;
}

/* Thread after thread that only frees: its cache must not be lost with it. */
static void *free_body(void *arg)
{
	void **p = arg;

	for (int i = 0; i < 1000; i++)
		F.free(p[i]);
	return NULL;
}

static void test_freeing_threads(void)
{
	static void *p[1000];
	size_t before = 0, after;
	pthread_t thread;

	for (int round = 0; round < 300; round++) {
		if (round == 50)
			before = resident_bytes();
		for (int i = 0; i < 1000; i++) {
			p[i] = F.malloc(500);
			memset(p[i], 1, 500);
		}
		pthread_create(&thread, NULL, free_body, p);
		pthread_join(thread, NULL);
	}
	after = resident_bytes();
	tap_ok(after < before + ((size_t)16 << 20), "250 threads that only free lose no memory "
	       "(%zu KiB more, 125 MB went through)", after > before ? (after - before) >> 10 : 0);
}

static void test_many_threads(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int created = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536); /* small: ten thousand of them */
	for (int i = 0; i < 10000; i++) {
		if (pthread_create(&thread, &attr, short_body, NULL) != 0)
			break;
		pthread_join(thread, NULL);
		created++;
	}
	pthread_attr_destroy(&attr);
	tap_ok(created == 10000, "10,000 threads, one after the other");
}

void test_thread_exit(void)
{
	size_t before, after;

	atomic_store(&broken, 0);
	run_generations(1);
	tap_ok(atomic_load(&broken) == 0, "%d threads end and leave blocks to each other",
	       generations);
	before = resident_bytes();
	run_generations(8);
	run_generations(8);
	after = resident_bytes();
	tap_ok(atomic_load(&broken) == 0, "the same with 8 at a time");
	tap_ok(after < before + ((size_t)128 << 20), "1000 threads later memory has not grown "
	       "(%zu MiB more)", after > before ? (after - before) >> 20 : 0);
	for (int i = 0; i < legacy_slots; i++) {
		unpack(legacy[i]);
		legacy[i] = NULL;
	}
	tap_ok(atomic_load(&broken) == 0, "what dead threads left is intact and can be freed");
	test_tsd_destructors();
	test_freeing_threads();
	test_many_threads();
}
