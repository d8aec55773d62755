/* SPDX-License-Identifier: MIT
 *
 * options.h - the values of all options, and where each came from; everybody reads them, policy.c
 * and init.c set them.  Layer os.
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

enum option_id {
#define OPTION(name, value, lowest, highest, what) OPTION_##name,
#include "options.def"
#undef OPTION
	OPTION_COUNT
};

enum option_origin {
	ORIGIN_DEFAULT,
	ORIGIN_CONF,        /* arena.conf */
	ORIGIN_CONF_D,      /* a file of arena.conf.d: `file` */
	ORIGIN_ENVIRONMENT, /* ARENA_OPTIONS */
	ORIGIN_MALLOPT,     /* the program itself */
};

/* The longest name of a file in arena.conf.d that is read, and its NUL. */
#define OPTION_FILE_BYTES 56

struct option_source {
	uint32_t origin;
	uint32_t line;
	char file[OPTION_FILE_BYTES];
};
extern struct option_source arn_option_sources[OPTION_COUNT];

/* The option of this name, or -1. */
int arn_options_find(const char *name, size_t n);
/* False: no value that the option may have; *VALUE is not written. */
bool arn_options_value(int id, const char *text, size_t n, size_t *value);
void arn_options_set(int id, size_t value, const struct option_source *from);

/* Parses "name:value,name:value" of ARENA_OPTIONS; a row that is unknown or malformed is named in
 * one warning line and what it had before stays. */
void arn_options_parse(const char *text);

#endif
