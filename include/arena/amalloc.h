/* SPDX-License-Identifier: MIT
 *
 * amalloc.h - the prefixed API of libarena.
 *
 * Every function of the C library's malloc family has a twin here whose name begins with `a`.
 * The twins are in both libraries: libarena (which also replaces malloc itself) and
 * libarena-prefixed (which replaces nothing).  With libarena, amalloc() and malloc() are the same
 * allocator, and memory of one may be freed by the other.
 *
 * Conventions, unless a function says otherwise:
 *   sizes and alignments are in bytes; a size above PTRDIFF_MAX is refused with ENOMEM
 *   (glibc's limit); every block is aligned to 16 bytes (glibc, x86-64 psABI); a failure returns
 *   NULL and sets errno to ENOMEM (POSIX); functions that free keep errno (POSIX.1-2024).
 *   A pointer that did not come from here, or was freed before, is a crime: one line on stderr
 *   and abort().
 * Every function is safe to call from any thread at any time.
 */
#ifndef ARENA_AMALLOC_H
#define ARENA_AMALLOC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; amalloc_version() tells that of the library. */
#define AMALLOC_VERSION_MAJOR 0
#define AMALLOC_VERSION_MINOR 1
#define AMALLOC_VERSION_PATCH 0

#if defined(__GNUC__) || defined(__clang__)
#define AMALLOC_ATTR_(...) __attribute__((__VA_ARGS__))
#else
#define AMALLOC_ATTR_(...)
#endif

#if defined(__cplusplus)
#define AMALLOC_NOTHROW_ noexcept(true)
#else
#define AMALLOC_NOTHROW_ AMALLOC_ATTR_(nothrow)
#endif

/* malloc(dealloc, n) attributes exist since gcc 11; clang has only the plain one. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11
#define AMALLOC_FRESH_ AMALLOC_ATTR_(malloc, malloc(afree, 1))
#define AMALLOC_DEALLOC_ AMALLOC_ATTR_(malloc(afree, 1))
#else
#define AMALLOC_FRESH_ AMALLOC_ATTR_(malloc)
#define AMALLOC_DEALLOC_
#endif

#define AMALLOC_MUST_USE_ AMALLOC_ATTR_(warn_unused_result)

/* ---- freeing ------------------------------------------------------------------------------ */

/* C free: PTR is NULL or a live block of this allocator. */
void afree(void *ptr) AMALLOC_NOTHROW_;

/* C23 free_sized: SIZE is the size that was asked of amalloc, acalloc (product) or arealloc.
 * Another size is a crime. */
void afree_sized(void *ptr, size_t size) AMALLOC_NOTHROW_;

/* C23 free_aligned_sized: ALIGNMENT and SIZE are what was asked of aaligned_alloc. */
void afree_aligned_sized(void *ptr, size_t alignment, size_t size) AMALLOC_NOTHROW_;

/* glibc's obsolete cfree: the same as afree. */
void acfree(void *ptr) AMALLOC_NOTHROW_;

/* ---- allocating --------------------------------------------------------------------------- */

