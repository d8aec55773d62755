/* SPDX-License-Identifier: MIT
 *
 * preload-check-module: what preload-check opens with RTLD_DEEPBIND.  Its malloc
 * and free are looked up in libc first, past any preload, as in a php extension.
 */
#include <stdlib.h>
#include <string.h>

char *preload_check_give(size_t n);
void preload_check_take(void *p);

char *preload_check_give(size_t n)
{
	char *p = malloc(n);

	return p ? memset(p, 1, n) : NULL;
}

void preload_check_take(void *p)
{
	free(p);
}
