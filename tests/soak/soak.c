/* SPDX-License-Identifier: MIT
 *
 * soak.c - eight hours of a busy server in some minutes: 864 million calls of malloc, free and
 * realloc (8 h at 30,000 a second), in CYCLES days.  A day has a plain part, a burst that goes again,
 * and a night in which half of the blocks are given back.
 *
 * A leak is memory that is not in use and that nobody can have back.  Four rows look for it:
 *   lost      bytes that the allocator takes to be in blocks, less those of the program's own blocks by
 *             malloc_usable_size.  The same number each day, to a few blocks of stdio's.
 *   held      what is resident after malloc_trim, less the program's blocks: fragmentation, metadata,
 *             and pages that are nobody's.  A forked child trims and tells; the program goes on as it is.
 *   metadata  the allocator's own, after the same malloc_trim.
 *   free      what that malloc_trim gave back: what may be kept for the next burst has a bound.
 * The plain resident set says less: with what is kept for the next burst it swings by a tenth between
 * days.  held swings by a fiftieth, and wanders for ten days at a time; metadata goes up in steps, with
 * the most runs that ever were.  So for these the medians of two fifths of the days are compared, and a
 * growth of more than GROWTH percent of the resident set (of the metadata) in eight hours is not yet a
 * failure but a doubt: the program goes on for eight hours more, three times at most, and the rate over all
 * that time is judged.  What wanders or ages has a lower one then; a leak has the same.
 * SOAK_LEAK=N proves it: every Nth call a block of 64 bytes is never freed, and counts as the program's
 * own for "lost" if SOAK_HIDE is set, so that the other rows can be seen to fail alone.
 *
 *   soak mixed     four threads, one block in eight changes hands
 *   soak churn     the same, but all threads end each day, and each day has 64 short ones more
 *   soak fork      the same as mixed, and eight children are forked in the midst of each day; every
 *                  tenth day the process itself goes on as its own child (its threads are gone)
 *
 * Any malloc serves: the library is preloaded, so that others can be compared.  SOAK_CALLS: how many
 * calls in all; with a third of 864 million the heaps are still ageing in the second fifth.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arena/amalloc.h"

enum { THREADS = 4, SLOTS = 20000, SHARED = 4096, CYCLES = 60, SHORT = 64, CHILDREN = 8 };
/* Eight hours, and what a doubt adds. */
enum { DAYS = 4 * CYCLES };
#define CALLS 864e6
/* Percent, of the resident set or of the metadata in the second fifth, in CYCLES * 3 / 5 days. */
#define GROWTH 2.0
/* MiB: streams get their buffers, and no more. */
#define LOST (16.0 / 1024)
/* MiB: 63 that libarena keeps where they are wanted again and again, an eighth of what is used, and a
 * bit for each heap (src/promise.h). */
#define FREE 80.0

struct table {
	unsigned char *p[SLOTS];
	uint64_t random;
};
static struct table *table; /* by thread, in memory of mmap's kind: it outlives the threads */
static unsigned char *_Atomic shared[SHARED];
static enum { MIXED, CHURN, FORK } mode;
static double resident[DAYS], trimmed[DAYS], held[DAYS], lost[DAYS], metadata[DAYS];
static long calls_per_day, leak;
static bool hide;
static atomic_long leaked;

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static size_t size_of(uint64_t x)
{
	size_t r = x >> 40;

	if (x % 4096 == 0)
		return 32768 + r % (256 << 10);
	if (x % 64 == 0)
		return 1024 + r % 16384;
	return 8 + (x % 4 == 0 ? r % 1024 : r % 120);
}

static unsigned char *make(uint64_t x)
{
	size_t n = size_of(x);
	unsigned char *p = malloc(n);

	if (p == NULL) {
		fprintf(stderr, "soak: no memory\n");
		_exit(1);
	}
	p[0] = p[n - 1] = 1;
	return p;
}

static void day(struct table *t, long calls)
{
	enum { BURST = 5000 };
	unsigned char *burst[BURST];

	for (long i = 0; i < calls; i++) {
		uint64_t x = next(&t->random);
		unsigned char **s = &t->p[(x >> 20) % SLOTS];

		if (leak != 0 && i % leak == 0) {
			*(volatile unsigned char *)malloc(64) = 1;
			atomic_fetch_add(&leaked, 64);
		}
		if (x % 8 == 0)
			*s = atomic_exchange(&shared[(x >> 8) % SHARED], *s);
		if (x % 16 == 1 && *s != NULL) {
			*s = realloc(*s, size_of(x));
			(*s)[0] = 2;
			continue;
		}
		free(*s);
		*s = make(x);
		if (i % (calls / 8 + 1) == 0) {
			for (int k = 0; k < BURST; k++)
				burst[k] = make(next(&t->random));
			for (int k = 0; k < BURST; k++)
				free(burst[k]);
		}
	}
}

