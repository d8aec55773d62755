/* SPDX-License-Identifier: MIT
 *
 * A stand-in for libarena.so.0 in the tests of arena-preload: the malloc family,
 * each handed to libc.  Right by construction (fork, RTLD_DEEPBIND, seccomp), so a
 * failure is the tool's.  With -DBROKEN=N it is a library nobody wants.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *__libc_valloc(size_t);
void *__libc_pvalloc(size_t);
void __libc_free(void *);
void *memalign(size_t, size_t);
void *pvalloc(size_t);
size_t malloc_usable_size(void *);

void *malloc(size_t n) { return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }
void *memalign(size_t align, size_t n) { return __libc_memalign(align, n); }
void *aligned_alloc(size_t align, size_t n) { return __libc_memalign(align, n); }
void *valloc(size_t n) { return __libc_valloc(n); }
void *pvalloc(size_t n) { return __libc_pvalloc(n); }
void free(void *p) { __libc_free(p); }

int posix_memalign(void **p, size_t align, size_t n)
{
	*p = __libc_memalign(align, n);
	return *p ? 0 : ENOMEM;
}

void *reallocarray(void *p, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	return __libc_realloc(p, n * size);
}

size_t malloc_usable_size(void *p)
{
	size_t (*real)(void *);

	/* not RTLD_NEXT: that is the program's own allocator, if it has one (redis) */
	*(void **)&real = dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "malloc_usable_size");
	return real(p);
}

/* How it breaks: 1 in every program; 2 in setuid programs only; 3 only once it is
 * really in place (the private /etc of the second self-test has a file more). */
#ifdef BROKEN
__attribute__((constructor)) static void die(void)
{
	if (BROKEN == 1 || (BROKEN == 2 && getauxval(AT_SECURE)) ||
	    (BROKEN == 3 && !getenv("LD_PRELOAD") &&
	     access("/etc/arena-preload-check", F_OK) != 0))
		abort();
}
#endif
