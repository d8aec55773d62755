/* SPDX-License-Identifier: MIT
 *
 * startend.c - allocation before main and after it: constructors, atexit handlers, destructors,
 * thread-specific data of the main thread.  The end is tested in a copy of this program, which is
 * run again as `api --at-exit` and answers by its exit status from its very last destructor.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>

#include "form.h"

enum { kept_count = 400, status_of_last_destructor = 42 };

static unsigned char *kept[kept_count];
static int constructor_ran, is_at_exit_child;

static size_t kept_size(int i)
{
	return (size_t)i * (size_t)i + 1; /* 1 B to 160 KB */
}

__attribute__((constructor))
static void construct(void)
{
	form_init();
	for (int i = 0; i < kept_count; i++) {
		kept[i] = F.malloc(kept_size(i));
		pattern_fill(kept[i], 0, kept_size(i), (uint64_t)i);
	}
	constructor_ran = 1;
}

static int kept_is_intact(void)
{
	for (int i = 0; i < kept_count; i++)
		if (kept[i] && !pattern_holds(kept[i], 0, kept_size(i), (uint64_t)i))
			return 0;
	return 1;
}

static int heap_works(void)
{
	for (size_t size = 1; size < 1000000; size += size / 4 + 1) {
		unsigned char *p = F.malloc(size);

		if (!p)
			return 0;
		pattern_fill(p, 0, size, size);
		p = F.realloc(p, size * 2);
		if (!p || !pattern_holds(p, 0, size, size))
			return 0;
		F.free(p);
	}
	return 1;
}

/* Priority 101: the last of the program's own destructors. */
__attribute__((destructor(101)))
static void destruct_last(void)
{
	if (!is_at_exit_child)
		return;
	for (int i = 0; i < kept_count; i += 2) {
		F.free(kept[i]);
		kept[i] = NULL;
	}
	_exit(heap_works() && kept_is_intact() ? status_of_last_destructor : 5);
}

__attribute__((destructor))
static void destruct(void)
{
	if (is_at_exit_child && !(heap_works() && kept_is_intact()))
		_exit(4);
}

static void at_exit(void)
{
	if (!(heap_works() && kept_is_intact()))
		_exit(3);
}

int start_end_child(void)
{
	is_at_exit_child = 1;
	alarm(60); /* ten seconds of them were seen on a busy machine */
	if (!constructor_ran)
		return 2;
	for (int i = 0; i < 40; i++) /* more than libc's static 32 slots: libc callocs */
		if (atexit(at_exit) != 0)
			return 2;
	return 0;
}

void test_start_end(void)
{
	int status = -1;
	pid_t pid;

	tap_ok(constructor_ran && kept_is_intact(), "blocks allocated by a constructor are intact");
	pid = fork();
	if (pid == 0) {
		execl("/proc/self/exe", "api", "--at-exit", (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	tap_ok(WIFEXITED(status) && WEXITSTATUS(status) == status_of_last_destructor,
	       "malloc and free in atexit handlers and destructors (status %#x)",
	       (unsigned)status);
	for (int i = 0; i < kept_count; i++) {
		F.free(kept[i]);
		kept[i] = NULL;
	}
}
