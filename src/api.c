/* SPDX-License-Identifier: MIT
 *
 * api.c - the prefixed names.  Layer api.  What they mean: include/arena/amalloc.h.
 */
#include <arena/amalloc.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "os.h"
#include "stats.h"
#include "tcache.h"

#define API ARN_EXPORT

API void *amalloc(size_t size)
{
	return tcache_malloc(size);
}

API void afree(void *p)
{
	tcache_free(p);
}

API void acfree(void *p)
{
	tcache_free(p);
}

API void afree_sized(void *p, size_t size)
{
	arn_free_sized(p, size);
}

API void afree_aligned_sized(void *p, size_t alignment, size_t size)
{
	arn_free_aligned_sized(p, alignment, size);
}

API void *acalloc(size_t nmemb, size_t size)
{
	return tcache_calloc(nmemb, size);
}

API void *arealloc(void *p, size_t size)
{
	return tcache_realloc(p, size);
}

API void *areallocarray(void *p, size_t nmemb, size_t size)
{
	return arn_reallocarray(p, nmemb, size);
}

API void *amemalign(size_t alignment, size_t size)
{
	return arn_memalign(alignment, size);
}

API void *aaligned_alloc(size_t alignment, size_t size)
{
	return arn_memalign(alignment, size);
}

API int aposix_memalign(void **out, size_t alignment, size_t size)
{
	return arn_posix_memalign(out, alignment, size);
}

API void *avalloc(size_t size)
{
	return arn_memalign(arn_os_page_bytes(), size);
}

API void *apvalloc(size_t size)
{
	return arn_pvalloc(size);
}

API size_t amalloc_usable_size(const void *p)
{
	return arn_usable_size(p);
}

API size_t amalloc_good_size(size_t size)
{
	return arn_good_size(size);
}

API int amalloc_trim(size_t pad)
{
	return arn_trim(pad);
}

API int amallopt(int param, int value)
{
	return arn_mallopt(param, value);
}

API int amalloc_stats(struct amalloc_stats *out, size_t size)
{
	struct amalloc_stats st;

	if (size == 0) {
		errno = EINVAL;
		return -1;
	}
	arn_stats_get(&st);
	/* An older caller gets what it knows; a newer one zeros for what we do not. */
	if (size > sizeof st)
		memset((char *)out + sizeof st, 0, size - sizeof st);
	memcpy(out, &st, size < sizeof st ? size : sizeof st);
	return 0;
}

API void amalloc_stats_print(void)
{
	arn_stats_print();
}

API int amalloc_info(int options, FILE *stream)
{
	return arn_info(options, stream);
}

API struct amallinfo amallinfo2(void)
{
	return arn_mallinfo2();
}

API const char *amalloc_version(void)
{
	return PACKAGE_VERSION;
}

/* ---- first-class arenas: a struct arena is a shared heap ------------------------------------- */

API struct arena *arena_create(void)
{
	struct heap *h = arn_thread_shared_new();

	if (h == NULL)
		errno = ENOMEM;
	return (struct arena *)h;
}

API void arena_destroy(struct arena *arena)
{
	struct heap *h = (struct heap *)arena;

	if (h == NULL)
		return;
	if (arn_locks_mine == 0)
		arn_large_free_deferred();
	arn_heap_shared_clear(h);
	arn_thread_shared_free(h);
}

API void *arena_malloc(struct arena *arena, size_t size)
{
	return arn_alloc_in((struct heap *)arena, size, QUANTUM);
}

API void *arena_calloc(struct arena *arena, size_t nmemb, size_t size)
{
	return arn_calloc_in((struct heap *)arena, nmemb, size);
}

API void *arena_memalign(struct arena *arena, size_t alignment, size_t size)
{
	if (!bits_is_pow2(alignment) || alignment > PTRDIFF_MAX) {
		errno = EINVAL;
		return NULL;
	}
	return arn_alloc_in((struct heap *)arena, size, alignment < QUANTUM ? QUANTUM : alignment);
}

API struct arena *arena_of(const void *p)
{
	struct heap *h = arn_arena_of(p);

	/* The heap of ended threads is shared too, but nobody's arena. */
	return h != NULL && arn_thread_is_arena(h) ? (struct arena *)h : NULL;
}

API size_t arena_live(const struct arena *arena)
{
	return arn_heap_shared_live((struct heap *)arena);
}
