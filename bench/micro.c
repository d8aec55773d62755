/* SPDX-License-Identifier: MIT */
/*
 * Loops of one thread that do little but call the allocator: pairs, windows, bulk frees, random
 * lifetimes, calloc, aligned, realloc, big buffers.  They show the cost of single paths; what
 * programs feel is in programs.c and in the `real` group.
 */
#include "common.h"

#include <sys/resource.h>

/* n pairs of one size, one object live at a time: the hot path and nothing else. */
static void pair(void)
{
	size_t size = opt("size", 16), n = opt("n", 20000000);

	for (size_t i = 0; i < n; i++)
		free(get(size));
}

/* The same at every class: four sizes per doubling from 16 bytes to 32 KiB. */
static void pair_all(void)
{
	size_t n = opt("n", 500000);

	for (size_t base = 16; base < 32768; base *= 2)
		for (size_t quarter = 0; quarter < 4; quarter++)
			for (size_t i = 0; i < n; i++)
				free(get(base + base / 4 * quarter));
}

/* A queue: each object lives while `live` others are allocated. */
static void window(void)
{
	size_t live = opt("live", 1000), n = opt("n", 20000000);
	const uint32_t *sizes = draw_sizes(opt_text("dist", "64"), 1);
	void **ring = table(live * sizeof *ring);

	for (size_t i = 0, at = 0; i < n; i++) {
		free(ring[at]);
		ring[at] = get(sizes[i % SIZES_N]);
		if (++at == live)
			at = 0;
	}
	for (size_t i = 0; i < live; i++)
		free(ring[i]);
}

/* Allocate `live` objects, free them all in the given order, again and again. */
static void bulk(void)
{
	size_t live = opt("live", 1000), n = opt("n", 10000000);
	const uint32_t *sizes = draw_sizes(opt_text("dist", "64"), 2);
	const char *order = opt_text("order", "lifo");
	void **objects = table(live * sizeof *objects);
	uint32_t *turn = table(live * sizeof *turn);
	uint64_t seed = 3;

	for (size_t i = 0; i < live; i++)
		turn[i] = (uint32_t)(*order == 'l' ? live - 1 - i : i);
	for (size_t i = live; *order == 'r' && i-- > 1;) {
		size_t j = rnd_below(&seed, i + 1);
		uint32_t t = turn[i];

		turn[i] = turn[j];
		turn[j] = t;
	}
	for (size_t done = 0; done < n; done += live) {
		for (size_t i = 0; i < live; i++)
			objects[i] = get(sizes[(done + i) % SIZES_N]);
		for (size_t i = 0; i < live; i++)
			free(objects[turn[i]]);
	}
}

/* Random slot replaced by a new object: random sizes, exponential lifetimes. */
static void mix(void)
{
	size_t live = opt("live", 20000), n = opt("n", 10000000);
	const uint32_t *sizes = draw_sizes(opt_text("dist", "larson"), 4);
	void **slots = table(live * sizeof *slots);
	uint64_t seed = 5;

	for (size_t i = 0; i < n; i++) {
		void **slot = slots + rnd_below(&seed, live);

		free(*slot);
		*slot = get(sizes[i % SIZES_N]);
	}
	for (size_t i = 0; i < live; i++)
		free(slots[i]);
}

/*
 * Generations: of 100 objects 90 die after about ten allocations, 9 after about 10,000 and one
 * after millions, as most programs do it.
 */
static void generations(void)
{
	static const size_t ring_n[3] = { 8, 1024, 65536 };
	size_t n = opt("n", 15000000);
	const uint32_t *sizes = draw_sizes(opt_text("dist", "fleet"), 6);
	void **rings[3];
	uint64_t seed = 7;

	for (int r = 0; r < 3; r++)
		rings[r] = table(ring_n[r] * sizeof(void *));
	for (size_t i = 0; i < n; i++) {
		size_t percent = rnd_below(&seed, 100);
		int r = percent < 90 ? 0 : percent < 99 ? 1 : 2;
		void **slot = rings[r] + rnd_below(&seed, ring_n[r]);

		free(*slot);
		*slot = get(sizes[i % SIZES_N]);
	}
	for (int r = 0; r < 3; r++)
		for (size_t i = 0; i < ring_n[r]; i++)
			free(rings[r][i]);
}

static void calloc_mix(void)
{
	size_t live = opt("live", 1000), n = opt("n", 4000000);
	const uint32_t *sizes = draw_sizes(opt_text("dist", "larson"), 8);
	size_t read = opt("read", 0); /* read the buffer: a page fault per 4 KiB, maybe shared */
	void **slots = table(live * sizeof *slots);
	uint64_t seed = 9, sum = 0;

	for (size_t i = 0; i < n; i++) {
		size_t size = sizes[i % SIZES_N];
		void **slot = slots + rnd_below(&seed, live);

		free(*slot);
		*slot = must(calloc(1, size));
		for (size_t at = 0; read && at < size; at += 4096)
			sum += ((volatile unsigned char *)*slot)[at];
		if (sum) {
			errno = EILSEQ;
			die("calloc gave memory that is not zero");
		}
		*(volatile char *)*slot = 1;
	}
	for (size_t i = 0; i < live; i++)
		free(slots[i]);
}

