/* SPDX-License-Identifier: MIT
 *
 * family.c - calls every name of the malloc family once.  Linked statically it fails to link when
 * the library leaves a name to libc; linked dynamically it checks that each name is libarena's.
 * Prints the names that are not; exits 0 when there are none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arena/amalloc.h>

/* In no header of glibc 2.36: removed from it, or C23. */
void cfree(void *ptr);
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);

static int failures;

static void expect(int passed, const char *what)
{
	if (!passed) {
		printf("wrong: %s\n", what);
		failures++;
	}
}

/* Keeps the compiler from dropping a pair of calls. */
static void *keep(void *ptr)
{
	__asm__ volatile("" : "+r"(ptr) : : "memory");
	return ptr;
}

static void use_blocks(void)
{
	void *p = NULL;

	p = keep(malloc(100));
	expect(p && malloc_usable_size(p) >= 100, "malloc, malloc_usable_size");
	p = keep(realloc(p, 1000));
	expect(p != NULL, "realloc");
	p = keep(reallocarray(p, 10, 200));
	expect(p != NULL, "reallocarray");
	free(p);
	p = keep(calloc(3, 5));
	expect(p && memcmp(p, "\0\0\0\0", 4) == 0, "calloc");
	cfree(p);
	p = keep(memalign(64, 10));
	expect(p && (uintptr_t)p % 64 == 0, "memalign");
	free(p);
	p = keep(aligned_alloc(128, 256));
	expect(p && (uintptr_t)p % 128 == 0, "aligned_alloc");
	free_aligned_sized(p, 128, 256);
	p = NULL;
	expect(posix_memalign(&p, 256, 10) == 0 && keep(p) && (uintptr_t)p % 256 == 0,
	       "posix_memalign");
	free(p);
	p = keep(valloc(10));
	expect(p && (uintptr_t)p % 4096 == 0, "valloc"); /* 4096: the smallest OS page */
	free(p);
	p = keep(pvalloc(10));
	expect(p && (uintptr_t)p % 4096 == 0, "pvalloc");
	free(p);
	p = keep(malloc(24));
	free_sized(p, 24);
}

static void use_heap(void)
{
	FILE *null = fopen("/dev/null", "w");
	struct mallinfo2 wide = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	struct mallinfo narrow = mallinfo();
#pragma GCC diagnostic pop

	keep(&wide);
	keep(&narrow);
	malloc_trim(0);
	malloc_stats();
	expect(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1, "mallopt");
	expect(null && malloc_info(0, null) == 0, "malloc_info");
	if (null)
		fclose(null);
}

#ifndef STATIC
/* Every name that the dynamic linker gives us is in the library that holds amalloc. */
static void prove_names(void)
{
	static const char *const names[] = {
		"malloc", "free", "calloc", "realloc", "reallocarray", "cfree", "memalign",
		"aligned_alloc", "posix_memalign", "valloc", "pvalloc", "malloc_usable_size",
		"malloc_trim", "malloc_stats", "malloc_info", "mallinfo", "mallinfo2", "mallopt",
		"free_sized", "free_aligned_sized",
	};
	Dl_info ours, theirs;

	expect(dladdr(dlsym(RTLD_DEFAULT, "amalloc"), &ours) != 0, "dladdr of amalloc");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		void *address = dlsym(RTLD_DEFAULT, names[i]);

		expect(address && dladdr(address, &theirs) && theirs.dli_fbase == ours.dli_fbase,
		       names[i]);
	}
}
#endif

int main(void)
{
	use_blocks();
	use_heap();
	expect(strcmp(amalloc_version(), EXPECTED_VERSION) == 0, "amalloc_version");
#ifndef STATIC
	prove_names();
#endif
	return failures != 0;
}
