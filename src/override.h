/* SPDX-License-Identifier: MIT
 *
 * override.h - the names of libc's malloc family that override.c replaces.  Layer override.
 */
#ifndef ARN_OVERRIDE_H
#define ARN_OVERRIDE_H

#include "compiler.h"

struct override_name {
	const char *name;
	void *function;
};

/* Ends with a row without a name. */
extern const struct override_name arn_override_names[] ARN_HIDDEN;

#endif
