/* SPDX-License-Identifier: MIT
 *
 * probe.h - what every probe of this directory shares.
 *
 * PROBE_LIB in the environment names the library that must serve malloc (empty: libc).
 * prove_library() ends the program with 99 if another one does: a probe that tests the wrong
 * allocator is worse than none.  A probe leaves with 0 (good), 77 (cannot be tried here) or
 * with 1 and one line that says what went wrong.
 */
#ifndef PROBE_H
#define PROBE_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_SKIP 77
#define PROBE_WRONG_LIBRARY 99

#define CHECK(cond, ...) \
	do { \
		if (!(cond)) { \
			probe_complain(__FILE__, __LINE__, #cond, __VA_ARGS__); \
			_exit(1); \
		} \
	} while (0)

/* dprintf on glibc may allocate; a buffer on the stack and write(2) cannot. */
#define probe_complain(file, line, cond, ...) \
	do { \
		char text_[256], more_[160]; \
		int len_; \
		snprintf(more_, sizeof more_, __VA_ARGS__); \
		len_ = snprintf(text_, sizeof text_, "%s:%d: %s: %s\n", \
				strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, cond, \
				more_); \
		if (write(2, text_, (size_t)len_) < 0) \
			_exit(98); \
	} while (0)

/* gcc may drop a malloc whose result it can follow to its free. */
static inline void *keep(void *p)
{
	__asm__ volatile("" : "+r"(p) : : "memory");
	return p;
}

static inline void prove_library(void)
{
	const char *want = getenv("PROBE_LIB");
	void *(*volatile fn)(size_t) = malloc;
	Dl_info info;
	char real[4096];

	if (want == NULL || *want == '\0')
		want = NULL;
	if (!dladdr((void *)fn, &info) || info.dli_fname == NULL)
		_exit(PROBE_WRONG_LIBRARY);
	if (realpath(info.dli_fname, real) == NULL)
		_exit(PROBE_WRONG_LIBRARY);
	if (want ? strcmp(want, real) != 0 : strstr(real, "/libc.so") == NULL) {
		fprintf(stderr, "malloc is served by %s, not by %s\n", real, want ? want : "libc");
		_exit(PROBE_WRONG_LIBRARY);
	}
}

struct probe {
	const char *name;
	int (*run)(int argc, char **argv);
};

/* Every probe file has a table of these and hands it here. */
static inline int probe_main(const struct probe *table, int argc, char **argv)
{
	prove_library();
	for (; table->name != NULL; table++)
		if (argc > 1 && strcmp(argv[1], table->name) == 0)
			return table->run(argc - 1, argv + 1);
	fprintf(stderr, "no such probe\n");
	return 2;
}

/* Deterministic sizes: small ones mostly, each 16th up to 64 KiB, each 256th up to 2 MiB. */
static inline size_t probe_size(unsigned *seed)
{
	unsigned x = *seed = *seed * 1103515245u + 12345u;

	x >>= 8;
	if (x % 256 == 0)
		return 1 + (x >> 4) % (2u << 20);
	if (x % 16 == 0)
		return 1 + (x >> 4) % (64u << 10);
	return 1 + (x >> 4) % 512;
}

/* One mixed round: fill, check, grow, free.  Returns the number of refused allocations. */
#define PROBE_SLOTS 256 /* enough to mix classes, few enough to stay below 64 MiB */
static inline int probe_churn(unsigned seed, int rounds)
{
	unsigned char *slot[PROBE_SLOTS] = { NULL };
	size_t size[PROBE_SLOTS] = { 0 };
	int refused = 0;

	for (int r = 0; r < rounds; r++) {
		unsigned i = (seed >> 16) % PROBE_SLOTS;
		size_t n = probe_size(&seed);

		if (slot[i] != NULL) {
			CHECK(slot[i][0] == (unsigned char)i && slot[i][size[i] - 1] == (unsigned char)i,
			      "block of %zu bytes lost its contents", size[i]);
			if (n & 1) {
				unsigned char *p = realloc(slot[i], n);

				if (p == NULL) {
					refused++;
					continue;
				}
				slot[i] = p;
			} else {
				free(slot[i]);
				slot[i] = malloc(n);
			}
		} else {
			slot[i] = n & 2 ? calloc(1, n) : malloc(n);
			if (slot[i] != NULL && (n & 2))
				CHECK(slot[i][n / 2] == 0, "calloc(%zu) not zero", n);
		}
		if (slot[i] == NULL) {
			refused++;
			continue;
		}
		size[i] = n;
		slot[i][0] = slot[i][n - 1] = (unsigned char)i;
	}
	for (unsigned i = 0; i < PROBE_SLOTS; i++)
		free(slot[i]);
	return refused;
}

#endif
