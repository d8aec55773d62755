/* SPDX-License-Identifier: MIT
 *
 * override.h - the names of libc's malloc family that override.c replaces, and the way back to what
 * they replace.  Layer override.
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

/* The function behind ours of this name, in a program that was handed back to libc's malloc; else
 * NULL. */
void *arn_libc_function(const char *name);
/* What the program gets by this name; NULL in a static program, where it is ours. */
void *arn_first_function(const char *name);

#endif
