/* SPDX-License-Identifier: MIT
 *
 * arena-preload: the text of ld.so.preload, as glibc's rtld reads it.
 *
 * Words are separated by space, tab, newline or colon; '#' starts a comment that
 * ends with the line, also in the middle of a word.  Pure functions: no files here.
 */
#include "preload.h"

#include <stdlib.h>
#include <string.h>

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == ':';
}

/* The next word from *pos on; false at the end. */
bool ap_edit_next(const struct ap_text *t, size_t *pos, const char **word, size_t *len)
{
	size_t i = *pos;

	for (; i < t->len; i++) {
		if (t->data[i] == '#') {
			while (i < t->len && t->data[i] != '\n')
				i++;
			if (i == t->len)
				break;
		} else if (!is_separator(t->data[i])) {
			size_t end = i;

			while (end < t->len && !is_separator(t->data[end]) && t->data[end] != '#')
				end++;
			*word = t->data + i;
			*len = end - i;
			*pos = end;
			return true;
		}
	}
	*pos = t->len;
	return false;
}

bool ap_edit_has(const struct ap_text *t, ap_match_fn *match, const void *ctx)
{
	const char *word;
	size_t len, pos = 0;

	while (ap_edit_next(t, &pos, &word, &len))
		if (match(word, len, ctx))
			return true;
	return false;
}

/* Any name under which a libarena can be listed, or exactly the entry of --library. */
bool ap_match_ours(const char *word, size_t len, const void *ctx)
{
	const struct ap *a = ctx;
	const char *base = memrchr(word, '/', len);

	if (strlen(a->entry) == len && memcmp(a->entry, word, len) == 0)
		return true;
	base = base ? base + 1 : word;
	len -= (size_t)(base - word);
	return len >= 11 && memcmp(base, "libarena", 8) == 0 && memmem(base + 8, len - 8, ".so", 3);
}

/*
 * A line of its own, above the line of the first entry or at the end; everything
 * else stays byte for byte.  Not above leading comments: see ap_edit_misread.
 */
void ap_edit_add(const struct ap_text *t, const char *entry, bool last, mode_t mode,
		 struct ap_text *out)
{
	size_t n = strlen(entry), at = 0, len;
	char *p = ap_alloc(t->len + n + 2);
	const char *word;

	*out = (struct ap_text){ .data = p, .mode = mode, .exists = true };
	if (last || !ap_edit_next(t, &at, &word, &len)) {
		at = t->len;
	} else {
		at = (size_t)(word - t->data);
		while (at && t->data[at - 1] != '\n')
			at--;
	}
	if (at) {
		p = mempcpy(p, t->data, at);
		if (p[-1] != '\n')
			*p++ = '\n';
	}
	p = mempcpy(p, entry, n);
	*p++ = '\n';
	if (at < t->len)
		p = mempcpy(p, t->data + at, t->len - at);
	out->len = (size_t)(p - out->data);
}

/*
 * Would ld.so take a comment for the name of a library?  glibc (seen: 2.36) blanks
 * comments in a loop that shortens the rest of the file after each, but searches
 * from the start of the file again: a '#' near the end survives if there was
 * another before it.  The same loop, on a copy.
 */
bool ap_edit_misread(const struct ap_text *t)
{
	char *copy = ap_alloc(t->len);
	size_t rest = t->len;
	bool stray;

	if (t->len)
		memcpy(copy, t->data, t->len);
	while (rest > 0) {
		char *comment = memchr(copy, '#', rest);

		if (!comment)
			break;
		rest -= (size_t)(comment - copy);
		do
			*comment = ' ';
		while (--rest > 0 && *++comment != '\n');
	}
	stray = t->len && memchr(copy, '#', t->len);
	free(copy);
	return stray;
}

/*
 * Cut the words that match.  A line that held nothing else goes whole; from a
 * shared line the word goes with one separator before it (after it, at its start).
 * Nothing left at all: the file is to go too.
 */
void ap_edit_remove(const struct ap_text *t, ap_match_fn *match, const void *ctx,
		    struct ap_text *out)
{
	const char *word;
	size_t len, pos = 0, copied = 0;

	*out = (struct ap_text){ .data = ap_alloc(t->len), .mode = t->mode };
	while (ap_edit_next(t, &pos, &word, &len)) {
		size_t from = (size_t)(word - t->data), to = from + len;
		size_t line = from, end = to;

		if (!match(word, len, ctx))
			continue;
		while (line > copied && (t->data[line - 1] == ' ' || t->data[line - 1] == '\t'))
			line--;
		while (end < t->len && (t->data[end] == ' ' || t->data[end] == '\t'))
			end++;
		if ((line == 0 || t->data[line - 1] == '\n') &&
		    (end == t->len || t->data[end] == '\n')) {
			from = line;
			to = end < t->len ? end + 1 : end;
		} else if (from > copied && is_separator(t->data[from - 1]) &&
			   t->data[from - 1] != '\n') {
			from--;
		} else if (to < t->len && is_separator(t->data[to]) && t->data[to] != '\n') {
			to++;
		}
		memcpy(out->data + out->len, t->data + copied, from - copied);
		out->len += from - copied;
		copied = to;
		if (pos < to)
			pos = to;
	}
	if (copied < t->len)
		memcpy(out->data + out->len, t->data + copied, t->len - copied);
	out->len += t->len - copied;
	out->exists = out->len > 0;
}
