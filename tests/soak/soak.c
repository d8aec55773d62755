/* SPDX-License-Identifier: MIT
 *
 * soak.c - eight hours of a busy server in some minutes: 864 million calls of malloc, free and
 * realloc (8 h at 30,000 a second), in CYCLES days.  A day has a plain part, a burst that goes again,
 * and a night in which half of the blocks are given back.  At the end of each day the resident set
 * and the allocator's own memory are noted; from the second fifth of the days to the last neither may
 * grow by more than GROWTH percent.
 *
 *   soak mixed     four threads, one block in eight changes hands
 *   soak churn     the same, but all threads end each day, and each day has 64 short ones more
 *   soak fork      the same as mixed, and eight children are forked in the midst of each day; every
 *                  tenth day the process itself goes on as its own child (its threads are gone)
 *
 * Any malloc serves: the library is preloaded, so that others can be compared.  SOAK_CALLS: how many
 * calls in all.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
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
#define CALLS 864e6
/* Of the second fifth of the days: noise of a heap of 100 MiB is below 1%. */
#define GROWTH 2.0

struct table {
	unsigned char *p[SLOTS];
	uint64_t random;
};
static struct table *table; /* by thread, in memory of mmap's kind: it outlives the threads */
static unsigned char *_Atomic shared[SHARED];
static enum { MIXED, CHURN, FORK } mode;
static double resident[CYCLES], metadata[CYCLES];
static long calls_per_day;

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

static void note(int cycle)
{
	int (*stats)(struct amalloc_stats *, size_t) =
		(int (*)(struct amalloc_stats *, size_t))dlsym(RTLD_DEFAULT, "amalloc_stats");
	struct amalloc_stats s = {0};
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long size, pages;

	if (f == NULL || fscanf(f, "%lu %lu", &size, &pages) != 2)
		_exit(1);
	fclose(f);
	if (stats != NULL)
		stats(&s, sizeof s);
	resident[cycle] = (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
	metadata[cycle] = (double)s.metadata / 1048576;
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

static double mean(const double *x, int from, int to)
{
	double sum = 0;

	for (int i = from; i < to; i++)
		sum += x[i];
	return sum / (to - from);
}

static int row(int n, const char *what, const double *x)
{
	double then = mean(x, CYCLES / 5, CYCLES * 2 / 5), now = mean(x, CYCLES * 4 / 5, CYCLES);
	double growth = then > 0 ? (now / then - 1) * 100 : 0;

	printf("%s %d - %s: %.2f MiB in the second fifth, %.2f in the last: %+.2f%%\n",
	       growth < GROWTH ? "ok" : "not ok", n, what, then, now, growth);
	return growth < GROWTH ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "mixed", *calls = getenv("SOAK_CALLS");
	pthread_t t[THREADS];
	bool begun = false;
	time_t start = time(NULL);
	int bad;

	mode = strcmp(name, "churn") == 0 ? CHURN : strcmp(name, "fork") == 0 ? FORK : MIXED;
	calls_per_day = (long)((calls != NULL ? atof(calls) : CALLS) / CYCLES);
	table = calloc(THREADS, sizeof *table);
	for (int i = 0; i < THREADS; i++)
		table[i].random = 12345 + (unsigned)i;
	pthread_barrier_init(&begin, NULL, THREADS + 1);
	pthread_barrier_init(&end, NULL, THREADS + 1);
	for (int i = 0; i < CYCLES; i++) {
		run_day(t, begun);
		begun = mode != CHURN;
		note(i);
		if (mode == FORK && i % 10 == 9) {
			go_on_as_child();
			pthread_barrier_init(&begin, NULL, THREADS + 1);
			pthread_barrier_init(&end, NULL, THREADS + 1);
			begun = false;
		}
	}
	printf("# %s: %.0f million calls in %d days, %ld seconds\n", name,
	       (double)calls_per_day * CYCLES / 1e6, CYCLES, (long)(time(NULL) - start));
	printf("# day: MiB resident, MiB of metadata\n");
	for (int i = 0; i < CYCLES; i += i + 5 < CYCLES ? 5 : CYCLES - 1 - i > 0 ? CYCLES - 1 - i : 1)
		printf("# %2d: %.2f %.3f\n", i + 1, resident[i], metadata[i]);
	bad = row(1, "resident set", resident);
	bad += row(2, "metadata", metadata);
	puts("1..2");
	fflush(stdout);
	return bad;
}
