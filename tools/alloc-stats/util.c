/* SPDX-License-Identifier: MIT
 *
 * util.c - see util.h.
 */
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void *grab(size_t n)
{
	void *p = calloc(1, n > 0 ? n : 1);

	if (p == NULL)
		fatal(EXIT_FAILED, "out of memory");
	return p;
}

void *grab_again(void *p, size_t n)
{
	p = realloc(p, n > 0 ? n : 1);
	if (p == NULL)
		fatal(EXIT_FAILED, "out of memory");
	return p;
}

char *grab_text(const char *text)
{
	char *p = strdup(text);

	if (p == NULL)
		fatal(EXIT_FAILED, "out of memory");
	return p;
}

char *grab_format(const char *format, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, format);
	n = vasprintf(&p, format, ap);
	va_end(ap);
	if (n < 0)
		fatal(EXIT_FAILED, "out of memory");
	return p;
}

void *grab_room(void *array, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity == 0 ? 16 : *capacity * 2;
	return grab_again(array, *capacity * size);
}

__attribute__((format(printf, 1, 0)))
static void say(const char *format, va_list ap)
{
	fputs("alloc-stats: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
}

void warning(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
}

void fatal(int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(format, ap);
	va_end(ap);
	exit(status);
}

char *human(char *text, double bytes)
{
	static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	const char *sign = bytes < 0 ? "-" : "";
	unsigned u = 0;

	if (bytes < 0)
		bytes = -bytes;
	/* 999.5 would print as a four-digit 1000. */
	while (bytes >= 999.5 && u < 4) {
		bytes /= 1024;
		u++;
	}
	if (bytes == 0)
		snprintf(text, HUMAN_MAX, "0");
	else
		snprintf(text, HUMAN_MAX, "%s%.*f %s", sign, u > 0 && bytes < 9.95, bytes, unit[u]);
	return text;
}

char *read_whole(int dir_fd, const char *name, size_t limit, size_t *length)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	size_t n = 0, capacity = 4096;
	char *text;
	ssize_t got = 0;

	if (fd < 0)
		return NULL;
	text = grab(capacity);
	while (n < limit) {
		if (capacity - n < 2) {
			capacity *= 2;
			text = grab_again(text, capacity);
		}
		got = read(fd, text + n, capacity - n - 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (got < 0) {
		int saved = errno;

		free(text);
		close(fd);
		errno = saved;
		return NULL;
	}
	close(fd);
	text[n] = '\0';
	if (length != NULL)
		*length = n;
	return text;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *value <= max;
}

uint64_t kb_line(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) == 0 && line[n] == ':')
			return strtoull(line + n + 1, NULL, 10) * 1024;
	}
	return 0;
}

double now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}
