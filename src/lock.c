/* SPDX-License-Identifier: MIT
 *
 * lock.c - the waiting half of the futex lock.  Layer os.
 */
#include "lock.h"

#include "os.h"

/* Critical sections take some hundred nanoseconds: look again that often before sleeping. */
#define SPINS 100

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

ARN_SLOW void arn_lock_take_slow(struct lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		relax();
		if (!lock_is_held(l) && lock_try(l))
			return;
	}
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		os_futex_wait(&l->word, 2);
}

ARN_SLOW void arn_lock_wake_slow(struct lock *l)
{
	os_futex_wake(&l->word);
}