/* C malloc.  amalloc(0) returns a block of its own (glibc), never NULL but for ENOMEM. */
void *amalloc(size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_ AMALLOC_MUST_USE_
	AMALLOC_ATTR_(alloc_size(1));

/* C calloc: NMEMB * SIZE zeroed bytes; ENOMEM when the product overflows. */
void *acalloc(size_t nmemb, size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_ AMALLOC_MUST_USE_
	AMALLOC_ATTR_(alloc_size(1, 2));

/* C realloc as glibc has it: arealloc(NULL, n) is amalloc(n); arealloc(p, 0) frees p and returns
 * NULL.  On failure the old block stays as it was. */
void *arealloc(void *ptr, size_t size) AMALLOC_NOTHROW_ AMALLOC_DEALLOC_ AMALLOC_MUST_USE_
	AMALLOC_ATTR_(alloc_size(2));

/* reallocarray (OpenBSD, glibc 2.26): ENOMEM when NMEMB * SIZE overflows. */
void *areallocarray(void *ptr, size_t nmemb, size_t size) AMALLOC_NOTHROW_ AMALLOC_DEALLOC_
	AMALLOC_MUST_USE_ AMALLOC_ATTR_(alloc_size(2, 3));

/* glibc memalign: an ALIGNMENT that is no power of two is rounded up to one; one above
 * SIZE_MAX / 2 + 1 is EINVAL. */
void *amemalign(size_t alignment, size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_ AMALLOC_MUST_USE_
	AMALLOC_ATTR_(alloc_align(1), alloc_size(2));

/* C11 aligned_alloc with glibc 2.36's leniency: the same as amemalign. */
void *aaligned_alloc(size_t alignment, size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_
	AMALLOC_MUST_USE_ AMALLOC_ATTR_(alloc_align(1), alloc_size(2));

/* POSIX posix_memalign: returns 0, EINVAL (ALIGNMENT is no power of two times sizeof(void *)) or
 * ENOMEM; *OUT is written only on success; errno is ENOMEM too when memory runs out (glibc). */
int aposix_memalign(void **out, size_t alignment, size_t size) AMALLOC_NOTHROW_ AMALLOC_MUST_USE_
	AMALLOC_ATTR_(nonnull(1));

/* BSD valloc and SVID pvalloc: aligned to the OS page; apvalloc rounds SIZE up to OS pages. */
void *avalloc(size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_ AMALLOC_MUST_USE_
	AMALLOC_ATTR_(alloc_size(1));
void *apvalloc(size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_ AMALLOC_MUST_USE_;

/* ---- asking about blocks ------------------------------------------------------------------ */

/* glibc malloc_usable_size: the bytes of PTR's block that may be used, at least what was asked;
 * stable for the life of the block; 0 for NULL. */
size_t amalloc_usable_size(const void *ptr) AMALLOC_NOTHROW_;

/* The usable size that amalloc(SIZE) would give; 0 when SIZE is above PTRDIFF_MAX. */
size_t amalloc_good_size(size_t size) AMALLOC_NOTHROW_ AMALLOC_ATTR_(const);

/* ---- the heap as a whole ------------------------------------------------------------------ */

/* glibc malloc_trim: gives free memory back to the OS.  PAD bytes of free pages may stay.
 * Returns 1 if any memory was given back, else 0. */
int amalloc_trim(size_t pad) AMALLOC_NOTHROW_;

/* glibc mallopt: 1 if PARAM is known and VALUE acceptable, else 0.  See libarena(7). */
int amallopt(int param, int value) AMALLOC_NOTHROW_;

/* Memory of the process's heap, all in bytes.  resident-type figures count whole OS pages.
 *   live       regions handed out to the program
 *   cached     free regions held in thread caches (ready for malloc, owned by a thread)
 *   active     pages of runs and spans in use: active >= live + cached
 *   dirty      free pages that were written to and not yet given back
 *   metadata   the allocator's own memory
 *   mapped     address space held: mapped >= active + dirty + metadata
 *   active - live - cached is external fragmentation plus rounding of large blocks.
 * The counters are read without stopping other threads: each is exact at some instant of the
 * call, their sums may be off by what other threads do meanwhile. */
struct amalloc_stats {
	uint64_t live, cached, active, dirty, metadata, mapped;
	uint64_t peak_active, peak_mapped;
	uint64_t huge;          /* part of live and active: blocks with a mapping of their own */
	uint64_t large;         /* part of live and active: blocks that are page runs */
	uint64_t purged;        /* bytes given back by madvise since the start */
	uint64_t heaps;         /* thread heaps that exist */
	uint64_t heaps_parked;  /* of these, on the waiting queue */
	uint64_t chunks;        /* chunks that exist */
	uint64_t sized_delete_mismatches; /* sized operator delete with a wrong size, tolerated */
	uint64_t peak_live;     /* highest live so far, within the bounds of amalloc_stats(3) */
	uint64_t recorded;      /* part of live whose requests are known: option `stats` */
	uint64_t internal;      /* part of recorded that was not asked for */
	uint64_t internal_max;  /* upper bound of the same for the rest of live */
};

/* Fills *OUT; SIZE is sizeof *OUT as the caller was compiled (later versions append fields).
 * Returns 0, or -1 with errno EINVAL when SIZE is 0. */
int amalloc_stats(struct amalloc_stats *out, size_t size) AMALLOC_ATTR_(nonnull(1));

/* glibc malloc_stats: a short text on stderr. */
void amalloc_stats_print(void);

/* glibc malloc_info: XML on STREAM in glibc's schema; OPTIONS must be 0, else EINVAL.
 * Returns 0 on success, -1 with errno on failure. */
int amalloc_info(int options, FILE *stream) AMALLOC_ATTR_(nonnull(2));

/* glibc mallinfo2 in bytes: arena (mapped without huge), ordblks (free regions and spans),
 * hblks and hblkhd (huge blocks), uordblks (live), fordblks (arena - uordblks), keepcost
 * (what amalloc_trim could give back); smblks, fsmblks and usmblks are 0 or peak. */
struct amallinfo {
	size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct amallinfo amallinfo2(void) AMALLOC_NOTHROW_;

/* The library's version, "MAJOR.MINOR.PATCH". */
const char *amalloc_version(void) AMALLOC_NOTHROW_ AMALLOC_ATTR_(const);

/* ---- first-class arenas --------------------------------------------------------------------
 * An arena is a heap of its own.  Any thread may allocate in it at any time, and afree(),
 * arealloc() and amalloc_usable_size() take its blocks from any thread.  arena_destroy() gives
 * back everything in it at once; from then on every pointer into it is dangling, and using one is
 * a crime.  arealloc() keeps a block in its arena. */
struct arena;

/* A new, empty arena, or NULL with ENOMEM. */
struct arena *arena_create(void) AMALLOC_NOTHROW_ AMALLOC_MUST_USE_;

/* Gives back ARENA and all its blocks.  NULL is ignored.  No other thread may be inside a call
 * that names ARENA or a block of it. */
void arena_destroy(struct arena *arena) AMALLOC_NOTHROW_;

void *arena_malloc(struct arena *arena, size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_
	AMALLOC_MUST_USE_ AMALLOC_ATTR_(alloc_size(2), nonnull(1));
void *arena_calloc(struct arena *arena, size_t nmemb, size_t size) AMALLOC_NOTHROW_ AMALLOC_FRESH_
	AMALLOC_MUST_USE_ AMALLOC_ATTR_(alloc_size(2, 3), nonnull(1));
void *arena_memalign(struct arena *arena, size_t alignment, size_t size) AMALLOC_NOTHROW_
	AMALLOC_FRESH_ AMALLOC_MUST_USE_ AMALLOC_ATTR_(alloc_align(2), alloc_size(3), nonnull(1));

/* The arena that PTR's block lives in, or NULL when it belongs to no first-class arena. */
struct arena *arena_of(const void *ptr) AMALLOC_NOTHROW_;

/* Bytes of ARENA's blocks that are live. */
size_t arena_live(const struct arena *arena) AMALLOC_NOTHROW_ AMALLOC_ATTR_(nonnull(1));

#ifdef __cplusplus
}
#endif

#endif
