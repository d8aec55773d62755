/* SPDX-License-Identifier: MIT */
/*
 * Several threads: servers that hand objects on, bursts, producers and consumers, false sharing,
 * thread churn, thousands of idle threads, and latency percentiles.  Times of two threads on a
 * machine of two shared CPUs are noisy: CPU time, faults and RSS say more than wall time.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define THREADS_MAX 64 /* workers of one scenario, `idle` apart; far more than CPUs here */

struct worker {
	pthread_t thread;
	size_t id;
	uint64_t seed;
	void **slots;
	void *extra;
};

static struct worker workers[THREADS_MAX];

static size_t threads_opt(size_t otherwise)
{
	size_t threads = opt("threads", otherwise);

	if (!threads || threads > THREADS_MAX) {
		errno = ERANGE;
		die("threads");
	}
	return threads;
}

static void start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	if ((errno = pthread_create(thread, NULL, body, arg)))
		die("pthread_create");
}

static void run_workers(size_t threads, void *(*body)(void *))
{
	for (size_t i = 0; i < threads; i++) {
		workers[i].id = i;
		workers[i].seed = 31 + i;
		start(&workers[i].thread, body, &workers[i]);
	}
	for (size_t i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
}

/* ---- scale: the same thread-local work in each thread; two must give twice the work of one ---- */

static const uint32_t *sizes;

static void *scale_body(void *arg)
{
	struct worker *w = arg;
	size_t live = opt("live", 5000), n = opt("n", 6000000);
	void **slots = table(live * sizeof *slots);

	for (size_t i = 0; i < n; i++) {
		void **slot = slots + rnd_below(&w->seed, live);

		free(*slot);
		*slot = get(sizes[i % SIZES_N]);
	}
	for (size_t i = 0; i < live; i++)
		free(slots[i]);
	return NULL;
}

static void scale(void)
{
	size_t threads = threads_opt(1);
	uint64_t from = now_ns();

	sizes = draw_sizes(opt_text("dist", "larson"), 32);
	run_workers(threads, scale_body);
	printf("mops_per_s=%.2f\n",
		(double)(threads * opt("n", 6000000)) * 1e3 / (double)(now_ns() - from));
}

/*
 * ---- larson: server threads replace random objects; after `life` replacements a thread ends and
 * hands its objects to a new one, which frees what others allocated (Larson & Krishnan 1998) ----
 */

static void *larson_body(void *arg)
{
	struct worker *w = arg;
	size_t live = opt("live", 2000), life = opt("life", 50000);

	for (size_t i = 0; i < life; i++) {
		void **slot = w->slots + rnd_below(&w->seed, live);

		free(*slot);
		*slot = get(sizes[rnd(&w->seed) % SIZES_N]);
	}
	return NULL;
}

static void larson(void)
{
	size_t threads = threads_opt(4), n = opt("n", 8000000), live = opt("live", 2000);
	size_t generations = n / (threads * opt("life", 50000)) + 1;

	sizes = draw_sizes(opt_text("dist", "larson"), 33);
	for (size_t i = 0; i < threads; i++) {
		workers[i] = (struct worker){ .id = i, .seed = 34 + i };
		workers[i].slots = table(live * sizeof(void *));
	}
	for (size_t g = 0; g < generations; g++) {
		void **first = workers[0].slots;

		for (size_t i = 0; i < threads; i++)
			start(&workers[i].thread, larson_body, &workers[i]);
		for (size_t i = 0; i < threads; i++)
			pthread_join(workers[i].thread, NULL);
		for (size_t i = 0; i + 1 < threads; i++) /* passed on: each gets its neighbour's */
			workers[i].slots = workers[i + 1].slots;
		workers[threads - 1].slots = first;
	}
	for (size_t i = 0; i < threads; i++)
		for (size_t j = 0; j < live; j++)
			free(workers[i].slots[j]);
}

/* ---- burst: each thread builds some MiB, uses it, drops it all, pauses, again ---- */

static void *burst_body(void *arg)
{
	struct worker *w = arg;
	size_t live = opt("live", 60000), n = opt("n", 20), pause_ms = opt("pause", 2);
	void **slots = table(live * sizeof *slots);

	for (size_t round = 0; round < n; round++) {
		for (size_t i = 0; i < live; i++)
			slots[i] = get(sizes[(i + w->id) % SIZES_N]);
		for (size_t i = 0; i < live; i++)
			free(slots[i]);
		sleep_ms((unsigned)pause_ms);
	}
	return NULL;
}

static void burst(void)
{
	sizes = draw_sizes(opt_text("dist", "etc"), 35);
	run_workers(threads_opt(4), burst_body);
}

/* ---- pipe: producers allocate, consumers free; bounded queue of batches ---- */

#define BATCH_N 256 /* objects a message carries: the lock must not be what is measured */
#define QUEUE_N 16 /* messages in flight: 4096 objects per pair */

struct queue {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	size_t head, tail, ended;
	void *object[QUEUE_N][BATCH_N];
};

static void queue_put(struct queue *q, void **batch)
{
	pthread_mutex_lock(&q->lock);
	while (q->tail - q->head == QUEUE_N)
		pthread_cond_wait(&q->moved, &q->lock);
	memcpy(q->object[q->tail % QUEUE_N], batch, sizeof q->object[0]);
	q->tail++;
	pthread_cond_broadcast(&q->moved);
	pthread_mutex_unlock(&q->lock);
}

static int queue_take(struct queue *q, void **batch)
{
	int some;

	pthread_mutex_lock(&q->lock);
	while (q->tail == q->head && !q->ended)
		pthread_cond_wait(&q->moved, &q->lock);
	some = q->tail != q->head;
	if (some) {
		memcpy(batch, q->object[q->head % QUEUE_N], sizeof q->object[0]);
		q->head++;
		pthread_cond_broadcast(&q->moved);
	}
	pthread_mutex_unlock(&q->lock);
	return some;
}

static void *producer_body(void *arg)
{
	struct worker *w = arg;
	struct queue *q = w->extra;
	size_t n = opt("n", 6000000) / opt("pairs", 1);
	void *batch[BATCH_N];

	for (size_t i = 0; i < n; i += BATCH_N) {
		for (size_t j = 0; j < BATCH_N; j++)
			batch[j] = get(sizes[(i + j) % SIZES_N]);
		queue_put(q, batch);
	}
	pthread_mutex_lock(&q->lock);
	q->ended = 1;
	pthread_cond_broadcast(&q->moved);
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

static void *consumer_body(void *arg)
{
	struct worker *w = arg;
	size_t slow = opt("slow", 0), leave = opt("leave", 0);
	void *batch[BATCH_N];

	for (size_t taken = 1; queue_take(w->extra, batch); taken++) {
		for (size_t j = 0; j < BATCH_N; j++) {
			for (size_t k = 0; k < slow; k++)
				*(volatile uint64_t *)batch[j] += k;
			free(batch[j]);
		}
		if (leave && taken == leave)
			return w; /* ends with what its caches hold; a successor goes on */
	}
	return NULL;
}

/* Starts consumers one after the other, until the queue has ended. */
static void *consumers_body(void *arg)
{
	void *more;

	do {
		pthread_t one;

		start(&one, consumer_body, arg);
		pthread_join(one, &more);
	} while (more);
	return NULL;
}

static void pipes(void)
{
	size_t pairs = opt("pairs", 1);
	struct worker *w = workers;
	uint64_t from = now_ns();

	if (pairs > THREADS_MAX / 2) {
		errno = ERANGE;
		die("pairs");
	}
	sizes = draw_sizes(opt_text("dist", "small"), 36);
	for (size_t i = 0; i < pairs; i++) {
		struct queue *q = table(sizeof *q);

		pthread_mutex_init(&q->lock, NULL);
		pthread_cond_init(&q->moved, NULL);
		w[2 * i].extra = w[2 * i + 1].extra = q;
		start(&w[2 * i].thread, producer_body, &w[2 * i]);
		start(&w[2 * i + 1].thread, consumers_body, &w[2 * i + 1]);
	}
	for (size_t i = 0; i < 2 * pairs; i++)
		pthread_join(w[i].thread, NULL);
	printf("ns_per_object=%.2f rss_after_kib=%zu\n",
		(double)(now_ns() - from) / (double)opt("n", 6000000), footprint().rss_kib);
}

/* ---- exchange: every thread swaps objects through shared slots, so half the frees are remote ---- */

#define EXCHANGE_N 4096

static _Atomic(void *) exchange_slot[EXCHANGE_N];

static void *exchange_body(void *arg)
{
	struct worker *w = arg;
	size_t n = opt("n", 4000000);

	for (size_t i = 0; i < n; i++) {
		void *mine = get(sizes[i % SIZES_N]);

		/* acq_rel: the object's contents pass with the pointer */
		free(atomic_exchange_explicit(&exchange_slot[rnd_below(&w->seed, EXCHANGE_N)],
			mine, memory_order_acq_rel));
	}
	return NULL;
}

static void exchange(void)
{
	sizes = draw_sizes(opt_text("dist", "fleet"), 37);
	run_workers(threads_opt(2), exchange_body);
	for (size_t i = 0; i < EXCHANGE_N; i++)
		free(atomic_load_explicit(&exchange_slot[i], memory_order_relaxed));
}

/*
 * ---- false sharing: active, where objects of two threads share a line from the start; passive,
 * where main allocated neighbours, and each thread frees one and writes to what it gets next ----
 */

static void *sharing_body(void *arg)
{
	struct worker *w = arg;
	size_t n = opt("n", 30000), writes = opt("writes", 2000), size = opt("size", 8);

	free(w->extra);
	for (size_t i = 0; i < n; i++) {
		char *p = must(malloc(size));

		for (size_t j = 0; j < writes; j++)
			((volatile char *)p)[j % size]++;
		free(p);
	}
	return NULL;
}

static void sharing(void)
{
	size_t threads = threads_opt(2);
	uint64_t from = now_ns();

	for (size_t i = 0; i < threads; i++)
		workers[i].extra = opt("passive", 0) ? must(malloc(opt("size", 8))) : NULL;
	run_workers(threads, sharing_body);
	printf("ns_per_write=%.3f\n", (double)(now_ns() - from) /
		(double)(opt("n", 30000) * opt("writes", 2000)));
}

/* ---- churn: threads are created, allocate, free most, leave some to main, end ---- */

static void *churn_body(void *arg)
{
	struct worker *w = arg;
	size_t objects = opt("objects", 200);
	void *own[1024];

	for (size_t i = 0; i < objects; i++)
		own[i] = get(sizes[(w->seed + i) % SIZES_N]);
	for (size_t i = 1; i < objects; i++)
		free(own[i]);
	w->extra = own[0]; /* freed by main, after the thread is gone */
	return NULL;
}

static void churn(void)
{
	size_t n = opt("n", 20000), threads = threads_opt(4);

	if (opt("objects", 200) > 1024) {
		errno = ERANGE;
		die("objects");
	}
	sizes = draw_sizes(opt_text("dist", "larson"), 38);
	for (size_t done = 0; done < n; done += threads) {
		run_workers(threads, churn_body);
		for (size_t i = 0; i < threads; i++)
			free(workers[i].extra);
	}
}

/* ---- idle: thousands of threads hold a little and sleep while main works ---- */

static pthread_mutex_t idle_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t idle_moved = PTHREAD_COND_INITIALIZER;
static size_t idle_ready, idle_over;

static void *idle_body(void *arg)
{
	struct worker *w = arg;
	void *own[16];

	for (size_t i = 0; i < 16; i++)
		own[i] = get(sizes[(w->id * 16 + i) % SIZES_N]);
	for (size_t i = 0; i < 16; i += 2)
		free(own[i]);
	pthread_mutex_lock(&idle_lock);
	idle_ready++;
	pthread_cond_broadcast(&idle_moved);
	while (!idle_over)
		pthread_cond_wait(&idle_moved, &idle_lock);
	pthread_mutex_unlock(&idle_lock);
	for (size_t i = 1; i < 16; i += 2)
		free(own[i]);
	return NULL;
}

static void idle(void)
{
	size_t threads = opt("threads", 10000);
	struct worker *all = table(threads * sizeof *all);
	struct footprint with;
	pthread_attr_t attr;

	sizes = draw_sizes(opt_text("dist", "larson"), 39);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10); /* small: 10,000 of them must fit anywhere */
	for (size_t i = 0; i < threads; i++) {
		all[i].id = i;
		if ((errno = pthread_create(&all[i].thread, &attr, idle_body, &all[i])))
			die("pthread_create");
	}
	pthread_mutex_lock(&idle_lock);
	while (idle_ready < threads)
		pthread_cond_wait(&idle_moved, &idle_lock);
	pthread_mutex_unlock(&idle_lock);
	with = footprint();
	workers[0] = (struct worker){ .seed = 40 };
	scale_body(&workers[0]);
	pthread_mutex_lock(&idle_lock);
	idle_over = 1;
	pthread_cond_broadcast(&idle_moved);
	pthread_mutex_unlock(&idle_lock);
	for (size_t i = 0; i < threads; i++)
		pthread_join(all[i].thread, NULL);
	printf("kib_per_thread=%.1f\n", (double)with.rss_kib / (double)threads);
}

/*
 * ---- many: all threads live at once, each has objects of its own and does its share of n
 * replacements: does the cost of an operation depend on how many threads there are? ----
 */

static pthread_barrier_t many_gate;
static struct cost many_from;

static void *many_body(void *arg)
{
	size_t live = 64, share = opt("n", 4000000) / opt("threads", 1000);
	uint64_t seed = 42 + (uintptr_t)arg;
	void *own[64];

	for (size_t i = 0; i < live; i++)
		own[i] = get(sizes[rnd(&seed) % SIZES_N]);
	if (pthread_barrier_wait(&many_gate)) /* true in one of them */
		many_from = cost_now();
	pthread_barrier_wait(&many_gate); /* nobody works before that one has looked */
	for (size_t i = 0; i < share; i++) {
		size_t at = rnd_below(&seed, live);

		free(own[at]);
		own[at] = get(sizes[rnd(&seed) % SIZES_N]);
	}
	if (pthread_barrier_wait(&many_gate))
		print_cost_each(many_from, share * opt("threads", 1000));
	for (size_t i = 0; i < live; i++)
		free(own[i]);
	return NULL;
}

static void many(void)
{
	size_t threads = opt("threads", 1000);
	pthread_t *all = table(threads * sizeof *all);
	pthread_attr_t attr;

	sizes = draw_sizes(opt_text("dist", "larson"), 43);
	pthread_barrier_init(&many_gate, NULL, (unsigned)threads);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10); /* as in idle */
	for (size_t i = 0; i < threads; i++)
		if ((errno = pthread_create(&all[i], &attr, many_body, (void *)(i + 1))))
			die("pthread_create");
	for (size_t i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
}

/* ---- latency: each call timed under a mixed load, with hand-over between the threads ---- */

#define BUCKETS_N (64 * 32) /* 32 steps per doubling: 3% resolution */

static void *latency_body(void *arg)
{
	struct worker *w = arg;
	size_t live = opt("live", 20000), n = opt("n", 4000000);
	void **slots = table(live * sizeof *slots);
	uint64_t *bucket = w->extra;

	for (size_t i = 0; i < n; i++) {
		void **slot = slots + rnd_below(&w->seed, live), *old = *slot, *p;
		size_t size = sizes[i % SIZES_N];
		uint64_t from, took;
		int top;

		if (i % 8 == 0) /* one object in eight is freed by whoever finds it */
			old = atomic_exchange_explicit(
				&exchange_slot[rnd_below(&w->seed, EXCHANGE_N)], old,
				memory_order_acq_rel);
		from = now_ns();
		p = malloc(size);
		free(old);
		took = now_ns() - from;
		*slot = must(p);
		*(volatile char *)p = 1;
		/* 0-63 ns one by one, then 32 buckets per doubling */
		top = 63 - __builtin_clzll(took | 63);
		bucket[(size_t)(top - 5) * 32 + (took >> (top - 5))]++;
	}
	for (size_t i = 0; i < live; i++)
		free(slots[i]);
	return NULL;
}

/* The lower edge of a bucket, in ns. */
static uint64_t bucket_ns(size_t b)
{
	return b < 64 ? b : (uint64_t)(b % 32 + 32) << (b / 32 - 1);
}

static void latency(void)
{
	static const double share[] = { 0.5, 0.99, 0.999, 0.9999, 0.99999 };
	static const char *const name[] = { "p50", "p99", "p99.9", "p99.99", "p99.999" };
	size_t threads = threads_opt(1), at = 0;
	uint64_t total = 0, sum = 0;
	uint64_t *all;

	sizes = draw_sizes(opt_text("dist", "fleet"), 41);
	for (size_t i = 0; i < threads; i++)
		workers[i].extra = table(BUCKETS_N * sizeof(uint64_t));
	run_workers(threads, latency_body);
	all = workers[0].extra;
	for (size_t i = 1; i < threads; i++)
		for (size_t b = 0; b < BUCKETS_N; b++)
			all[b] += ((uint64_t *)workers[i].extra)[b];
	for (size_t b = 0; b < BUCKETS_N; b++)
		total += all[b];
	for (size_t b = 0; b < BUCKETS_N && at < 5; b++) {
		sum += all[b];
		while (at < 5 && (double)sum >= share[at] * (double)total)
			printf("%s_ns=%llu ", name[at++], (unsigned long long)bucket_ns(b));
	}
	putchar('\n');
}

int main(int argc, char **argv)
{
	static const struct scenario list[] = {
		{ "scale", scale }, { "larson", larson }, { "burst", burst }, { "pipe", pipes },
		{ "exchange", exchange }, { "sharing", sharing }, { "churn", churn },
		{ "idle", idle }, { "many", many }, { "latency", latency }, { NULL, NULL }
	};

	return run_scenario(argc, argv, list);
}
