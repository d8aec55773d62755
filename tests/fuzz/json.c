/* SPDX-License-Identifier: MIT
 *
 * json.c - fuzz target: `alloc-stats diff` on two documents that anybody may have written.  The input
 * is both, a byte of 0 between them.
 */
#include "input.h"

#include <string.h>

#include "show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static FILE *nowhere;
	const uint8_t *cut = memchr(data, 0, n);
	struct json_object *a, *b;
	char *text;

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	if (cut == NULL)
		return 0;
	text = malloc(n + 1);
	memcpy(text, data, n);
	text[n] = '\0';
	a = json_tokener_parse(text);
	b = json_tokener_parse(text + (cut - data) + 1);
	if (a != NULL && b != NULL)
		show_diff(nowhere, a, b);
	json_object_put(a);
	json_object_put(b);
	free(text);
	return 0;
}
