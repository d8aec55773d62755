/* SPDX-License-Identifier: MIT */
/*
 * Proof of a preload: prints the files that serve malloc, free, calloc and realloc in this
 * process, and uses them once.  bench/run compares the paths with what it asked for.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	static const char *const name[] = { "malloc", "free", "calloc", "realloc" };
	void *p = malloc(100);

	if (!p)
		return 1;
	free(p);
	for (int i = 0; i < 4; i++) {
		void *at = dlsym(RTLD_DEFAULT, name[i]);
		Dl_info info;

		if (!at || !dladdr(at, &info))
			return 1;
		printf("%s %s\n", name[i], info.dli_fname);
	}
	return 0;
}
