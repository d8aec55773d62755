/* SPDX-License-Identifier: MIT
 *
 * api.c - every semantic of the malloc family, a row each; see form.h for the three forms.
 * `api` runs all groups, `api GROUP...` some.  The environment variable ARENA_TEST_LIB names the
 * library that must serve (a part of its path, default "libarena"; "static" in a static program).
 */
#define TAP_OWNER
#include "form.h"

static const struct {
	const char *name;
	void (*run)(void);
} groups[] = {
	{ "basic", test_basic },     { "limits", test_limits },
	{ "align", test_align },     { "sizes", test_sizes },
	{ "heap", test_heap },       { "overlap", test_overlap },
	{ "threads", test_threads }, { "thread-exit", test_thread_exit },
	{ "fork", test_fork },       { "start-end", test_start_end },
	{ "oom", test_oom },         { "arenas", test_arenas },
};

static int is_wanted(const char *name, int argc, char **argv)
{
	if (argc < 2)
		return 1;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	form_init();
	if (argc == 2 && strcmp(argv[1], "--at-exit") == 0)
		return start_end_child();
	form_prove();
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
		if (!is_wanted(groups[i].name, argc, argv))
			continue;
		tap_note("%s (%s form)", groups[i].name, F.name);
		groups[i].run();
	}
	return tap_done();
}
