/* SPDX-License-Identifier: MIT
 *
 * tap.h - the Test Anything Protocol in a header, for the tests that may not link a test library.
 *
 * A row is one line "ok N - name"; the plan is printed at the end by tap_done().  Lines are built
 * in a buffer on the stack and written with write(2), so that reporting never allocates and rows
 * may be written by a child, a thread, or while the allocator under test is out of memory.
 * Included by one file of each program at most where the program is split: see tap_owner below.
 */
#ifndef TESTS_LIB_TAP_H
#define TESTS_LIB_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Counters live in the one file that defines TAP_OWNER before it includes this header. */
extern int tap_rows, tap_failures, tap_skips;
#ifdef TAP_OWNER
int tap_rows, tap_failures, tap_skips;
#endif

static inline void tap_write(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(STDOUT_FILENO, text, length);

		if (n <= 0)
			_exit(99); /* 99: a hard error for Automake's drivers; nobody reads us */
		text += n;
		length -= (size_t)n;
	}
}

__attribute__((format(printf, 2, 0)))
static inline void tap_vline(const char *prefix, const char *format, va_list ap)
{
	char line[512]; /* longer names are cut; no row comes near */
	int n = snprintf(line, sizeof line - 1, "%s", prefix);
	int m = vsnprintf(line + n, sizeof line - 1 - (size_t)n, format, ap);

	n += m;
	if (n > (int)sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	tap_write(line, (size_t)n);
}

__attribute__((format(printf, 1, 2)))
static inline void tap_note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	tap_vline("# ", format, ap);
	va_end(ap);
}

/* One row; returns whether it passed. */
__attribute__((format(printf, 2, 3)))
static inline int tap_ok(int passed, const char *format, ...)
{
	char prefix[32];
	va_list ap;

	tap_rows++;
	if (!passed)
		tap_failures++;
	snprintf(prefix, sizeof prefix, "%s %d - ", passed ? "ok" : "not ok", tap_rows);
	va_start(ap, format);
	tap_vline(prefix, format, ap);
	va_end(ap);
	return passed;
}

/* One row that could not be run here; REASON says why and is counted by the harness. */
static inline void tap_skip(const char *name, const char *reason)
{
	char line[256];
	int n;

	tap_rows++;
	tap_skips++;
	n = snprintf(line, sizeof line, "ok %d - %s # SKIP %s\n", tap_rows, name, reason);
	tap_write(line, n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

/* Prints the plan; the program's exit status. */
static inline int tap_done(void)
{
	char line[32];
	int n = snprintf(line, sizeof line, "1..%d\n", tap_rows);

	tap_write(line, (size_t)n);
	return tap_failures ? 1 : 0;
}

#endif
