/* SPDX-License-Identifier: MIT
 *
 * options.c - fuzz target: the option string, against a second parser that is written with libc.
 * Each row that the second one takes must be taken with that value; each other one is warned of,
 * once, and changes nothing.
 */
#include "input.h"

#include <string.h>

#include "fatal.h"
#include "options.h"

static unsigned warnings;

void __wrap_arn_warn(const char *text, const char *what, size_t n);
void __wrap_arn_warn(const char *text, const char *what, size_t n)
{
	volatile char touch = 0;

	REQUIRE(text != NULL && n > 0, "a warning of nothing");
	for (size_t i = 0; i < n; i++)
		touch = (char)(touch + what[i]);
	warnings++;
}

/* NAME:VALUE as libarena(7) has it: at most ten digits, within the bounds, or yes or no for those of
 * at most 2. */
static bool parse(char *row, struct options *o)
{
	char *value = strchr(row, ':');
	bool word;
	long long x;

	if (value == NULL)
		return false;
	*value++ = '\0';
	word = strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
	if (!word && (strspn(value, "0123456789") != strlen(value) || *value == '\0' || strlen(value) > 10))
		return false;
	x = word ? strcmp(value, "yes") == 0 : strtoll(value, NULL, 10);
#define OPTION(name, fallback, lowest, highest, what) \
	if (strcmp(row, #name) == 0 && x >= (long long)(lowest) && x <= (long long)(highest) && \
	    (!word || (highest) <= 2)) { \
		o->name = (size_t)x; \
		return true; \
	}
#include "options.def"
#undef OPTION
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct options before = arn_options;
	struct options want = before;
	char *text = malloc(n + 1), *copy, *rest, *row;
	unsigned wrong = 0;

	memcpy(text, data, n);
	text[n] = '\0';
	copy = rest = strdup(text);
	warnings = 0;
	arn_options_parse(text);
	while ((row = strsep(&rest, ",")) != NULL)
		wrong += *row != '\0' && !parse(row, &want);
	REQUIRE(memcmp(&want, &arn_options, sizeof want) == 0, "\"%s\" was read otherwise", text);
	REQUIRE(warnings == wrong, "%u warnings, %u wrong rows", warnings, wrong);
	arn_options = before;
	free(copy);
	free(text);
	return 0;
}
