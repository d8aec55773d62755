/* SPDX-License-Identifier: MIT
 *
 * layout.c - a program whose heap is known: it counts its own blocks by usable size, says so, and
 * then waits for lines on its input.
 *
 *   layout known     threads, remote frees, large and huge blocks, half of one never written
 *   layout small     a few blocks of many sizes, one large and one huge: a core of few MB; says
 *                    where some of them are, keeps 50 blocks of 1500 bytes and loses 50
 *   layout puzzle    400 MB, of which half is written
 *   layout sparse    a million small blocks of which seven in eight were freed
 *   layout bulk N    N blocks of 256 bytes, each written
 *   layout far       400 MB in large blocks that are never written, then some far away from them, so
 *                    that the page map needs a second window
 *   layout own       what amalloc_stats() says of a mixed heap, then its malloc_info()
 *   layout requests  blocks of all kinds, some of them from hand to hand; its own sums of what it asked for and of
 *                    usable bytes beside those of amalloc_stats(), and its own peak
 *   layout dirty     64 MB of freed large blocks, some of which stay dirty
 *   layout starters  a starter run that has been begun; each line of input takes one more block of each of a few
 *                    classes, or frees these, and says their bytes
 *   layout exit N    ends at once by _exit(N), with a little allocated
 *   layout busy      allocates and frees at random, in two threads, until it is killed
 *   layout two LIBRARY   also opens libarena-prefixed.so: 1000 blocks of each, in one class
 *   layout churn M   bulk M; then each line of input: N malloc/free pairs of mixed sizes, and prints
 *                    the seconds
 *
 * Each line of input but "quit" makes it allocate and free a little, so that slow paths are passed.
 * The last output line before waiting is "ready".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SIZES = 5, WORKERS = 4, PER_WORKER = 2000, REMOTE = 1000 };
/* libc and the start of a program use none of these classes. */
static const struct {
	size_t size, count;
} small[SIZES] = {{240, 10000}, {432, 5000}, {1000, 3000}, {7000, 200}, {30000, 40}};
enum { WORKER_SIZE = 350 };

static void *worker_block[WORKERS][PER_WORKER];
static pthread_barrier_t made, finished;

static void report(const void *p, long count)
{
	printf("live %zu %ld\n", malloc_usable_size((void *)p), count);
}

static void *worker(void *arg)
{
	void **block = arg;

	for (int i = 0; i < PER_WORKER; i++)
		block[i] = memset(malloc(WORKER_SIZE), 1, WORKER_SIZE);
	pthread_barrier_wait(&made);
	pthread_barrier_wait(&finished);
	return NULL;
}

static char *written(size_t size, size_t part)
{
	return memset(malloc(size), 1, part);
}

static void known(void)
{
	static void *block[10000];
	pthread_t thread[WORKERS];

	for (int s = 0; s < SIZES; s++) {
		void *kept = NULL;
		long n = 0;

		for (size_t i = 0; i < small[s].count; i++)
			block[i] = written(small[s].size, small[s].size);
		for (size_t i = 0; i < small[s].count; i++)
			if (i % 2 == 0)
				free(block[i]);
			else
				kept = block[i], n++;
		report(kept, n);
	}
	pthread_barrier_init(&made, NULL, WORKERS + 1);
	pthread_barrier_init(&finished, NULL, WORKERS + 1);
	for (int i = 0; i < WORKERS; i++)
		pthread_create(&thread[i], NULL, worker, worker_block[i]);
	pthread_barrier_wait(&made);
	for (int i = 0; i < REMOTE; i++)
		free(worker_block[i % WORKERS][i]);
	report(worker_block[0][PER_WORKER - 1], WORKERS * PER_WORKER - REMOTE);
	/* 5 large blocks of 13 pages, and 64 MiB of which a quarter is written. */
	for (int i = 0; i < 5; i++)
		printf("large %zu\n", malloc_usable_size(written(200 * 1024, 200 * 1024)));
	printf("huge %zu\n", malloc_usable_size(written(64u << 20, 16u << 20)));
	printf("threads %d\n", WORKERS + 1);
}

static void *kept[50];

static void __attribute__((noinline)) lose(void)
{
	for (int i = 0; i < 50; i++) {
		kept[i] = written(1500, 1500);
		strcpy(written(1500, 1500), "lost block");
	}
}

static void small_heap(void)
{
	static char *volatile keep;
	static char *live, *freed, *large, *huge;

	for (size_t i = 1; i < 300; i++) {
		free(written(i * 50, i));
		written(i * 50, i);
	}
	lose();
	free(written(5 << 20, 1));
	for (int i = 0; i < 12; i++)
		keep = written(500, 500); /* in starter runs */
	live = written(500, 500);
	freed = written(500, 500);
	large = written(100000, 1);
	huge = written(5 << 20, 1);
	free(freed);
	printf("pointer live %p\npointer inner %p\npointer freed %p\npointer large %p\n"
	       "pointer huge %p\n", live, live + 7, freed, large, huge);
}