static void night(struct table *t)
{
	for (unsigned i = 0; i < SLOTS; i += 2) {
		free(t->p[i]);
		t->p[i] = NULL;
	}
	for (unsigned i = 0; i < SLOTS; i += 2)
		t->p[i] = make(next(&t->random));
}

static pthread_barrier_t begin, end;
static bool last;

static void *one_day(void *arg)
{
	day(arg, calls_per_day / THREADS);
	night(arg);
	return NULL;
}

static void *all_days(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&begin);
		if (last)
			return NULL;
		one_day(arg);
		pthread_barrier_wait(&end);
	}
}

static void *short_one(void *arg)
{
	uint64_t s = (uintptr_t)arg * 77 + 1;

	for (int i = 0; i < 500; i++) {
		uint64_t x = next(&s);

		free(atomic_exchange(&shared[x % SHARED], make(x)));
	}
	return NULL;
}

static void child_of(int cycle)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		alarm(60);
		for (uintptr_t i = 0; i < 4; i++)
			short_one((void *)(i + (unsigned)cycle));
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "soak: a child ended with %d\n", status);
		_exit(1);
	}
}

/* The child goes on; the parent only waits for it. */
static void go_on_as_child(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, 9);
		return;
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		_exit(1);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* MiB that are resident now. */
static double resident_now(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size, pages;

	if (f == NULL || fscanf(f, "%lu %lu", &size, &pages) != 2)
		_exit(1);
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

struct after_trim {
	double resident, metadata;
};

/* What would be after malloc_trim, in MiB; asked of a child, so that the program goes on untrimmed. */
static struct after_trim ask_child(int (*stats)(struct amalloc_stats *, size_t))
{
	struct after_trim t = {0};
	struct amalloc_stats s = {0};
	int fd[2], status;
	pid_t pid;

	if (pipe(fd) != 0 || (pid = fork()) < 0)
		_exit(1);
	if (pid == 0) {
		alarm(60);
		malloc_trim(0);
		if (stats != NULL)
			stats(&s, sizeof s);
		t.resident = resident_now();
		t.metadata = (double)s.metadata / 1048576;
		_exit(write(fd[1], &t, sizeof t) != sizeof t);
	}
	close(fd[1]);
	if (read(fd[0], &t, sizeof t) != sizeof t || waitpid(pid, &status, 0) != pid) {
		fprintf(stderr, "soak: the child that trims says nothing\n");
		_exit(1);
	}
	close(fd[0]);
	return t;
}

/* MiB in blocks of the program, by the allocator's own word. */
static double live_now(void)
{
	double sum = 0;

	for (int i = 0; i < THREADS; i++)
		for (int k = 0; k < SLOTS; k++)
			sum += (double)malloc_usable_size(table[i].p[k]);
	for (int i = 0; i < SHARED; i++)
		sum += (double)malloc_usable_size(shared[i]);
	return sum / 1048576;
}

static void note(int day)
{
	int (*stats)(struct amalloc_stats *, size_t) =
		(int (*)(struct amalloc_stats *, size_t))dlsym(RTLD_DEFAULT, "amalloc_stats");
	double live = live_now();
	struct amalloc_stats s = {0};
	struct after_trim t = ask_child(stats);

	if (stats != NULL)
		stats(&s, sizeof s);
	resident[day] = resident_now();
	trimmed[day] = t.resident;
	held[day] = t.resident - live;
	metadata[day] = t.metadata;
	lost[day] = stats != NULL ? (double)s.live / 1048576 - live : 0;
	if (hide)
		lost[day] -= (double)atomic_load(&leaked) / 1048576;
}

static void run_day(pthread_t *t, bool begun)
{
	if (!begun)
		for (uintptr_t i = 0; i < THREADS; i++)
			pthread_create(&t[i], NULL, mode == CHURN ? one_day : all_days, &table[i]);
	if (mode != CHURN) {
		pthread_barrier_wait(&begin);
		for (int i = 0; mode == FORK && i < CHILDREN; i++)
			child_of(i);
		pthread_barrier_wait(&end);
		return;
	}
	for (uintptr_t i = 0; i < SHORT; i++) {
		pthread_t s;

		pthread_create(&s, NULL, short_one, (void *)i);
		pthread_join(s, NULL);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of CYCLES / 5 days. */
static double median(const double *x)
{
	enum { N = CYCLES / 5 };
	double sorted[N];

	memcpy(sorted, x, sizeof sorted);
	qsort(sorted, N, sizeof *sorted, compare);
	return (sorted[N / 2 - 1] + sorted[N / 2]) / 2;
}

/* How fast x has grown from the second fifth of the first CYCLES days until the last of all days, in
 * percent of base then, for each CYCLES * 3 / 5 days, which is what lies between them in CYCLES days. */
static double rate(const double *x, const double *base, int days)
{
	enum { EARLY = CYCLES / 5, FIFTH = CYCLES / 5 };
	double growth = median(x + days - FIFTH) - median(x + EARLY), whole = median(base + EARLY);

	return whole > 0 ? growth / whole * 100 * (3 * FIFTH) / (days - FIFTH - EARLY) : 0;
}

static int rate_row(int n, const char *what, const double *x, const double *base, int days)
{
	double r = rate(x, base, days);

	printf("%s %d - %s: %.2f MiB in the second fifth, %.2f in the last of %d days: %+.2f%% in eight hours\n",
	       r < GROWTH ? "ok" : "not ok", n, what, median(x + CYCLES / 5),
	       median(x + days - CYCLES / 5), days, r);
	return r < GROWTH ? 0 : 1;
}

static int lost_row(int n, int days)
{
	double growth = lost[days - 1] - lost[CYCLES / 5];

	printf("%s %d - lost: %+.0f bytes\n", growth < LOST ? "ok" : "not ok", n, growth * 1048576);
	return growth < LOST ? 0 : 1;
}

static int free_row(int n, int days)
{
	double most = 0;

	for (int i = 0; i < days; i++)
		if (resident[i] - trimmed[i] > most)
			most = resident[i] - trimmed[i];
	printf("%s %d - free: at most %.2f MiB at the end of a day\n", most < FREE ? "ok" : "not ok", n, most);
	return most < FREE ? 0 : 1;
}

/* At the end of each CYCLES days: all is said, or there is a doubt and it is worth going on. */
static bool enough(int days)
{
	if (days % CYCLES != 0)
		return false;
	return days == DAYS || lost[days - 1] - lost[CYCLES / 5] >= LOST ||
	       (rate(held, trimmed, days) < GROWTH && rate(metadata, metadata, days) < GROWTH);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "mixed", *calls = getenv("SOAK_CALLS");
	pthread_t t[THREADS];
	bool begun = false;
	time_t start = time(NULL);
	int bad, days = 0;

	mode = strcmp(name, "churn") == 0 ? CHURN : strcmp(name, "fork") == 0 ? FORK : MIXED;
	calls_per_day = (long)((calls != NULL ? atof(calls) : CALLS) / CYCLES);
	leak = getenv("SOAK_LEAK") != NULL ? atol(getenv("SOAK_LEAK")) : 0;
	hide = getenv("SOAK_HIDE") != NULL;
	table = calloc(THREADS, sizeof *table);
	for (int i = 0; i < THREADS; i++)
		table[i].random = 12345 + (unsigned)i;
	pthread_barrier_init(&begin, NULL, THREADS + 1);
	pthread_barrier_init(&end, NULL, THREADS + 1);
	do {
		run_day(t, begun);
		begun = mode != CHURN;
		note(days++);
		if (mode == FORK && days % 10 == 0) {
			go_on_as_child();
			pthread_barrier_init(&begin, NULL, THREADS + 1);
			pthread_barrier_init(&end, NULL, THREADS + 1);
			begun = false;
		}
	} while (!enough(days));
	printf("# %s: %.0f million calls in %d days, %ld seconds\n", name,
	       (double)calls_per_day * days / 1e6, days, (long)(time(NULL) - start));
	printf("# day: MiB resident, held, of metadata\n");
	for (int i = 4; i < days; i += days / 12)
		printf("# %2d: %.2f %.2f %.3f\n", i + 1, resident[i], held[i], metadata[i]);
	bad = lost_row(1, days);
	bad += rate_row(2, "held", held, trimmed, days);
	bad += rate_row(3, "metadata", metadata, metadata, days);
	bad += free_row(4, days);
	puts("1..4");
	fflush(stdout);
	return bad;
}
