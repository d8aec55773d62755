/* SPDX-License-Identifier: MIT
 *
 * stress.c - all that threads can do to each other, for so many seconds: blocks change hands through
 * a table, threads end and others begin, heaps are trimmed and read, children are forked in the
 * midst.  Each block says what it holds.  Linked with yield.c.
 *
 *   stress SECONDS
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arena/amalloc.h"

enum { THREADS = 6, SLOTS = 512, CALLS_PER_THREAD = 5000, CHILD_CALLS = 300 };

struct block {
	size_t n;
	uint8_t mark;
	uint8_t bytes[];
};

static struct block *_Atomic slot[SLOTS];
static _Atomic bool stop;
static _Atomic unsigned long calls, threads, forks;
unsigned long yield_points(void);

static void fail(const char *what, const void *p)
{
	fprintf(stderr, "stress: %s at %p\n", what, p);
	abort();
}

static uint64_t next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Small ones mostly; of 16 one is to 32 KiB, of 256 one large or huge. */
static size_t size_of(uint64_t x)
{
	size_t r = x >> 16;

	if (x % 256 == 0)
		return r % (3 << 20);
	return x % 16 == 0 ? r % 40000 : x % 2 ? r % 64 : r % 1024;
}

static struct block *make(uint64_t x)
{
	size_t n = size_of(x);
	struct block *b = x % 7 == 0 ? acalloc(1, sizeof *b + n) :
			  x % 11 == 0 ? amemalign(64, sizeof *b + n) : amalloc(sizeof *b + n);

	if (b == NULL)
		fail("no memory", NULL);
	if (x % 7 == 0 && n > 0 && b->bytes[n / 2] != 0)
		fail("calloc is not zero", b);
	b->n = n;
	b->mark = (uint8_t)(x >> 8 | 1);
	for (size_t i = 0; i < n; i += i < 128 ? 1 : 4096)
		b->bytes[i] = b->mark;
	if (n > 0)
		b->bytes[n - 1] = b->mark;
	return b;
}

static void look(const struct block *b)
{
	for (size_t i = 0; i < b->n; i += i < 128 ? 1 : 4096)
		if (b->bytes[i] != b->mark)
			fail("lost contents", b);
	if (b->n > 0 && b->bytes[b->n - 1] != b->mark)
		fail("lost the end", b);
	if (amalloc_usable_size(b) < sizeof *b + b->n)
		fail("too small", b);
}

static void play(uint64_t *s, int n)
{
	for (int i = 0; i < n; i++) {
		uint64_t x = next(s);
		struct block *b = make(x);

		if (x % 13 == 0) {
			b = arealloc(b, sizeof *b + b->n + 100);
			if (b == NULL)
				fail("no memory", NULL);
		}
		b = atomic_exchange(&slot[x / 1024 % SLOTS], b);
		if (b != NULL) {
			look(b);
			afree(b);
		}
	}
}

static void arena(uint64_t *s)
{
	struct arena *a = arena_create();

	if (a == NULL)
		fail("no arena", NULL);
	for (int i = 0; i < 20; i++) {
		void *p = arena_malloc(a, size_of(next(s)));

		if (p == NULL || arena_of(p) != a)
			fail("arena", p);
		if (i % 3 == 0)
			afree(p);
	}
	arena_destroy(a);
}

static void child(uint64_t s)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(20);
		play(&s, CHILD_CALLS);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		fail("a child failed", NULL);
	forks++;
}

static void *worker(void *arg)
{
	uint64_t s = (uintptr_t)arg * 0x9e3779b97f4a7c15u + 1;
	struct amalloc_stats st;

	for (int done = 0; done < CALLS_PER_THREAD && !stop; done += 100) {
		play(&s, 100);
		calls += 100;
		if (next(&s) % 8 == 0)
			amalloc_trim(s % 2 ? 0 : 1 << 20);
		if (next(&s) % 8 == 0)
			amalloc_stats(&st, sizeof st);
		if (next(&s) % 8 == 0)
			arena(&s);
		if (next(&s) % 32 == 0)
			child(s);
	}
	threads++;
	return NULL;
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 10;
	time_t end = time(NULL) + seconds;
	pthread_t t[THREADS];
	struct amalloc_stats st;
	uintptr_t number = (uintptr_t)getenv("YIELD_SEED") ? strtoul(getenv("YIELD_SEED"), NULL, 10) : 1;

	number *= 1000000;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, worker, (void *)++number) != 0)
			fail("no thread", NULL);
	for (int i = 0; time(NULL) < end; i = (i + 1) % THREADS) {
		pthread_join(t[i], NULL);
		if (pthread_create(&t[i], NULL, worker, (void *)++number) != 0)
			fail("no thread", NULL);
	}
	stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		if (slot[i] != NULL) {
			look(slot[i]);
			afree(slot[i]);
		}
	amalloc_trim(0);
	if (amalloc_stats(&st, sizeof st) != 0 || st.live != 0)
		fail("live at the end", (void *)(uintptr_t)st.live);
	printf("ok 1 - %lu calls by %lu threads, %lu forks, %lu points, nothing lost\n1..1\n", calls,
	       threads, forks, yield_points());
	return 0;
}
