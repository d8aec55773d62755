/* SPDX-License-Identifier: MIT
 *
 * prefixed.c - a program that is linked with libarena-prefixed.  Its argument says whose malloc
 * it must see: "libc" alone, or "libarena" when that one is preloaded; amalloc must be
 * libarena-prefixed's in both cases, by the version that it was linked with.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arena/amalloc.h>

#ifndef STATIC
static int is_in(void *address, const char *library)
{
	Dl_info info;
	const char *base;

	if (!dladdr(address, &info))
		return 0;
	base = strrchr(info.dli_fname, '/');
	base = base ? base + 1 : info.dli_fname;
	printf("%s is in %s\n", info.dli_sname ? info.dli_sname : "?", base);
	return strncmp(base, library, strlen(library)) == 0;
}
#endif

int main(int argc, char **argv)
{
	char *a = amalloc(100);
	char *b = malloc(100);
	int ok = argc == 2 && a && b && amalloc_usable_size(a) >= 100;

	if (!ok)
		return 2;
	memset(a, 1, 100);
	memset(b, 2, 100);
	ok = a[99] == 1;
	afree(a);
	free(b);
#ifndef STATIC
	ok &= is_in((void *)amalloc, "libarena-prefixed.so");
	ok &= is_in((void *)malloc, argv[1]);
#else
	(void)argv;
#endif
	return !ok;
}
