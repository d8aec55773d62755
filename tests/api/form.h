/* SPDX-License-Identifier: MIT
 *
 * form.h - the malloc family as the API tests see it: a table of pointers.
 *
 * The same tests run in three forms: against the prefixed names (FORM_PREFIXED), linked with the
 * override library (FORM_OVERRIDE), and as a plain program that knows only libc's names and is run
 * under LD_PRELOAD (neither macro).  Only form.c differs between them.  Calling through a table in
 * another file also keeps the compiler from folding, pairing or dropping any call.
 * A member is NULL where the form has no such function; tests skip those rows aloud.
 */
#ifndef TESTS_API_FORM_H
#define TESTS_API_FORM_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <arena/amalloc.h>

#include "../lib/tap.h"

/* The sanitizer's runtime has a malloc and locks of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct form {
	const char *name;
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*reallocarray)(void *, size_t, size_t);
	void (*free)(void *);
	void (*cfree)(void *);
	void (*free_sized)(void *, size_t);
	void (*free_aligned_sized)(void *, size_t, size_t);
	void *(*memalign)(size_t, size_t);
	void *(*aligned_alloc)(size_t, size_t);
	int (*posix_memalign)(void **, size_t, size_t);
	void *(*valloc)(size_t);
	void *(*pvalloc)(size_t);
	size_t (*usable_size)(const void *);
	size_t (*good_size)(size_t);
	int (*trim)(size_t);
	int (*mallopt)(int, int);
	void (*print_stats)(void);
	int (*info)(int, FILE *);
	struct amallinfo (*mallinfo2)(void);
	struct amallinfo (*mallinfo)(void); /* the int one, sign removed */
	int (*stats)(struct amalloc_stats *, size_t);
	const char *(*version)(void);
	struct arena *(*arena_create)(void);
	void (*arena_destroy)(struct arena *);
	void *(*arena_malloc)(struct arena *, size_t);
	void *(*arena_calloc)(struct arena *, size_t, size_t);
	void *(*arena_memalign)(struct arena *, size_t, size_t);
	struct arena *(*arena_of)(const void *);
	size_t (*arena_live)(const struct arena *);
};

extern struct form F;

/* Fills F; before anything else, also from constructors. */
void form_init(void);

/* True when libarena serves (F.version exists): rows where libarena promises more than glibc. */
int form_is_arena(void);

/* Row: F.malloc and friends come from the library that ARENA_TEST_LIB names. */
void form_prove(void);

/* ---- patterns (patterns.c) ---------------------------------------------------------------- */

/* Writes bytes [FROM, TO) of BLOCK with a pattern that depends on SEED and on the offset. */
void pattern_fill(void *block, size_t from, size_t to, uint64_t seed);

/* Returns 1 when bytes [FROM, TO) still hold the pattern. */
int pattern_holds(const void *block, size_t from, size_t to, uint64_t seed);

int all_bytes_are(const void *block, size_t size, unsigned char byte);

/* A small fast generator of its own (xorshift), so that runs repeat exactly. */
uint64_t random_next(uint64_t *state);

/* A size like programs ask: mostly small, some large.  Up to 1 MiB. */
size_t random_size(uint64_t *state);

/* Bytes of physical memory of this process (VmRSS), without allocating. */
size_t resident_bytes(void);

/* Runs BODY(ARG) in a forked child and returns its wait status; the child dies by SIGALRM after
 * SECONDS, so that a deadlock is a failed row and not a hung test. */
int in_child(int (*body)(void *), void *arg, unsigned seconds);

/* ---- the groups --------------------------------------------------------------------------- */
void test_basic(void);
void test_limits(void);
void test_align(void);
void test_sizes(void);
void test_heap(void);
void test_overlap(void);
void test_threads(void);
void test_thread_exit(void);
void test_fork(void);
void test_start_end(void);
void test_oom(void);
void test_arenas(void);

/* What `api --at-exit` does: see life.c. */
int start_end_child(void);

#endif
