/* SPDX-License-Identifier: MIT
 *
 * explore.h - between the explorer (explore.c), the world of the library in it (world.c) and the
 * scenarios (scenarios.c).
 */
#ifndef TESTS_MODEL_EXPLORE_H
#define TESTS_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { THREADS_MAX = 4 };

struct scenario {
	const char *name, *what;
	void (*setup)(void);                 /* before the threads begin; no interleaving */
	void (*thread[THREADS_MAX])(void);
	void (*check)(void);                 /* after they ended */
};
extern const struct scenario scenarios[];

/* Ends the exploration: the schedule that leads here is shown. */
void violation(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define EXPECT(e, format, ...) \
	do { \
		if (!(e)) \
			violation("%s: " format, #e, ##__VA_ARGS__); \
	} while (0)

/* The number of the thread that runs; -1 in setup and check. */
int explore_me(void);
/* A step that may be taken only while the 32-bit word at P is 0. */
void explore_wait_zero(const volatile void *p);
/* The kernel: zeroes memory; a futex. */
void explore_zero(void *p, size_t n);
void explore_futex_wait(const volatile void *word, uint32_t expected);
void explore_futex_wake(const volatile void *word);

/* world.c: the memory that is put back before each execution, besides .data and .bss.  What is mapped
 * later is zeroed by world_again(), before the variables of world.c are put back. */
void world_begin(void);
void *world_memory(size_t *n);
void world_again(void);
extern bool world_real_lock; /* lock.c's waiting half, not the explorer's */

#endif
