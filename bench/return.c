/* SPDX-License-Identifier: MIT */
/*
 * Does memory go back?  Each scenario samples RSS and LazyFree against the bytes it holds, at
 * fixed points of its work and not by a clock, and prints
 *	sample MS LIVE_KIB RSS_KIB LAZY_KIB
 * per point, then one line of key=value.  The programs' own tables are taken off the RSS.  No
 * scenario calls malloc_trim: what has to be asked for is not a promise.
 */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

#define MIB ((size_t)1 << 20)
#define SAMPLES_MAX 400

static struct sample {
	uint64_t ms;
	size_t live_kib;
	struct footprint now;
} samples[SAMPLES_MAX];

static size_t samples_n;
static uint64_t began;
static size_t base_kib; /* RSS before the first malloc: program, libc, tables */
static _Atomic size_t live_bytes; /* relaxed: a sum, read when the threads rest */

static void base(void)
{
	memset(samples, 1, sizeof samples); /* resident before the base is taken */
	began = now_ns();
	base_kib = footprint().rss_kib;
}

static void sample(void)
{
	struct sample *s = &samples[samples_n];

	if (samples_n == SAMPLES_MAX)
		return;
	samples_n++;
	s->ms = (now_ns() - began) / 1000000;
	s->live_kib = atomic_load_explicit(&live_bytes, memory_order_relaxed) >> 10;
	s->now = footprint();
	s->now.rss_kib -= s->now.rss_kib < base_kib ? s->now.rss_kib : base_kib;
}

/* Peak, end and mean of RSS without lazily freed pages, and the mean over the mean of live. */
static void print_samples(void)
{
	size_t peak = 0, sum = 0, live = 0, net = 0;

	for (size_t i = 0; i < samples_n; i++) {
		struct sample *s = &samples[i];

		net = s->now.rss_kib > s->now.lazy_kib ? s->now.rss_kib - s->now.lazy_kib : 0;
		peak = net > peak ? net : peak;
		sum += net;
		live += s->live_kib;
		printf("sample %llu %zu %zu %zu\n", (unsigned long long)s->ms, s->live_kib,
			s->now.rss_kib, s->now.lazy_kib);
	}
	printf("peak_kib=%zu end_kib=%zu mean_kib=%zu over_live=%.3f\n", peak, net,
		sum / (samples_n + !samples_n), (double)sum / (double)(live + !live));
}

/* ---- a store: objects in slots, their bytes counted ---- */

struct store {
	void **slot;
	uint32_t *size;
	size_t slots_n;
};

static struct store store_new(size_t slots_n)
{
	return (struct store){ table(slots_n * sizeof(void *)),
		table(slots_n * sizeof(uint32_t)), slots_n };
}

static void live_add(size_t bytes)
{
	atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed);
}

static void drop(struct store *s, size_t at)
{
	live_add(-(size_t)s->size[at]);
	free(s->slot[at]);
	s->slot[at] = NULL;
	s->size[at] = 0;
}

static void put(struct store *s, size_t at, size_t size)
{
	if (s->slot[at])
		drop(s, at);
	s->slot[at] = get(size);
	touch(s->slot[at], size);
	s->size[at] = (uint32_t)size;
	live_add(size);
}

/* A random order of freeing: what programs do to a heap after its peak. */
static uint32_t *shuffled(size_t n, uint64_t seed)
{
	uint32_t *turn = table(n * sizeof *turn);

	for (size_t i = 0; i < n; i++)
		turn[i] = (uint32_t)i;
	for (size_t i = n; i-- > 1;) {
		size_t j = rnd_below(&seed, i + 1);
		uint32_t t = turn[i];

		turn[i] = turn[j];
		turn[j] = t;
	}
	return turn;
}

static size_t slots_for(size_t bytes, const uint32_t *sizes)
{
	uint64_t total = 0;

	for (size_t i = 0; i < SIZES_N; i++)
		total += sizes[i];
	return (size_t)((double)bytes * SIZES_N / (double)total);
}

/* ---- peak, then idle ---- */

/* Fill to a peak, free `percent` of the objects at random, sleep, do a little, sleep again. */
static void peak_idle(void)
{
	const uint32_t *sizes = draw_sizes(opt_text("dist", "etc"), 51);
	size_t n = slots_for(opt("bytes", 256 * MIB), sizes), percent = opt("percent", 100);
	struct store s = store_new(n);
	uint32_t *turn = shuffled(n, 52);

	base();
	for (size_t i = 0; i < n; i++) {
		if (i % (n / 8) == 0)
			sample();
		put(&s, i, sizes[i % SIZES_N]);
	}
	sample();
	for (size_t i = 0; i < n * percent / 100; i++) {
		if (i % (n / 16) == 0)
			sample();
		drop(&s, turn[i]);
	}
	sample(); /* the call has returned: this is what the promise is about */
	for (int i = 0; i < 4; i++) {
		sleep_ms(250);
		sample();
	}
	for (size_t i = 0; i < 1000; i++) /* a little work, for those who purge by ticks */
		put(&s, turn[i % n], 64);
	sample();
	print_samples();
}

