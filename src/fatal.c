/* SPDX-License-Identifier: MIT
 *
 * fatal.c - messages on stderr and abort.  Layer os.
 */
#include "fatal.h"

#include <stdlib.h>

#include "os.h"

struct line {
	char text[256];
	size_t n;
};

static void put(struct line *l, const char *s, size_t n)
{
	for (size_t i = 0; i < n && s[i] != '\0' && l->n < sizeof l->text - 1; i++)
		l->text[l->n++] = s[i];
}

static void put_str(struct line *l, const char *s)
{
	put(l, s, SIZE_MAX);
}

static void put_hex(struct line *l, uintptr_t x)
{
	put_str(l, "0x");
	for (int shift = (int)sizeof x * 8 - 4; shift >= 0; shift -= 4)
		if (x >> shift != 0 || shift == 0)
			put(l, &"0123456789abcdef"[x >> shift & 15], 1);
}

static void flush(struct line *l)
{
	l->text[l->n++] = '\n';
	arn_os_write_err(l->text, l->n);
}

ARN_COLD void arn_crime(enum arn_crime crime, const void *p)
{
	static const char *const names[] = {
#define X(id, name, hint) name,
		ARN_CRIMES(X)
#undef X
	};
	static const char *const hints[] = {
#define X(id, name, hint) hint,
		ARN_CRIMES(X)
#undef X
	};
	struct line l = {.n = 0};

	put_str(&l, "libarena: ");
	put_str(&l, names[crime]);
	put_str(&l, ": ");
	put_hex(&l, (uintptr_t)p);
	put_str(&l, ": ");
	put_str(&l, hints[crime]);
	flush(&l);
	abort();
}

ARN_COLD void arn_warn(const char *text, const char *detail, size_t detail_n)
{
	struct line l = {.n = 0};

	put_str(&l, "libarena: ");
	put_str(&l, text);
	if (detail != NULL) {
		put_str(&l, ": \"");
		put(&l, detail, detail_n);
		put_str(&l, "\"");
	}
	flush(&l);
}

ARN_COLD void arn_assert_fail(const char *expr, const char *file, int line)
{
	struct line l = {.n = 0};

	put_str(&l, "libarena: internal error at ");
	put_str(&l, file);
	put_str(&l, ":");
	put_hex(&l, (uintptr_t)line);
	put_str(&l, ": ");
	put_str(&l, expr);
	flush(&l);
	abort();
}
