/* SPDX-License-Identifier: MIT
 *
 * options.h - the values of all options; everybody reads them, init.c sets them.  Layer os.
 */
#ifndef ARN_OPTIONS_H
#define ARN_OPTIONS_H

#include "compiler.h"

struct options {
#define OPTION(name, value, lowest, highest, what) size_t name;
#include "options.def"
#undef OPTION
};
extern struct options arn_options;

/* Parses "name:value,name:value"; a row that is unknown or malformed is named in one warning line
 * and its default stays. */
void arn_options_parse(const char *text);

#endif
