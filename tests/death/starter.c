/* SPDX-License-Identifier: MIT
 *
 * starter CASE - crimes with the first few blocks of a size, which lie in a starter run and are in
 * no cache: each is found by the call that commits it.
 */
#include "crime.h"

static void *volatile victim;

static void *free_it(void *is_second)
{
	if (is_second)
		CRIME(victim, c.free(victim));
	else
		c.free(victim);
	return NULL;
}

static void in_thread(int is_second)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, free_it, is_second ? &thread : NULL) == 0)
		pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char *p = c.malloc(100), *q = c.malloc(100);

	victim = p;
	if (strcmp(what, "apart") == 0) {
		c.free(p);
		c.free(q);
		CRIME(p, c.free(p));
	} else if (strcmp(what, "reused") == 0) {
		c.free(p);
		c.free(c.malloc(40));
		c.free(c.malloc(100));
		CRIME(p, c.free(p));
	} else if (strcmp(what, "inside") == 0) {
		CRIME(p + 16, c.free(p + 16));
	} else if (strcmp(what, "inside-usable") == 0) {
		CRIME(p + 96, c.usable_size(p + 96));
	} else if (strcmp(what, "usable") == 0) {
		c.free(p);
		CRIME(p, c.usable_size(p));
	} else if (strcmp(what, "realloc") == 0) {
		c.free(p);
		c.free(q);
		CRIME(p, (void)(c.realloc(p, 10) == p));
	} else if (strcmp(what, "unused") == 0) {
		p = (char *)((uintptr_t)p | 0x3ff0);
		CRIME(p, c.free(p));
	} else if (strcmp(what, "sized") == 0) {
		CRIME(p, c.free_sized(p, 40));
	} else if (strcmp(what, "thread-first") == 0) {
		in_thread(0);
		CRIME(p, c.free(p));
	} else if (strcmp(what, "thread-usable") == 0) {
		in_thread(0);
		CRIME(p, c.usable_size(p));
	} else if (strcmp(what, "thread-realloc") == 0) {
		in_thread(0);
		CRIME(p, (void)(c.realloc(p, 104) == p));
	} else if (strcmp(what, "thread-second") == 0) {
		c.free(p);
		in_thread(1);
	} else if (strcmp(what, "threads") == 0) {
		in_thread(0);
		in_thread(1);
	} else {
		return 76;
	}
	force_flush();
	return 0;
}
