/* SPDX-License-Identifier: MIT
 *
 * options.c - parsing of the option string.  Layer os.  Calls nothing of libc: it runs before main.
 */
#include "options.h"

#include "fatal.h"

struct options arn_options = {
#define OPTION(name, value, lowest, highest, what) .name = (value),
#include "options.def"
#undef OPTION
};

struct option_source arn_option_sources[OPTION_COUNT];

struct row {
	char name[16];
	size_t lowest, highest;
};

static const struct row rows[] = {
#define OPTION(name, value, lowest, highest, what) {#name, (lowest), (highest)},
#include "options.def"
#undef OPTION
};

static size_t text_len(const char *s, char stop1, char stop2)
{
	size_t n = 0;

	while (s[n] != '\0' && s[n] != stop1 && s[n] != stop2)
		n++;
	return n;
}

static bool is_word(const char *s, size_t n, const char *word)
{
	size_t k = 0;

	while (k < n && word[k] != '\0' && word[k] == s[k])
		k++;
	return k == n && word[k] == '\0';
}

ARN_COLD int arn_options_find(const char *name, size_t n)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if (is_word(name, n, rows[i].name))
			return i;
	return -1;
}

static bool number(const char *s, size_t n, uint64_t *out)
{
	uint64_t x = 0; /* ten digits fit, also where size_t has 32 bits */

	if (n == 0 || n > 10)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		x = x * 10 + (uint64_t)(s[i] - '0');
	}
	*out = x;
	return true;
}

ARN_COLD bool arn_options_value(int id, const char *text, size_t n, size_t *value)
{
	const struct row *r = &rows[id];
	uint64_t x;

	if (r->highest <= 2 && is_word(text, n, "yes"))
		x = 1;
	else if (r->highest <= 2 && is_word(text, n, "no"))
		x = 0;
	else if (!number(text, n, &x))
		return false;
	if (x < r->lowest || x > r->highest)
		return false;
	*value = (size_t)x;
	return true;
}

ARN_COLD void arn_options_set(int id, size_t value, const struct option_source *from)
{
	((size_t *)&arn_options)[id] = value;
	arn_option_sources[id] = *from;
}
_Static_assert(sizeof(struct options) == OPTION_COUNT * sizeof(size_t), "an array of values");

static bool parse_row(const char *s, size_t n)
{
	static const struct option_source environment = {.origin = ORIGIN_ENVIRONMENT};
	size_t name_n = text_len(s, ':', ','), value;
	int id;

	if (name_n >= n || s[name_n] != ':')
		return false;
	id = arn_options_find(s, name_n);
	if (id < 0 || !arn_options_value(id, s + name_n + 1, n - name_n - 1, &value))
		return false;
	arn_options_set(id, value, &environment);
	return true;
}

ARN_COLD void arn_options_parse(const char *text)
{
	while (*text != '\0') {
		size_t n = text_len(text, ',', ',');

		if (n > 0 && !parse_row(text, n))
			arn_warn("ARENA_OPTIONS: not an option, or out of range (see libarena(7))",
				 text, n);
		text += n;
		if (*text == ',')
			text++;
	}
}
