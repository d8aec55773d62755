/* SPDX-License-Identifier: MIT
 *
 * form.c - fills the table of form.h in one of three ways, and proves whose functions they are.
 * This is the only file of the API tests that is compiled differently for each form.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>

#include "form.h"

struct form F;

/* ISO C has no cast from an object pointer to a function pointer; POSIX's dlsym needs one. */
#define LOOK_UP(member, symbol) (*(void **)&F.member = dlsym(RTLD_DEFAULT, symbol))

#ifdef FORM_PREFIXED

static void fill_form(void)
{
	F.name = "prefixed";
	F.malloc = amalloc;
	F.calloc = acalloc;
	F.realloc = arealloc;
	F.reallocarray = areallocarray;
	F.free = afree;
	F.cfree = acfree;
	F.free_sized = afree_sized;
	F.free_aligned_sized = afree_aligned_sized;
	F.memalign = amemalign;
	F.aligned_alloc = aaligned_alloc;
	F.posix_memalign = aposix_memalign;
	F.valloc = avalloc;
	F.pvalloc = apvalloc;
	F.usable_size = amalloc_usable_size;
	F.trim = amalloc_trim;
	F.mallopt = amallopt;
	F.print_stats = amalloc_stats_print;
	F.info = amalloc_info;
	F.mallinfo2 = amallinfo2;
}

#else

#ifdef FORM_OVERRIDE
/* C23 names that this libc's headers do not have; linking them is part of the test. */
void free_sized(void *, size_t);
void free_aligned_sized(void *, size_t, size_t);
void cfree(void *);
#endif

static struct amallinfo libc_mallinfo2(void)
{
	struct mallinfo2 m = mallinfo2();

	return (struct amallinfo){
		.arena = m.arena, .ordblks = m.ordblks, .smblks = m.smblks, .hblks = m.hblks,
		.hblkhd = m.hblkhd, .usmblks = m.usmblks, .fsmblks = m.fsmblks,
		.uordblks = m.uordblks, .fordblks = m.fordblks, .keepcost = m.keepcost,
	};
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* mallinfo, the point of the row */
static struct amallinfo libc_mallinfo(void)
{
	struct mallinfo m = mallinfo();

	return (struct amallinfo){
		.arena = (unsigned)m.arena, .ordblks = (unsigned)m.ordblks,
		.hblks = (unsigned)m.hblks, .hblkhd = (unsigned)m.hblkhd,
		.uordblks = (unsigned)m.uordblks, .fordblks = (unsigned)m.fordblks,
		.keepcost = (unsigned)m.keepcost,
	};
}

static size_t libc_usable_size(const void *block)
{
	return malloc_usable_size((void *)(uintptr_t)block);
}

static void fill_form(void)
{
	F.malloc = malloc;
	F.calloc = calloc;
	F.realloc = realloc;
	F.reallocarray = reallocarray;
	F.free = free;
	F.memalign = memalign;
	F.aligned_alloc = aligned_alloc;
	F.posix_memalign = posix_memalign;
	F.valloc = valloc;
	F.pvalloc = pvalloc;
	F.usable_size = libc_usable_size;
	F.trim = malloc_trim;
	F.mallopt = mallopt;
	F.print_stats = malloc_stats;
	F.info = malloc_info;
	F.mallinfo2 = libc_mallinfo2;
	F.mallinfo = libc_mallinfo;
#ifdef FORM_OVERRIDE
	F.name = "override";
	F.cfree = cfree;
	F.free_sized = free_sized;
	F.free_aligned_sized = free_aligned_sized;
#else
	F.name = "plain";
	LOOK_UP(cfree, "cfree");
	LOOK_UP(free_sized, "free_sized");
	LOOK_UP(free_aligned_sized, "free_aligned_sized");
#endif
}
#pragma GCC diagnostic pop

#endif

static void fill_extras(void)
{
#if defined(FORM_PREFIXED) || defined(FORM_OVERRIDE)
	F.good_size = amalloc_good_size;
	F.stats = amalloc_stats;
	F.version = amalloc_version;
	F.arena_create = arena_create;
	F.arena_destroy = arena_destroy;
	F.arena_malloc = arena_malloc;
	F.arena_calloc = arena_calloc;
	F.arena_memalign = arena_memalign;
	F.arena_of = arena_of;
	F.arena_live = arena_live;
#else
	LOOK_UP(good_size, "amalloc_good_size");
	LOOK_UP(stats, "amalloc_stats");
	LOOK_UP(version, "amalloc_version");
	LOOK_UP(arena_create, "arena_create");
	LOOK_UP(arena_destroy, "arena_destroy");
	LOOK_UP(arena_malloc, "arena_malloc");
	LOOK_UP(arena_calloc, "arena_calloc");
	LOOK_UP(arena_memalign, "arena_memalign");
	LOOK_UP(arena_of, "arena_of");
	LOOK_UP(arena_live, "arena_live");
#endif
}

void form_init(void)
{
	if (F.malloc)
		return;
	fill_form();
	fill_extras();
}

int form_is_arena(void)
{
	return F.version != NULL;
}

/* The file's name without its directory: a source tree may be called libarena too. */
static const char *object_of(const void *function)
{
	Dl_info info;
	const char *slash;

	if (!dladdr(function, &info) || !info.dli_fname)
		return "(nobody)";
	slash = strrchr(info.dli_fname, '/');
	return slash ? slash + 1 : info.dli_fname;
}

/* Libarena's own counter must see the block: that also holds in a static program. */
static int counter_sees(size_t size)
{
	struct amalloc_stats before, after;
	void *block;
	int seen;

	if (!F.stats || F.stats(&before, sizeof before) != 0)
		return 0;
	block = F.malloc(size);
	if (!block || F.stats(&after, sizeof after) != 0)
		return 0;
	seen = after.live >= before.live + size;
	F.free(block);
	return seen;
}

void form_prove(void)
{
	const char *expected = getenv("ARENA_TEST_LIB");
	const struct { const char *name; const void *function; } rows[] = {
		{ "malloc", *(void **)&F.malloc },
		{ "calloc", *(void **)&F.calloc },
		{ "realloc", *(void **)&F.realloc },
		{ "free", *(void **)&F.free },
		{ "memalign", *(void **)&F.memalign },
		{ "posix_memalign", *(void **)&F.posix_memalign },
		{ "malloc_trim", *(void **)&F.trim },
		{ "malloc_info", *(void **)&F.info },
	};

	if (!expected || !*expected)
		expected = "libarena";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		/* A static program has everything in itself: only the counter can tell. */
		if (strcmp(expected, "static") == 0)
			break;
		tap_ok(strstr(object_of(rows[i].function), expected) != NULL,
		       "%s comes from %s (%s)", rows[i].name, expected,
		       object_of(rows[i].function));
	}
	if (strstr(expected, "libarena") || strcmp(expected, "static") == 0)
		tap_ok(counter_sees((size_t)8 << 20), "libarena's counter sees a block of 8 MiB");
}
