/* SPDX-License-Identifier: MIT
 *
 * call.h - the call that a one-crime program's argument names: every way a pointer comes back.
 */
#ifndef TESTS_DEATH_CALL_H
#define TESTS_DEATH_CALL_H

#include "crime.h"

static void call_with(const char *call, void *p, size_t size)
{
	void *volatile sink;

	if (!call) {
		say("an argument is missing\n");
		_exit(76);
	}
	if (strcmp(call, "free") == 0) {
		c.free(p);
	} else if (strcmp(call, "realloc") == 0) {
		sink = c.realloc(p, size + 1000);
		(void)sink;
	} else if (strcmp(call, "usable") == 0) {
		c.usable_size(p);
	} else if (strcmp(call, "sized") == 0) {
		c.free_sized(p, size);
	} else {
		say("unknown call\n");
		_exit(76);
	}
}

#endif
