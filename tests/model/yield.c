/* SPDX-License-Identifier: MIT
 *
 * yield.c - the points of points.h for a stress test: at a random few of the library's atomic
 * operations, before or after, the thread gives the CPU away or sleeps for a moment, so that another
 * one comes in between.  YIELD_SEED chooses which.
 */
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "points.h"
#undef __atomic_load
#undef __atomic_store
#undef __atomic_exchange
#undef __atomic_compare_exchange
#undef __atomic_fetch_or
#undef __atomic_fetch_add
#undef __atomic_load_n
#undef __atomic_store_n

static unsigned long points;

static void pause_at(void)
{
	static __thread uint64_t state;
	static uint64_t threads;

	if (state == 0) {
		const char *seed = getenv("YIELD_SEED");

		state = (seed != NULL ? strtoull(seed, NULL, 10) : 1) * 0x9e3779b97f4a7c15u +
			__atomic_add_fetch(&threads, 1, __ATOMIC_RELAXED);
	}
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	__atomic_add_fetch(&points, 1, __ATOMIC_RELAXED);
	/* Of 64 points one yields, of 4096 one sleeps long enough for the others' slow paths. */
	if (state % 4096 == 0)
		nanosleep(&(struct timespec){.tv_nsec = (long)(state >> 32) % 100000}, NULL);
	else if (state % 64 == 0)
		sched_yield();
}

unsigned long yield_points(void);
unsigned long yield_points(void)
{
	return __atomic_load_n(&points, __ATOMIC_RELAXED);
}

/* The machine's operation for each size.  A variable order is taken for the strongest: the orders are
 * the model checker's matter. */
#define BY_SIZE(n, f) \
	do { \
		if ((n) == 8) \
			f(uint64_t); \
		else if ((n) == 4) \
			f(uint32_t); \
		else if ((n) == 2) \
			f(uint16_t); \
		else \
			f(uint8_t); \
	} while (0)

void point_load(const volatile void *p, void *value, size_t n, int order, const struct place *where)
{
	(void)order;
	(void)where;
	pause_at();
#define LOAD(t) __atomic_load((const volatile t *)p, (t *)value, __ATOMIC_ACQUIRE)
	BY_SIZE(n, LOAD);
}

void point_store(volatile void *p, const void *value, size_t n, int order, const struct place *where)
{
	(void)order;
	(void)where;
	pause_at();
#define STORE(t) __atomic_store((volatile t *)p, (t *)value, __ATOMIC_RELEASE)
	BY_SIZE(n, STORE);
	pause_at();
}

void point_exchange(volatile void *p, const void *value, void *old, size_t n, int order,
		    const struct place *where)
{
	(void)order;
	(void)where;
	pause_at();
#define EXCHANGE(t) __atomic_exchange((volatile t *)p, (t *)value, (t *)old, __ATOMIC_ACQ_REL)
	BY_SIZE(n, EXCHANGE);
	pause_at();
}

bool point_compare(volatile void *p, void *expected, const void *value, size_t n, int order,
		   const struct place *where)
{
	bool done;

	(void)order;
	(void)where;
	pause_at();
#define COMPARE(t) \
	done = __atomic_compare_exchange((volatile t *)p, (t *)expected, (t *)value, false, \
					 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
	BY_SIZE(n, COMPARE);
	pause_at();
	return done;
}

unsigned long point_fetch(volatile void *p, unsigned long value, size_t n, char kind, int order,
			  const struct place *where)
{
	unsigned long old;

	(void)order;
	(void)where;
	pause_at();
#define FETCH(t) \
	old = kind == '|' ? __atomic_fetch_or((volatile t *)p, (t)value, __ATOMIC_ACQ_REL) : \
			    __atomic_fetch_add((volatile t *)p, (t)value, __ATOMIC_ACQ_REL)
	BY_SIZE(n, FETCH);
	pause_at();
	return old;
}
