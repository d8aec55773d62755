/* SPDX-License-Identifier: MIT
 *
 * oom.c - no more memory: every function answers NULL and ENOMEM, nothing allocated is lost, and
 * after some frees the process goes on.  Limits on address space, on data, on mappings.  Each in
 * a child, which answers by its exit status: the step that failed.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "form.h"

#define MiB ((size_t)1 << 20)

/* Blocks are chained: a table would have to be as large as the heap. */
struct link {
	struct link *next;
	size_t size, seed;
	unsigned char bytes[];
};

static struct link *chain;
static size_t chain_length;

static int add_link(size_t size)
{
	struct link *l = F.malloc(size);

	if (!l)
		return 0;
	l->next = chain;
	l->size = size - sizeof *l;
	l->seed = chain_length++;
	pattern_fill(l->bytes, 0, l->size, l->seed);
	chain = l;
	return 1;
}

static int chain_is_intact(void)
{
	size_t length = 0;

	for (struct link *l = chain; l; l = l->next, length++)
		if (!pattern_holds(l->bytes, 0, l->size, l->seed))
			return 0;
	return length == chain_length;
}

static void free_every_second(void)
{
	for (struct link *l = chain; l && l->next; l = l->next) {
		struct link *next = l->next;

		l->next = next->next;
		F.free(next);
		chain_length--;
	}
}

/* All functions of the family say NULL + ENOMEM to SIZE, which cannot be had. */
static int all_fail(size_t size)
{
	struct link *first = chain;
	size_t first_size = first->size;
	void *out = &out;

#define NO_MEMORY(call) (errno = 0, (call) == NULL && errno == ENOMEM)
	return NO_MEMORY(F.malloc(size)) && NO_MEMORY(F.calloc(1, size)) &&
		NO_MEMORY(F.calloc(size / 16, 16)) && NO_MEMORY(F.realloc(NULL, size)) &&
		NO_MEMORY(F.realloc(first, size)) &&
		NO_MEMORY(F.reallocarray(first, size / 16, 16)) &&
		NO_MEMORY(F.memalign(64, size)) && NO_MEMORY(F.memalign(MiB, size)) &&
		NO_MEMORY(F.aligned_alloc(4096, size)) && NO_MEMORY(F.valloc(size)) &&
		NO_MEMORY(F.pvalloc(size)) &&
		F.posix_memalign(&out, 64, size) == ENOMEM && out == &out &&
		chain == first && first->size == first_size;
#undef NO_MEMORY
}

static size_t address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	if (!f || fscanf(f, "%zu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void *thread_body(void *arg)
{
	for (size_t size = 1; size < 100000; size += size / 2 + 1)
		F.free(F.malloc(size));
	return arg;
}

/* From plenty to nothing and back, under whatever limit is set. */
static int exhaust(size_t block_size)
{
	pthread_t thread;

	while (add_link(block_size))
		;
	if (errno != ENOMEM)
		return 11;
	if (chain_length < 4)
		return 12; /* the limit left nothing: this test would prove nothing */
	while (add_link(1000))
		;
	if (errno != ENOMEM)
		return 13;
	while (add_link(64))
		;
	if (errno != ENOMEM)
		return 14;
	if (!all_fail(64 * MiB))
		return 15;
	if (!chain_is_intact())
		return 16;
	/* Shrinking must work even now. */
	for (struct link **l = &chain; *l; l = &(*l)->next) {
		struct link *smaller;

		if ((*l)->size < 500)
			continue;
		(*l)->size /= 2;
		smaller = F.realloc(*l, sizeof **l + (*l)->size);
		if (smaller)
			*l = smaller;
	}
	if (!chain_is_intact())
		return 17;
	free_every_second();
	if (!chain_is_intact())
		return 18;
	for (int i = 0; i < 10; i++)
		if (!add_link(block_size < 100000 ? block_size : 100000))
			return 19;
	if (pthread_create(&thread, NULL, thread_body, NULL) == 0)
		pthread_join(thread, NULL);
	if (!chain_is_intact())
		return 20;
	while (chain) {
		struct link *next = chain->next;

		F.free(chain);
		chain = next;
	}
	chain_length = 0;
	F.free(F.malloc(10 * MiB)); /* may fail, must not crash */
	return F.malloc(100000) ? 0 : 21;
}

struct limit_row {
	const char *name;
	int resource;
	size_t room, block_size;
};

static int under_limit(void *arg)
{
	const struct limit_row *row = arg;
	struct rlimit limit;

	limit.rlim_cur = limit.rlim_max = address_space() + row->room;
	if (row->resource == RLIMIT_DATA)
		limit.rlim_cur = limit.rlim_max = row->room;
	if (setrlimit(row->resource, &limit) != 0)
		return 10;
	return exhaust(row->block_size);
}

/* Every second page gets other rights, until the kernel has no more mappings to give. */
static int without_mappings(void *arg)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 200000, failures = 0;
	void *block[64];
	unsigned char *area = mmap(NULL, count * page, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)arg;
	if (area == MAP_FAILED)
		return 30;
	for (int i = 0; i < 20; i++)
		add_link(5 * MiB);
	for (size_t i = 0; i < count; i += 2)
		if (mprotect(area + i * page, page, PROT_READ) != 0)
			break;
	/* A new mapping beside an old one merges; whatever happens, answers are right. */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 64; i++) {
			size_t size = (size_t)1 << (i % 24);

			errno = 0;
			block[i] = i % 3 ? F.malloc(size) : F.memalign(2 * MiB, size);
			if (block[i])
				memset(block[i], 1, size < MiB ? size : MiB);
			else if (errno != ENOMEM)
				return 31;
			else
				failures++;
		}
		for (int i = 0; i < 64; i++)
			F.free(block[(i * 7) % 64]);
		add_link(3 * MiB);
	}
	if (!chain_is_intact())
		return 32;
	free_every_second();
	if (!chain_is_intact())
		return 33;
	munmap(area, count * page);
	for (int i = 0; i < 20; i++)
		if (!add_link(5 * MiB))
			return 34;
	return chain_is_intact() ? 0 : 35;
}

void test_oom(void)
{
	static const struct limit_row rows[] = {
		{ "RLIMIT_AS, blocks of 1 MiB", RLIMIT_AS, 128 * MiB, 1 * MiB },
		{ "RLIMIT_AS, blocks of 30 MiB", RLIMIT_AS, 200 * MiB, 30 * MiB },
		{ "RLIMIT_AS, blocks of 20000 B", RLIMIT_AS, 64 * MiB, 20000 },
		{ "RLIMIT_AS, blocks of 100 B", RLIMIT_AS, 64 * MiB, 100 },
		{ "RLIMIT_DATA, blocks of 1 MiB", RLIMIT_DATA, 300 * MiB, 1 * MiB },
		{ "RLIMIT_DATA, blocks of 300 B", RLIMIT_DATA, 200 * MiB, 300 },
	};

	if (SANITIZED) {
		tap_skip("out of memory", "the sanitizer needs memory too, and ends without");
		return;
	}
	F.trim(0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int status = in_child(under_limit, (void *)&rows[i], 60);

		tap_ok(status == 0, "out of memory by %s: ENOMEM, all intact, goes on "
		       "(status %#x, step %d)", rows[i].name, (unsigned)status,
		       WEXITSTATUS(status));
	}
	{
		int status = in_child(without_mappings, NULL, 60);

		tap_ok(status == 0, "no more mappings: right answers, all intact, goes on "
		       "(status %#x, step %d)", (unsigned)status, WEXITSTATUS(status));
	}
}
