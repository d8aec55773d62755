/* SPDX-License-Identifier: MIT
 *
 * now.c - has a thread of a process serve a trim request at once.
 */
#include <string.h>

#include "trim.h"

char *trim_now(struct target *t, const struct found_root *r, uint64_t *freed)
{
	(void)t;
	(void)r;
	*freed = 0;
	return grab_text("--now is not built in");
}