static void aligned(void)
{
	size_t live = opt("live", 1000), n = opt("n", 4000000);
	const uint32_t *sizes = draw_sizes(opt_text("dist", "larson"), 10);
	size_t most = opt("most", 8); /* alignments 16 << 0 .. 16 << most */
	void **slots = table(live * sizeof *slots);
	uint64_t seed = 11;

	for (size_t i = 0; i < n; i++) {
		void **slot = slots + rnd_below(&seed, live);

		free(*slot);
		if (posix_memalign(slot, (size_t)16 << rnd_below(&seed, most + 1),
				sizes[i % SIZES_N]))
			die("posix_memalign");
		*(volatile char *)*slot = 1;
	}
	for (size_t i = 0; i < live; i++)
		free(slots[i]);
}

/* One buffer that grows to `to` bytes: by half each time (step=0) or by `step` bytes. */
static void realloc_grow(void)
{
	size_t to = opt("to", 1u << 30), step = opt("step", 0), n = opt("n", 1);

	for (size_t i = 0; i < n; i++) {
		size_t size = opt("from", 64);
		char *p = get(size);

		while (size < to) {
			size_t next = step ? size + step : size + size / 2;

			if (next > to)
				next = to;
			p = must(realloc(p, next));
			/* Only what is new is written, as a vector or a file reader does. */
			for (size_t at = size; at < next; at += 4096)
				((volatile char *)p)[at] = 1;
			size = next;
		}
		free(p);
	}
}

/* Many small vectors that grow side by side, as tables and strings of programs do. */
static void realloc_many(void)
{
	size_t vectors = opt("live", 2000), n = opt("n", 6000000), to = opt("to", 16384);
	char **vector = table(vectors * sizeof *vector);
	uint32_t *size = table(vectors * sizeof *size);
	uint64_t seed = 12;

	for (size_t i = 0; i < n; i++) {
		size_t v = rnd_below(&seed, vectors);

		if (size[v] > to) {
			free(vector[v]);
			vector[v] = NULL;
			size[v] = 0;
		}
		size[v] = size[v] ? size[v] * 2 : 16;
		vector[v] = must(realloc(vector[v], size[v]));
		*(volatile char *)vector[v] = 1;
	}
	for (size_t v = 0; v < vectors; v++)
		free(vector[v]);
}

/* Buffers between `from` and `to` bytes, `live` at a time, each page touched or none. */
static void buffers(void)
{
	size_t live = opt("live", 16), n = opt("n", 20000), touched = opt("touch", 1);
	size_t from = opt("from", 32 << 10), to = opt("to", 4 << 20);
	void **slots = table(live * sizeof *slots);
	uint32_t *sizes = table(SIZES_N * sizeof *sizes);
	uint64_t seed = 13;

	for (size_t i = 0; i < SIZES_N; i++)
		sizes[i] = (uint32_t)(from == to ? from :
			log_uniform(&seed, (double)from, (double)to));
	for (size_t i = 0; i < n; i++) {
		void **slot = slots + rnd_below(&seed, live);
		size_t size = sizes[i % SIZES_N];

		free(*slot);
		*slot = must(malloc(size));
		if (touched)
			touch(*slot, size);
	}
	for (size_t i = 0; i < live; i++)
		free(slots[i]);
}

/* Allocate, touch, free one big block again and again: keep it or fault it each time? */
static void big_loop(void)
{
	size_t size = opt("size", 64 << 20), n = opt("n", 60);
	struct rusage before, after;
	size_t held;

	getrusage(RUSAGE_SELF, &before);
	for (size_t i = 0; i < n; i++) {
		void *p = must(malloc(size));

		touch(p, size);
		free(p);
	}
	getrusage(RUSAGE_SELF, &after);
	held = footprint().rss_kib;
	printf("faults_each=%.1f rss_after_kib=%zu\n",
		(double)(after.ru_minflt - before.ru_minflt) / (double)n, held);
}

int main(int argc, char **argv)
{
	static const struct scenario list[] = {
		{ "pair", pair }, { "pair-all", pair_all }, { "window", window }, { "bulk", bulk },
		{ "mix", mix }, { "generations", generations }, { "calloc", calloc_mix },
		{ "aligned", aligned }, { "realloc", realloc_grow },
		{ "realloc-many", realloc_many }, { "buffers", buffers },
		{ "big-loop", big_loop }, { NULL, NULL }
	};

	return run_scenario(argc, argv, list);
}
