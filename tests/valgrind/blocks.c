/* SPDX-License-Identifier: MIT
 *
 * blocks.c - what memcheck.sh runs under memcheck: one mistake, named by the argument, or none.
 * Compiled without optimisation, linked with the prefixed library.
 */
#include <arena/amalloc.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void *volatile kept; /* reachable for ever */
static volatile char seen;

/* Blocks of all three kinds.  Afterwards the tcache of its class has many free regions, so that the
 * lost pointer is not overwritten in there. */
static void lose(void)
{
	void *many[20];

	for (int i = 0; i < 20; i++)
		many[i] = amalloc(123);
	for (int i = 1; i < 20; i++)
		afree(many[i]);
	memset(amalloc(50001), 1, 50001);
	memset(amalloc(5000001), 1, 5000001);
	memset(many, 0, sizeof many);
}

/* What `lose` had in its frame is gone. */
static void wipe_stack(void)
{
	char junk[4096];

	memset(junk, 0, sizeof junk);
	seen = junk[17];
}

static void use_after_free(size_t size)
{
	char *p = amalloc(size);

	memset(p, 1, size);
	afree(p);
	seen = p[3];
}

static void *work(void *arg)
{
	char *p = amalloc(40);

	memset(p, 1, 40);
	for (size_t n = 0; n < 2000; n++) {
		char *q = amalloc(n);

		memset(q, 1, n);
		afree(q);
	}
	(void)arg;
	return p;
}

static void threads(void)
{
	for (int round = 0; round < 3; round++) {
		pthread_t t[4];
		void *p;

		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, work, NULL);
		for (int i = 0; i < 4; i++) {
			pthread_join(t[i], &p);
			afree(p);
		}
	}
}

/* From 1 byte to 20 MB and back; contents, their definedness and the usable size follow. */
static int reallocs(void)
{
	size_t n = 1, bad = 0;
	char *p = amalloc(1);
	void *in_the_way[40];
	int steps = 0;

	p[0] = 'a';
	while (n < 20000000) {
		size_t old = n;

		n += n / 3 + 1;
		p = arealloc(p, n);
		memset(p + old, 'a', n - old);
		for (size_t i = 0; i < n; i += n / 50 + 1)
			bad += p[i] != 'a';
		/* A mapping behind it, so that it cannot always grow where it is. */
		if (n > 2000000)
			in_the_way[steps++] = amalloc(3000000);
	}
	for (; n > 10; n = n * 2 / 3) {
		p = arealloc(p, n);
		bad += p[n - 1] != 'a';
		bad += amalloc_usable_size(p) < n;
	}
	afree(p);
	while (steps > 0)
		afree(in_the_way[--steps]);
	return bad != 0;
}

static int callocs(void)
{
	static const size_t sizes[] = {30, 5000, 300000, 3000000};
	size_t bad = 0;

	/* Twice: the second time the memory was used before. */
	for (int i = 0; i < 8; i++) {
		size_t n = sizes[i % 4];
		char *p = acalloc(1, n);

		for (size_t k = 0; k < n; k++)
			bad += p[k] != 0;
		memset(p, 1, n);
		afree(p);
	}
	return bad != 0;
}

static void arenas(void)
{
	for (int round = 0; round < 2; round++) {
		struct arena *a = arena_create();

		for (size_t n = 0; n < 3000; n++) {
			char *p = arena_malloc(a, 3 * n);

			memset(p, 1, 3 * n);
			if (n % 3 == 0)
				afree(p);
		}
		kept = arena_malloc(a, 100000);
		kept = arena_malloc(a, 6000000);
		arena_destroy(a);
	}
}

static int clean(void)
{
	int bad = reallocs() | callocs();
	char *p = aaligned_alloc(4096, 100000);

	threads();
	arenas();
	memset(p, 1, 100000);
	afree_sized(p, 100000);
	afree_sized(amalloc(37), 37);
	afree(amalloc(0));
	amalloc_trim(0);
	kept = amalloc(77);
	return bad;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "clean";
	char *p;

	if (strcmp(what, "clean") == 0)
		return clean();
	p = amalloc(100);
	if (strcmp(what, "lose") == 0) {
		lose();
		wipe_stack();
	} else if (strcmp(what, "use-small") == 0) {
		use_after_free(64);
	} else if (strcmp(what, "use-large") == 0) {
		use_after_free(100000);
	} else if (strcmp(what, "use-huge") == 0) {
		use_after_free(6000000);
	} else if (strcmp(what, "beyond") == 0) {
		p[100] = 1; /* of a region of 112 */
	} else if (strcmp(what, "uninitialised") == 0) {
		if (p[50] != 0)
			seen = 1;
	} else if (strcmp(what, "free-twice") == 0) {
		afree(p);
		afree(p); /* a crime: ends here */
	} else {
		fprintf(stderr, "no such mistake: %s\n", what);
		return 2;
	}
	afree(p);
	return 0;
}
