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

struct row {
	char name[16];
	size_t lowest, highest;
	size_t offset;
};

static const struct row rows[] = {
#define OPTION(name, value, lowest, highest, what)                                                 \
	{#name, (lowest), (highest), offsetof(struct options, name)},
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

static const struct row *find(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t k = 0;

		while (k < n && rows[i].name[k] == s[k])
			k++;
		if (k == n && rows[i].name[k] == '\0')
			return &rows[i];
	}
	return NULL;
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

static bool parse_row(const char *s, size_t n)
{
	size_t name_n = text_len(s, ':', ',');
	const struct row *r;
	uint64_t value;

	if (name_n >= n || s[name_n] != ':')
		return false;
	r = find(s, name_n);
	if (r == NULL || !number(s + name_n + 1, n - name_n - 1, &value) || value < r->lowest ||
	    value > r->highest)
		return false;
	*(size_t *)((char *)&arn_options + r->offset) = (size_t)value;
	return true;
}

void arn_options_parse(const char *text)
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
