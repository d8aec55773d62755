/* SPDX-License-Identifier: MIT
 *
 * foreign KIND CALL - free, realloc, usable or sized is called with a pointer that never came from
 * the allocator.
 */
#include <sys/mman.h>

#include "crime.h"
#include "call.h"

static char of_static_data[4096] __attribute__((aligned(4096)));

static void *pointer_of(const char *kind, void *on_stack)
{
	char *p;

	if (strcmp(kind, "stack") == 0)
		return on_stack;
	if (strcmp(kind, "static") == 0)
		return of_static_data + 64;
	if (strcmp(kind, "code") == 0)
		return (void *)((uintptr_t)&pointer_of & ~(uintptr_t)15);
	if (strcmp(kind, "low") == 0)
		return (void *)16;
	if (strcmp(kind, "noncanonical") == 0)
		return (void *)(uintptr_t)UINT64_C(0xdeadbeefdeadbee0);
	if (strcmp(kind, "noncanonical-odd") == 0)
		return (void *)(uintptr_t)UINT64_C(0xdeadbeefdeadbeef);
	if (strcmp(kind, "kernel") == 0)
		return (void *)(uintptr_t)UINT64_C(0xffffffff81000000);
	if (strcmp(kind, "top") == 0)
		return (void *)(UINTPTR_MAX - 15);
	if (strcmp(kind, "mmap") == 0 || strcmp(kind, "mmap-start") == 0) {
		/* 64 MiB, aligned like any chunk could be. */
		p = mmap(NULL, (size_t)64 << 20, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (kind[4] == '\0')
			return p + 4096 + 64;
		return (void *)(((uintptr_t)p + ((size_t)32 << 20)) & ~(((uintptr_t)32 << 20) - 1));
	}
	say("unknown kind\n");
	_exit(76);
}

int main(int argc, char **argv)
{
	char on_stack[256] __attribute__((aligned(64)));
	void *p, *own = c.malloc(100); /* the heap exists: this is not a first call */

	if (argc != 3)
		return 76;
	memset(on_stack, 0, sizeof on_stack);
	p = pointer_of(argv[1], on_stack + 64);
	CRIME(p, call_with(argv[2], p, 100));
	force_flush();
	c.free(own);
	return 0;
}