/* ---- sawtooth ---- */

static void sawtooth(void)
{
	const uint32_t *sizes = draw_sizes(opt_text("dist", "fleet"), 53);
	size_t n = slots_for(opt("bytes", 128 * MIB), sizes), teeth = opt("teeth", 8);
	struct store s = store_new(n);
	uint32_t *turn = shuffled(n, 54);

	base();
	for (size_t t = 0; t < teeth; t++) {
		for (size_t i = 0; i < n; i++) {
			if (i % (n / 8) == 0)
				sample();
			if (!s.slot[i])
				put(&s, i, sizes[(i + t) % SIZES_N]);
		}
		sample();
		for (size_t i = 0; i < n / 16 * 15; i++) {
			if (i % (n / 8) == 0)
				sample();
			drop(&s, turn[(i + t * 997) % n]);
		}
		sample();
	}
	print_samples();
}

/* ---- pool: four workers; each frees what another one allocated; loads come and go ---- */

#define POOL_N 4

struct job {
	pthread_t thread;
	struct store *mine, *theirs;
	const uint32_t *sizes;
	size_t objects, seed;
};

static void *pool_fill(void *arg)
{
	struct job *j = arg;

	for (size_t i = 0; i < j->objects; i++)
		put(j->mine, i, j->sizes[(i + j->seed) % SIZES_N]);
	return NULL;
}

static void *pool_drop(void *arg)
{
	struct job *j = arg;

	for (size_t i = 0; i < j->objects; i++)
		if (i % 64 || j->seed == 0) /* some stay, scattered; all go at the end */
			drop(j->theirs, i);
	return NULL;
}

/* Workers that stay: each waits for its phase, so heaps have owners that sleep. */
static pthread_barrier_t pool_gate;
static size_t pool_phases;

static void *pool_body(void *arg)
{
	struct job *j = arg;
	size_t most = j->objects;

	for (size_t p = 0; p < pool_phases; p++) {
		j->objects = p % 3 == 2 ? most / 8 : most;
		j->seed = p + 1 == pool_phases ? 0 : p + 1;
		pthread_barrier_wait(&pool_gate); /* start */
		pool_fill(j);
		pthread_barrier_wait(&pool_gate); /* full: main samples */
		pthread_barrier_wait(&pool_gate); /* go on */
		pool_drop(j);
		pthread_barrier_wait(&pool_gate); /* empty: main samples */
	}
	return NULL;
}

static void pool(void)
{
	static struct job jobs[POOL_N];
	static struct store stores[POOL_N];
	const uint32_t *sizes = draw_sizes(opt_text("dist", "etc"), 55);
	size_t n = slots_for(opt("bytes", 128 * MIB) / POOL_N, sizes);

	pool_phases = opt("phases", 9);
	for (int i = 0; i < POOL_N; i++)
		stores[i] = store_new(n);
	pthread_barrier_init(&pool_gate, NULL, POOL_N + 1);
	base();
	for (int i = 0; i < POOL_N; i++) {
		jobs[i] = (struct job){ .mine = &stores[i], .theirs = &stores[(i + 1) % POOL_N],
			.sizes = sizes, .objects = n };
		if (pthread_create(&jobs[i].thread, NULL, pool_body, &jobs[i]))
			die("pthread_create");
	}
	for (size_t p = 0; p < pool_phases; p++) {
		sample();
		pthread_barrier_wait(&pool_gate);
		pthread_barrier_wait(&pool_gate);
		sample();
		pthread_barrier_wait(&pool_gate);
		pthread_barrier_wait(&pool_gate);
		sample();
	}
	for (int i = 0; i < POOL_N; i++)
		pthread_join(jobs[i].thread, NULL);
	sleep_ms(300);
	sample();
	print_samples();
}

/* ---- freer: one thread allocates and sleeps for ever, another one only frees ---- */

static pthread_barrier_t asleep;

static void *maker_body(void *arg)
{
	pool_fill(arg);
	pthread_barrier_wait(&asleep);
	pthread_barrier_wait(&asleep); /* sleeps until main has taken its last sample */
	return NULL;
}

static void *freer_body(void *arg)
{
	struct job *j = arg;
	uint32_t *turn = arg ? shuffled(j->objects, 57) : NULL;

	/* The turn table is the freer's own and resident now: not the allocator's. */
	base_kib += j->objects * sizeof *turn >> 10;
	for (size_t i = 0; i < j->objects; i++) {
		if (i % (j->objects / 16) == 0)
			sample();
		drop(j->mine, turn[i]);
	}
	sample();
	return NULL;
}

