/* SPDX-License-Identifier: MIT
 *
 * inject.c - the self-checking workload that the runner puts under strace: once to list the
 * system calls after start-up, and many times with an injected failure of mmap, munmap,
 * mprotect, madvise or mremap.  It writes COMPAT-MARK to descriptor -1 when start-up is over.
 * Allocation may fail, but with ENOMEM; contents may not be lost; the process may not end.
 */
#include "probe.h"

#include <sys/resource.h>

#define MIB (1u << 20)

static void mark(void)
{
	/* Descriptor -1: strace sees it, the outside world does not. */
	if (write(-1, "COMPAT-MARK", 11) == 0)
		_exit(98);
}

static char *take(size_t n)
{
	char *p;

	errno = 0;
	p = keep(malloc(n));
	CHECK(p != NULL || errno == ENOMEM, "errno %d", errno);
	if (p != NULL)
		p[0] = p[n - 1] = 't';
	return p;
}

/* Enough in every size class to make new chunks, and large ones to map, grow and unmap. */
static void sizes_up_and_down(void)
{
	enum { COUNT = 3000 };
	static char *small[COUNT];

	for (size_t n = 16; n <= 65536; n *= 4) {
		int count = (int)(n <= 4096 ? COUNT : (size_t)COUNT * 4096 / n);

		for (int i = 0; i < count; i++)
			small[i] = take(n);
		for (int i = 0; i < count; i++) {
			CHECK(small[i] == NULL || (small[i][0] == 't' && small[i][n - 1] == 't'),
			      "contents lost");
			free(small[i]);
		}
	}
}

static void large(void)
{
	char *p = take(300 << 10);
	size_t n = 300 << 10;

	for (; p != NULL && n < 40 * MIB; n = n * 3 / 2) {
		char *q;

		errno = 0;
		q = realloc(p, n * 3 / 2);
		CHECK(q != NULL || errno == ENOMEM, "errno %d", errno);
		if (q == NULL)
			break;
		p = q;
		CHECK(p[0] == 't' && p[n - 1] == 't', "contents lost in realloc");
		p[n * 3 / 2 - 1] = 't';
	}
	if (p != NULL) {
		char *q = realloc(p, 100 << 10);

		p = q ? q : p;
		CHECK(p[0] == 't', "contents lost in shrinking realloc");
	}
	free(p);
	for (size_t align = 64; align <= 4 * MIB; align *= 16) {
		void *a = NULL;
		int error = posix_memalign(&a, align, 5000);

		CHECK(error == ENOMEM || (error == 0 && (uintptr_t)a % align == 0), "%d", error);
		if (error == 0)
			memset(a, 1, 5000);
		if (error == 0)
			free(a);
		a = calloc(5, MIB);
		for (size_t i = 0; a != NULL && i < 5 * MIB; i += 4096)
			CHECK(((char *)a)[i] == 0, "calloc not zero");
		if (a != NULL)
			memset(a, 1, 5 * MIB);
		free(a);
	}
}

static void *thread(void *arg)
{
	probe_churn((unsigned)(uintptr_t)arg, 10000);
	return NULL;
}

static void threads(void)
{
	pthread_t t[3];
	bool made[3];

	for (uintptr_t i = 0; i < 3; i++)
		made[i] = pthread_create(&t[i], NULL, thread, (void *)i) == 0;
	for (int i = 0; i < 3; i++)
		if (made[i])
			pthread_join(t[i], NULL);
}

/*
 * What could not be unmapped has to be used again: 40 x 8 MiB, touched, in 256 MiB at most.
 * A library that drops the range on a refused munmap needs more than 320.
 */
static void stay_small(void)
{
	struct rusage use;

	for (int i = 0; i < 40; i++) {
		char *p = take(8 * MIB + (size_t)i * 4096);

		if (p != NULL)
			memset(p, 's', 8 * MIB);
		free(p);
	}
	getrusage(RUSAGE_SELF, &use);
	CHECK(use.ru_maxrss < 256 * 1024, "%ld MiB resident", use.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
	bool with_threads = argc > 1 && strcmp(argv[1], "threads") == 0;

	prove_library();
	/* A little of everything is start-up: the first thread, the first large block. */
	free(take(100));
	threads();
	mark();
	sizes_up_and_down();
	large();
	for (unsigned i = 0; i < 3; i++)
		probe_churn(i, 10000);
	if (with_threads)
		threads();
	else
		stay_small();
	return 0;
}
