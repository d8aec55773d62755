/* SPDX-License-Identifier: MIT
 *
 * plugin_host.c - a C program, no libstdc++ in it, that loads a C++ plugin with RTLD_LOCAL:
 * operator new must find std::bad_alloc in a libstdc++ that no global scope shows.
 * Usage: plugin_host PLUGIN.so
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#define TAP_OWNER
#include "../lib/tap.h"

static int loaded_twice(const char *path)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int (*run)(void);
	int works;

	if (!tap_ok(handle != NULL, "the plugin loads (%s)", handle ? "RTLD_LOCAL" : dlerror()))
		return 0;
	*(void **)&run = dlsym(handle, "plugin_run");
	works = run ? run() : 0;
	tap_ok(works & 1, "the plugin catches std::bad_alloc");
	tap_ok(works & 2, "nothrow new gives a null pointer");
	tap_ok(works & 4, "the plugin's new_handler is called");
	tap_ok(works & 16, "the aligned form throws std::bad_alloc");
	tap_ok(works & 8, "std::string works afterwards");
	return dlclose(handle) == 0;
}

int main(int argc, char **argv)
{
	const char *expected = getenv("ARENA_TEST_LIB");
	void *function = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info info;
	const char *slash;

	if (argc != 2) {
		fprintf(stderr, "usage: plugin_host PLUGIN.so\n");
		return 2;
	}
	if (!expected || !*expected)
		expected = "libarena";
	if (!dladdr(function, &info))
		return 2;
	slash = strrchr(info.dli_fname, '/');
	tap_ok(strstr(slash ? slash : info.dli_fname, expected) != NULL,
	       "malloc comes from %s (%s)", expected, info.dli_fname);
	tap_ok(loaded_twice(argv[1]), "the plugin unloads");
	tap_ok(loaded_twice(argv[1]), "and once more");
	return tap_done();
}
