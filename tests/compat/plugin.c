/* SPDX-License-Identifier: MIT
 *
 * plugin.c - the shared object that loading.c opens in every unusual way.
 * It allocates and frees through whatever malloc its scope gives it.  compat_whoami() exists in
 * the program too: with RTLD_DEEPBIND the plugin must find its own.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

int compat_whoami(void);

int compat_whoami(void)
{
	return 2; /* the program's returns 1 */
}

int plugin_whoami(void);
void *plugin_malloc(size_t n);
void *plugin_realloc(void *p, size_t n);
char *plugin_strdup(const char *s);
void plugin_free(void *p);
void *plugin_malloc_address(void);
void *plugin_dlsym_malloc(void);
void *plugin_open_neighbour(void);

int plugin_whoami(void)
{
	int (*volatile fn)(void) = compat_whoami;

	return fn();
}

void *plugin_malloc(size_t n)
{
	return malloc(n);
}

void *plugin_realloc(void *p, size_t n)
{
	return realloc(p, n);
}

/* Allocates inside libc, on this object's behalf. */
char *plugin_strdup(const char *s)
{
	return strdup(s);
}

void plugin_free(void *p)
{
	free(p);
}

void *plugin_malloc_address(void)
{
	void *(*volatile fn)(size_t) = malloc;

	return (void *)fn;
}

/* Found through this object's RUNPATH only: an interposed dlopen that hides its caller fails. */
void *plugin_open_neighbour(void)
{
	/* No tail call: dlopen looks at its return address to know whose RUNPATH counts. */
	void *volatile h = dlopen("compat-neighbour.so", RTLD_NOW | RTLD_DEEPBIND);

	return h;
}
