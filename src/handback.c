/* SPDX-License-Identifier: MIT
 *
 * handback.c - the malloc that a program has without us, for one that the policy hands back.
 * Layer override; in libarena only.
 *
 * That is libc's, nearly always: glibc exports its functions under names that nobody replaces, and
 * the loader binds them here without a search at run time.  They are weak: another libc has none.
 * A program that was linked with a library of another malloc gets that one: the next definition of
 * each name after ours.
 */
#include "compiler.h" /* first: it asks the system headers for RTLD_NEXT */

#include <dlfcn.h>

#include "foreign.h"
#include "init.h"
#include "override.h"

#ifdef PIC
#define LIBC(name) __asm__("__libc_" name) __attribute__((weak))
extern void *libc_malloc(size_t size) LIBC("malloc");
extern void *libc_calloc(size_t nmemb, size_t size) LIBC("calloc");
extern void *libc_memalign(size_t alignment, size_t size) LIBC("memalign");
extern void *libc_realloc(void *p, size_t size) LIBC("realloc");
extern void libc_free(void *p) LIBC("free");

void *arn_libc_function(const char *name)
{
	return arn_serves() ? NULL : dlsym(RTLD_NEXT, name);
}

void *arn_first_function(const char *name)
{
	/* By RTLD_DEFAULT it would be our own: -Bsymbolic makes us search ourselves first. */
	void *program = dlopen(NULL, RTLD_LAZY);

	return program != NULL ? dlsym(program, name) : NULL;
}

static size_t usable_size(void *p)
{
	static size_t (*_Atomic next)(void *);
	size_t (*f)(void *) = atomic_load_explicit(&next, memory_order_relaxed);

	if (f == NULL) {
		f = (size_t(*)(void *))dlsym(RTLD_NEXT, "malloc_usable_size");
		atomic_store_explicit(&next, f, memory_order_relaxed);
	}
	return f != NULL ? f(p) : 0;
}

static const struct foreign_calls libc = {
	.malloc = libc_malloc,
	.calloc = libc_calloc,
	.memalign = libc_memalign,
	.free = libc_free,
	.realloc = libc_realloc,
	.usable_size = usable_size,
};

static const struct foreign_calls *find(void)
{
	static struct foreign_calls other = {.usable_size = usable_size};
	void *next = dlsym(RTLD_NEXT, "malloc");

	if (next == NULL || next == (void *)libc.malloc)
		return libc.malloc != NULL ? &libc : NULL;
	other.malloc = (void *(*)(size_t))next;
	other.calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	other.memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "memalign");
	other.free = (void (*)(void *))dlsym(RTLD_NEXT, "free");
	other.realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	return other.calloc != NULL && other.memalign != NULL && other.free != NULL &&
			       other.realloc != NULL
		       ? &other
		       : NULL;
}

bool arn_foreign_replaced(const struct foreign_calls **out)
{
	*out = find();
	return true;
}
#else
void *arn_libc_function(const char *name)
{
	(void)name;
	return NULL;
}

void *arn_first_function(const char *name)
{
	(void)name;
	return NULL;
}

bool arn_foreign_replaced(const struct foreign_calls **out)
{
	*out = NULL;
	return true;
}
#endif
