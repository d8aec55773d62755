/* SPDX-License-Identifier: MIT
 *
 * handback.c - the malloc that a program has without us, for one that the policy hands back.
 * Layer override; in libarena only.
 *
 * That is libc's, nearly always: glibc exports its functions under names that nobody replaces, and
 * another libc has none.  They are looked up here and not by the loader, which would do it in every
 * exec.
 * A program that was linked with a library of another malloc gets that one: the next definition of
 * each name after ours.
 */
#include "compiler.h" /* first: it asks the system headers for RTLD_NEXT */

#include <dlfcn.h>

#include "foreign.h"
#include "init.h"
#include "override.h"

#ifdef PIC
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

/* What NAMES are behind us; false: not all of them. */
static bool look_up(struct foreign_calls *c, const char *const names[5])
{
	c->malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, names[0]);
	c->calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, names[1]);
	c->memalign = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, names[2]);
	c->free = (void (*)(void *))dlsym(RTLD_NEXT, names[3]);
	c->realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, names[4]);
	c->usable_size = usable_size;
	return c->malloc != NULL && c->calloc != NULL && c->memalign != NULL && c->free != NULL &&
	       c->realloc != NULL;
}

static ARN_COLD const struct foreign_calls *find(void)
{
	static const char *const hidden[] = {"__libc_malloc", "__libc_calloc", "__libc_memalign",
					     "__libc_free", "__libc_realloc"};
	static const char *const usual[] = {"malloc", "calloc", "memalign", "free", "realloc"};
	static struct foreign_calls found; /* once: it may serve already when all is decided anew */
	struct foreign_calls c;
	void *next = dlsym(RTLD_NEXT, "malloc");

	if (!(look_up(&c, hidden) && (next == NULL || next == (void *)c.malloc)) &&
	    !(next != NULL && look_up(&c, usual)))
		return NULL;
	if (found.malloc == NULL)
		found = c;
	return &found;
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
