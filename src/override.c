/* SPDX-License-Identifier: MIT
 *
 * override.c - the whole malloc family under libc's names, in one object: a part of it would let a
 * static link pull in libc's malloc.o beside ours.  Layer override.
 *
 * The names carry no symbol version: `malloc` in a version node satisfies no one's
 * malloc@GLIBC_2.2.5, and the loader ignores it in silence.
 */
#include <errno.h>
#include <stdio.h>

#include "alloc.h"
#include "os.h"
#include "override.h"
#include "stats.h"

/* The C library's headers declare these with attributes (nonnull, malloc) that we must not rely on
 * here, or declare them not at all: so our own declarations. */
struct mallinfo {
	int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

void *malloc(size_t size);
void free(void *p);
void *calloc(size_t nmemb, size_t size);
void *realloc(void *p, size_t size);
void *reallocarray(void *p, size_t nmemb, size_t size);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **out, size_t alignment, size_t size);
void *valloc(size_t size);
void *pvalloc(size_t size);
void cfree(void *p);
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);
size_t malloc_usable_size(void *p);
int malloc_trim(size_t pad);
void malloc_stats(void);
int malloc_info(int options, FILE *stream);
struct mallinfo mallinfo(void);
struct amallinfo mallinfo2(void);
int mallopt(int param, int value);

ARN_EXPORT ARN_ALIGNED_CODE void *malloc(size_t size)
{
	return tcache_malloc(size);
}

ARN_EXPORT ARN_ALIGNED_CODE void free(void *p)
{
	tcache_free(p);
}

ARN_EXPORT void *calloc(size_t nmemb, size_t size)
{
	return tcache_calloc(nmemb, size);
}

ARN_EXPORT void *realloc(void *p, size_t size)
{
	return tcache_realloc(p, size);
}

/* As libc's does, it calls the program's realloc, which is another one in a program that brings a
 * malloc of its own but no reallocarray (browsers do). */
ARN_EXPORT void *reallocarray(void *p, size_t nmemb, size_t size)
{
	static void *(*_Atomic first)(void *, size_t);
	void *(*f)(void *, size_t) = atomic_load_explicit(&first, memory_order_relaxed);
	size_t n;

	if (unlikely(f == NULL)) {
		f = (void *(*)(void *, size_t))arn_first_function("realloc");
		f = f != NULL ? f : realloc;
		atomic_store_explicit(&first, f, memory_order_relaxed);
	}
	if (!__builtin_mul_overflow(nmemb, size, &n))
		return f(p, n);
	errno = ENOMEM;
	return NULL;
}

ARN_EXPORT void *memalign(size_t alignment, size_t size)
{
	return arn_memalign(alignment, size);
}

ARN_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
	return arn_memalign(alignment, size);
}

ARN_EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
	return arn_posix_memalign(out, alignment, size);
}

ARN_EXPORT void *valloc(size_t size)
{
	return arn_memalign(arn_os_page_bytes(), size);
}

ARN_EXPORT void *pvalloc(size_t size)
{
	return arn_pvalloc(size);
}

ARN_EXPORT void cfree(void *p)
{
	tcache_free(p);
}

ARN_EXPORT void free_sized(void *p, size_t size)
{
	arn_free_sized(p, size);
}

ARN_EXPORT void free_aligned_sized(void *p, size_t alignment, size_t size)
{
	arn_free_aligned_sized(p, alignment, size);
}

ARN_EXPORT size_t malloc_usable_size(void *p)
{
	return arn_usable_size(p);
}

/* What is asked about the whole heap goes to libc in a program that was handed back: there is no
 * block to tell whose it is. */

ARN_EXPORT int malloc_trim(size_t pad)
{
	int (*libc)(size_t) = (int (*)(size_t))arn_libc_function("malloc_trim");

	return unlikely(libc != NULL) ? libc(pad) : arn_trim(pad);
}

ARN_EXPORT void malloc_stats(void)
{
	void (*libc)(void) = (void (*)(void))arn_libc_function("malloc_stats");

	if (unlikely(libc != NULL))
		libc();
	else
		arn_stats_print();
}

ARN_EXPORT int malloc_info(int options, FILE *stream)
{
	int (*libc)(int, FILE *) = (int (*)(int, FILE *))arn_libc_function("malloc_info");

	return unlikely(libc != NULL) ? libc(options, stream) : arn_info(options, stream);
}

/* The same layout as glibc's struct mallinfo2. */
ARN_EXPORT struct amallinfo mallinfo2(void)
{
	struct amallinfo (*libc)(void) = (struct amallinfo(*)(void))arn_libc_function("mallinfo2");

	return unlikely(libc != NULL) ? libc() : arn_mallinfo2();
}

ARN_EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo (*libc)(void) = (struct mallinfo(*)(void))arn_libc_function("mallinfo");
	struct amallinfo m;

	if (unlikely(libc != NULL))
		return libc();
	m = arn_mallinfo2();
	return (struct mallinfo){
		.arena = (int)m.arena,
		.ordblks = (int)m.ordblks,
		.hblks = (int)m.hblks,
		.hblkhd = (int)m.hblkhd,
		.uordblks = (int)m.uordblks,
		.fordblks = (int)m.fordblks,
		.keepcost = (int)m.keepcost,
	};
}

ARN_EXPORT int mallopt(int param, int value)
{
	int (*libc)(int, int) = (int (*)(int, int))arn_libc_function("mallopt");

	return unlikely(libc != NULL) ? libc(param, value) : arn_mallopt(param, value);
}

#define ROW(name)                                                                                  \
	{                                                                                          \
#name, (void *)name                                                                \
	}
const struct override_name arn_override_names[] = {
	ROW(malloc),
	ROW(free),
	ROW(calloc),
	ROW(realloc),
	ROW(reallocarray),
	ROW(memalign),
	ROW(aligned_alloc),
	ROW(posix_memalign),
	ROW(valloc),
	ROW(pvalloc),
	ROW(cfree),
	ROW(free_sized),
	ROW(free_aligned_sized),
	ROW(malloc_usable_size),
	ROW(malloc_trim),
	ROW(malloc_stats),
	ROW(malloc_info),
	ROW(mallinfo),
	ROW(mallinfo2),
	ROW(mallopt),
	{NULL, NULL},
};