static void sparse(void)
{
	enum { N = 1000000 };
	void **block = malloc(N * sizeof *block);

	for (int i = 0; i < N; i++)
		block[i] = written(96, 96);
	for (int i = 0; i < N; i++)
		if (i % 8 != 0)
			free(block[i]);
	report(block[0], N / 8);
}

static void two(const char *library)
{
	void *l = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	void *(*other)(size_t) = l != NULL ? (void *(*)(size_t))dlsym(l, "amalloc") : NULL;

	for (int i = 0; i < 1000 && other != NULL; i++) {
		memset(other(1700), 1, 1700);
		written(1700, 1700);
	}
}

static void bulk(long n)
{
	for (long i = 0; i < n; i++)
		*(volatile char *)malloc(256) = 1;
	report(malloc(256), n + 1);
}

/* Few enough for a starter run. */
static void starters(void)
{
	static const size_t size[] = {64, 100, 200, 300, 500, 700};
	static char *block[6];
	long bytes = 0;

	for (int i = 0; i < 6; i++) {
		if (block[i] == NULL) {
			block[i] = written(size[i], size[i]);
			bytes += (long)malloc_usable_size(block[i]);
		} else {
			bytes -= (long)malloc_usable_size(block[i]);
			free(block[i]);
			block[i] = NULL;
		}
	}
	printf("took %ld\n", bytes);
	fflush(stdout);
}

static void dirty(void)
{
	void *block[640];

	for (int i = 0; i < 640; i++)
		block[i] = written(100000, 100000);
	for (int i = 0; i < 640; i++)
		free(block[i]);
}

static void far(void)
{
	for (int i = 0; i < 400; i++)
		malloc(1 << 20);
	/* The kernel places what comes next below this. */
	if (mmap(NULL, (size_t)1 << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0) == MAP_FAILED)
		exit(1);
	for (int i = 0; i < 400; i++)
		malloc(1 << 20);
}

/* As in amalloc.h, which a program that is preloaded does not need. */
struct figures {
	uint64_t live, cached, active, dirty, metadata, mapped;
	uint64_t peak_active, peak_mapped, huge, large, purged, heaps, parked, chunks, mismatches;
	uint64_t peak_live, recorded, internal, internal_max;
};

static struct figures figures(void)
{
	static union {
		struct figures f;
		char room[4096];
	} u;
	int (*get)(void *, size_t) = (int (*)(void *, size_t))dlsym(RTLD_DEFAULT, "amalloc_stats");

	if (get == NULL || get(&u, sizeof u.f) != 0)
		exit(1);
	return u.f;
}

static void own(void)
{
	static void *block[100000];
	struct figures f;

	for (int i = 0; i < 100000; i++)
		block[i] = written((size_t)(100 + i % 300), 50);
	for (int i = 0; i < 100000; i += 2)
		free(block[i]);
	free(written(300000, 300000));
	written(200000, 1);
	written(8 << 20, 1);
	f = figures();
	printf("own live %ju cached %ju active %ju dirty %ju metadata %ju mapped %ju peak_active %ju "
	       "peak_mapped %ju huge %ju large %ju peak_live %ju recorded %ju internal %ju "
	       "internal_max %ju heaps %ju\n", f.live, f.cached, f.active, f.dirty, f.metadata, f.mapped,
	       f.peak_active, f.peak_mapped, f.huge, f.large, f.peak_live, f.recorded, f.internal,
	       f.internal_max, f.heaps);
	malloc_info(0, stdout);
}

/* What the program asked for and got, of the blocks that it holds. */
static size_t asked, usable, most_usable;
static struct {
	void *p;
	size_t n;
} held[20000];

static void hold(unsigned i, void *p, size_t n)
{
	asked += n;
	usable += malloc_usable_size(p);
	most_usable = usable > most_usable ? usable : most_usable;
	if (held[i].p != NULL) {
		asked -= held[i].n;
		usable -= malloc_usable_size(held[i].p);
		free(held[i].p);
	}
	held[i].p = p;
	held[i].n = n;
}

static void *request(void *arg)
{
	unsigned x = 7;

	for (int k = 0; k < 200000; k++) {
		unsigned i = (x = x * 1103515245u + 12345u) >> 8 & 16383;
		size_t n = (x >> 4) % (k % 1000 == 0 ? 6000000u : k % 100 == 0 ? 100000u : 2000u);
		size_t align = (size_t)16 << (x >> 9) % 9;
		void *p = NULL;

		/* The second thread does the same, but frees into the first one's heap. */
		switch ((x >> 5) % 8) {
		case 0:
			hold(i, calloc(1, n), n);
			break;
		case 1:
			hold(i, memalign(align, n), n);
			break;
		case 2:
			if (posix_memalign(&p, align, n) == 0)
				hold(i, p, n);
			break;
		case 3:
		case 4:
			if (held[i].p == NULL || n == 0)
				break;
			asked -= held[i].n;
			usable -= malloc_usable_size(held[i].p);
			held[i].p = realloc(held[i].p, n);
			asked += held[i].n = n;
			usable += malloc_usable_size(held[i].p);
			most_usable = usable > most_usable ? usable : most_usable;
			break;
		default:
			hold(i, malloc(n), n);
		}
	}
	return arg;
}