static void freer(void)
{
	const uint32_t *sizes = draw_sizes(opt_text("dist", "etc"), 56);
	size_t n = slots_for(opt("bytes", 256 * MIB), sizes);
	struct store s = store_new(n);
	struct job job = { .mine = &s, .sizes = sizes, .objects = n };
	pthread_t maker, one;

	pthread_barrier_init(&asleep, NULL, 2);
	base();
	sample();
	if (pthread_create(&maker, NULL, maker_body, &job))
		die("pthread_create");
	pthread_barrier_wait(&asleep);
	sample();
	if (pthread_create(&one, NULL, freer_body, &job))
		die("pthread_create");
	pthread_join(one, NULL);
	for (int i = 0; i < 3; i++) {
		sleep_ms(200);
		sample();
	}
	print_samples();
	pthread_barrier_wait(&asleep);
	pthread_join(maker, NULL);
}

/* ---- cache: a server's cache of constant bytes whose value sizes change ---- */

static void cache(void)
{
	static const struct { size_t lo, hi; } phase[] = {
		{ 64, 128 }, { 500, 1000 }, { 4096, 8192 }, { 150, 300 }, { 20000, 60000 },
		{ 64, 128 }
	};
	size_t bytes = opt("bytes", 64 * MIB), slots_n = bytes / 64, turns = opt("turns", 2);
	struct store s = store_new(slots_n);
	uint64_t seed = 58;
	size_t head = 0, tail = 0, live = 0;

	base();
	for (size_t p = 0; p < sizeof phase / sizeof *phase; p++) {
		size_t quarter = bytes * turns / 16;
		size_t written = 0;

		for (size_t next = 0; written < bytes * turns; next = written / quarter * quarter +
				quarter) {
			while (written < next || !next) {
				size_t size = phase[p].lo +
					rnd_below(&seed, phase[p].hi - phase[p].lo + 1);

				while (live + size > bytes) { /* oldest out, as an LRU list */
					live -= s.size[tail % slots_n];
					drop(&s, tail++ % slots_n);
				}
				put(&s, head++ % slots_n, size);
				live += size;
				written += size;
				if (!next)
					break;
			}
			sample();
		}
	}
	print_samples();
}

/* ---- requests: a thread per request; most of it dies with the request, a session stays ---- */

struct request {
	pthread_t thread;
	struct store *own, *sessions;
	const uint32_t *sizes;
	size_t id;
};

static void *request_body(void *arg)
{
	struct request *r = arg;

	for (size_t i = 0; i < r->own->slots_n; i++)
		put(r->own, i, r->sizes[(i * 7 + r->id) % SIZES_N]);
	put(r->sessions, r->id % r->sessions->slots_n, 1000);
	for (size_t i = 0; i < r->own->slots_n; i++)
		drop(r->own, i);
	return NULL;
}

static void requests(void)
{
	const uint32_t *sizes = draw_sizes(opt_text("dist", "fleet"), 59);
	size_t n = opt("n", 600);
	size_t each = slots_for(opt("bytes", 1 * MIB), sizes);
	struct store own[POOL_N], sessions[POOL_N];
	struct request r[POOL_N];

	for (int i = 0; i < POOL_N; i++) {
		own[i] = store_new(each);
		sessions[i] = store_new(500);
	}
	base();
	for (size_t done = 0; done < n; done++) {
		if (done % (n / 50 + 1) == 0)
			sample();
		for (size_t i = 0; i < POOL_N; i++) {
			r[i] = (struct request){ .own = &own[i], .sessions = &sessions[i],
				.sizes = sizes, .id = done };
			if (pthread_create(&r[i].thread, NULL, request_body, &r[i]))
				die("pthread_create");
		}
		for (int i = 0; i < POOL_N; i++)
			pthread_join(r[i].thread, NULL);
	}
	sample();
	sleep_ms(300);
	sample();
	print_samples();
}

/* ---- plateau: a long mixed life at constant live bytes; growth after the first fifth ---- */

static void plateau(void)
{
	const uint32_t *sizes = draw_sizes(opt_text("dist", "fleet"), 60);
	size_t n = opt("n", 12000000), live = slots_for(opt("bytes", 64 * MIB), sizes);
	struct store s = store_new(live);
	uint64_t seed = 61;
	size_t early, late;

	base();
	for (size_t i = 0; i < live; i++)
		put(&s, i, sizes[i % SIZES_N]);
	for (size_t i = 0; i < n; i++) {
		if (i % (n / 20) == 0)
			sample();
		put(&s, rnd_below(&seed, live), sizes[(live + i) % SIZES_N]);
	}
	sample();
	early = samples[4].now.rss_kib;
	late = samples[samples_n - 1].now.rss_kib;
	print_samples();
	printf("growth_percent=%.2f\n", 100.0 * ((double)late / (double)(early + !early) - 1));
}

int main(int argc, char **argv)
{
	static const struct scenario list[] = {
		{ "peak-idle", peak_idle }, { "sawtooth", sawtooth }, { "pool", pool },
		{ "freer", freer }, { "cache", cache }, { "requests", requests },
		{ "plateau", plateau }, { NULL, NULL }
	};

	return run_scenario(argc, argv, list);
}
