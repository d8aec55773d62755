/* SPDX-License-Identifier: MIT
 *
 * util.h - memory that is there or the program ends, texts that grow, sizes for people.
 */
#ifndef STATS_UTIL_H
#define STATS_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Exit statuses, as alloc-stats(1) lists them. */
enum {
	EXIT_FAILED = 1,    /* the system refused something */
	EXIT_USAGE = 2,     /* the command line */
	EXIT_NOT_OURS = 3,  /* no libarena there, or another version of it */
	EXIT_DENIED = 4,    /* a permission is missing */
	EXIT_PENDING = 5,   /* --trim: asked, not yet answered */
	EXIT_CANNOT_RUN = 127,
};

void *grab(size_t n);                      /* zeroed */
void *grab_again(void *p, size_t n);
char *grab_text(const char *text);
char *grab_format(const char *format, ...) PRINTF_LIKE(1, 2);

/* An array that doubles: room for one more element of SIZE bytes. */
void *grab_room(void *array, size_t count, size_t *capacity, size_t size);

void warning(const char *format, ...) PRINTF_LIKE(1, 2);
void fatal(int status, const char *format, ...) PRINTF_LIKE(2, 3) __attribute__((noreturn));

/* "812 MiB", "4.2 KiB", "0"; TEXT has at least HUMAN_MAX bytes. */
#define HUMAN_MAX 32
char *human(char *text, double bytes);

/* A whole file of at most LIMIT bytes with a NUL behind, or NULL with errno. */
char *read_whole(int dir_fd, const char *name, size_t limit, size_t *length);

/* True when TEXT is a decimal number of at most MAX. */
bool parse_number(const char *text, uint64_t max, uint64_t *value);
/* The value of a line "NAME:   N kB" in TEXT, in bytes; 0 when there is none. */
uint64_t kb_line(const char *text, const char *name);
double now_seconds(void);

#endif