static void *_Atomic slot[1024];

/* Each block is freed by whoever comes by its slot next. */
static void *exchange(void *arg)
{
	unsigned x = (unsigned)(size_t)arg;

	for (int k = 0; k < 100000; k++) {
		unsigned i = (x = x * 1103515245u + 12345u) >> 8 & 1023;
		size_t n = (x >> 4) % (k % 500 == 0 ? 200000u : 3000u);
		void *p = k % 3 != 0 ? malloc(n) : realloc(malloc(n / 2), n + 1);

		free(atomic_exchange(&slot[i], p));
	}
	return NULL;
}

/* Leaves nothing behind but what libc keeps of its threads. */
static void exchange_all(void)
{
	pthread_t thread[WORKERS];

	for (size_t i = 0; i < WORKERS; i++)
		if (pthread_create(&thread[i], NULL, exchange, (void *)(i + 1)) != 0)
			exit(1);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < 1024; i++)
		free(atomic_exchange(&slot[i], NULL));
}

/* An arena with blocks of all kinds, which goes as a whole. */
static void arena_comes_and_goes(void)
{
	void *(*create)(void) = (void *(*)(void))dlsym(RTLD_DEFAULT, "arena_create");
	void *(*get)(void *, size_t) = (void *(*)(void *, size_t))dlsym(RTLD_DEFAULT, "arena_malloc");
	void (*destroy)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "arena_destroy");
	void *arena = create != NULL && get != NULL && destroy != NULL ? create() : NULL;

	if (arena == NULL)
		exit(1);
	for (size_t i = 0; i < 6000; i++)
		if (get(arena, i < 5980 ? i % 3000 : 200001 * (i - 5979)) == NULL)
			exit(1);
	destroy(arena);
}

static void requests(void)
{
	struct figures f;
	pthread_t thread;

	exchange_all();
	f = figures();
	printf("before live %ju recorded %ju internal %ju\n", f.live, f.recorded, f.internal);
	exchange_all();
	arena_comes_and_goes();
	request(NULL);
	if (pthread_create(&thread, NULL, request, NULL) != 0)
		exit(1);
	pthread_join(thread, NULL);
	f = figures();
	printf("after live %ju recorded %ju internal %ju\n", f.live, f.recorded, f.internal);
	printf("peak live %ju heaps %ju\n", f.peak_live, f.heaps);
	printf("own asked %zu usable %zu most %zu\n", asked, usable, most_usable);
}

static void *busy(void *arg)
{
	static _Thread_local void *block[4096];
	unsigned x = (unsigned)(size_t)arg;

	for (;;) {
		unsigned i = (x = x * 1103515245u + 12345u) >> 8 & 4095;

		free(block[i]);
		block[i] = malloc(1 + (x >> 4) % (i == 0 ? 6000000 : 3000));
		*(char *)block[i] = 1;
	}
	return NULL;
}

static void churn(long n)
{
	static void *block[1024];
	struct timespec a, b;
	unsigned x = 1;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (long k = 0; k < n; k++) {
		unsigned i = (x = x * 1103515245u + 12345u) >> 8 & 1023;

		free(block[i]);
		block[i] = malloc(1 + (x >> 4) % 2000);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.6f\n", (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	fflush(stdout);
}

static void a_little(void)
{
	void *block[3000];

	for (int i = 0; i < 3000; i++)
		block[i] = malloc(2000);
	for (int i = 0; i < 3000; i++)
		free(block[i]);
}

int main(int argc, char **argv)
{
	static char line[64], out[4096], in[4096];
	const char *what = argc > 1 ? argv[1] : "";
	pthread_t thread;

	setvbuf(stdout, out, _IOFBF, sizeof out);
	setvbuf(stdin, in, _IOFBF, sizeof in);
	if (strcmp(what, "known") == 0)
		known();
	else if (strcmp(what, "small") == 0)
		small_heap();
	else if (strcmp(what, "puzzle") == 0)
		written(400u << 20, 200u << 20);
	else if (strcmp(what, "sparse") == 0)
		sparse();
	else if ((strcmp(what, "bulk") == 0 || strcmp(what, "churn") == 0) && argc > 2)
		bulk(atol(argv[2]));
	else if (strcmp(what, "two") == 0 && argc > 2)
		two(argv[2]);
	else if (strcmp(what, "far") == 0)
		far();
	else if (strcmp(what, "own") == 0)
		own();
	else if (strcmp(what, "requests") == 0)
		requests();
	else if (strcmp(what, "dirty") == 0)
		dirty();
	else if (strcmp(what, "starters") == 0)
		written(40, 40);
	puts("ready");
	fflush(stdout);
	if (strcmp(what, "busy") == 0) {
		pthread_create(&thread, NULL, busy, (void *)1);
		busy((void *)2);
	}
	if (argc > 2 && strcmp(what, "exit") == 0) {
		written(1000, 1000);
		_exit(atoi(argv[2]));
	}
	while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "quit\n") != 0) {
		if (strcmp(what, "churn") == 0)
			churn(atol(line));
		else if (strcmp(what, "starters") == 0)
			starters();
		else
			a_little();
	}
	return 0;
}
