/* SPDX-License-Identifier: MIT
 *
 * crime.h - what the one-crime programs share.  Each program commits exactly one crime:
 *
 *	CRIME(address, call);	announces ADDRESS on stdout, makes the call, says "survived"
 *	force_flush();		so that what is found at flush is found now
 *	return 0;		nobody noticed: the driver counts that as "never"
 *
 * Compiled twice: plain, to be run under LD_PRELOAD (names beyond libc's are looked up), and with
 * FORM_PREFIXED, linked with the prefixed library.  The driver is death.sh, the table `crimes`.
 */
#ifndef TESTS_DEATH_CRIME_H
#define TESTS_DEATH_CRIME_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arena/amalloc.h>

/* Calls go through pointers that the compiler must load, so that it cannot warn about, reason
 * from, or drop the very mistakes these programs are made of. */
struct crime_calls {
	void *(*malloc)(size_t);
	void *(*memalign)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
	void (*free_sized)(void *, size_t);
	void (*free_aligned_sized)(void *, size_t, size_t);
	size_t (*usable_size)(const void *);
	int (*trim)(size_t);
	struct arena *(*arena_create)(void);
	void (*arena_destroy)(struct arena *);
	void *(*arena_malloc)(struct arena *, size_t);
};

static volatile struct crime_calls c;

#ifdef FORM_PREFIXED
#define CRIME_SET(member, libc_name, prefixed_name) (c.member = prefixed_name)
#else
/* ISO C has no cast from an object pointer to a function pointer; POSIX's dlsym needs one. */
#define CRIME_SET(member, libc_name, prefixed_name) \
	(*(void *volatile *)&c.member = dlsym(RTLD_DEFAULT, libc_name))
#endif

__attribute__((constructor))
static void set_calls(void)
{
	CRIME_SET(malloc, "malloc", amalloc);
	CRIME_SET(memalign, "memalign", amemalign);
	CRIME_SET(realloc, "realloc", arealloc);
	CRIME_SET(free, "free", afree);
	CRIME_SET(free_sized, "free_sized", afree_sized);
	CRIME_SET(free_aligned_sized, "free_aligned_sized", afree_aligned_sized);
	CRIME_SET(usable_size, "malloc_usable_size", amalloc_usable_size);
	CRIME_SET(trim, "malloc_trim", amalloc_trim);
	CRIME_SET(arena_create, "arena_create", arena_create);
	CRIME_SET(arena_destroy, "arena_destroy", arena_destroy);
	CRIME_SET(arena_malloc, "arena_malloc", arena_malloc);
	/* Not libarena, or one without these: no crime of theirs can be shown. */
	if (!c.free_sized || !c.arena_create) {
		static const char text[] = "free_sized or arena_create is missing\n";

		_exit(write(STDOUT_FILENO, text, sizeof text - 1) < 0 ? 76 : 77);
	}
}

/* write(2), for stdio would allocate between the crime and its discovery. */
__attribute__((unused))
static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(76);
}

__attribute__((unused))
static void announce(const volatile void *address)
{
	char line[64];

	snprintf(line, sizeof line, "crime 0x%jx\n", (uintmax_t)(uintptr_t)address);
	say(line);
}

#define CRIME(address, call)                    \
	do {                                    \
		announce(address);              \
		call;                           \
		say("survived\n");              \
	} while (0)

/* The first few blocks of a size lie together with others (starter.c has its own rows): after
 * these, the next ones of SIZE are like those of a program that has run for a while. */
__attribute__((unused))
static void leave_starters(size_t size)
{
	enum { count = 32 };
	void *block[count];

	for (int i = 0; i < count; i++)
		block[i] = c.malloc(size);
	for (int i = 0; i < count; i++)
		c.free(block[i]);
}

/* The size that the table gives as the program's argument NUMBER. */
__attribute__((unused))
static size_t size_argument(int argc, char **argv, int number)
{
	size_t size;

	if (number >= argc) {
		say("an argument is missing\n");
		_exit(76);
	}
	size = strtoul(argv[number], NULL, 0);
	if (number == 1 && size <= 1024)
		leave_starters(size);
	return size;
}

__attribute__((unused))
static void *flush_in_thread(void *arg)
{
	for (size_t size = 1; size < 300000; size += size / 2 + 1)
		c.free(c.malloc(size));
	return arg;
}

/* Everything that makes a cache give up what it holds, in the order of cost: free more blocks of
 * each size than any cache keeps, take them again, trim, and end a thread.  A program that
 * lives on does the same by and by. */
__attribute__((unused))
static void force_flush(void)
{
	enum { count = 10000 }; /* caches hold 2048 pointers at most; five times that */
	static void *block[count];
	pthread_t thread;

	for (size_t size = 8; size <= 8192; size = size * 5 / 4 + 8) {
		for (int round = 0; round < 2; round++) {
			for (int i = 0; i < count; i++)
				block[i] = c.malloc(size);
			for (int i = 0; i < count; i++)
				c.free(block[i]);
		}
	}
	for (size_t size = 8192; size <= (size_t)1 << 20; size = size * 5 / 4)
		for (int round = 0; round < 2; round++) {
			for (int i = 0; i < 64; i++)
				block[i] = c.malloc(size);
			for (int i = 0; i < 64; i++)
				c.free(block[i]);
		}
	c.trim(0);
	if (pthread_create(&thread, NULL, flush_in_thread, NULL) == 0)
		pthread_join(thread, NULL);
}

#endif
