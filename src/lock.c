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

ARN_TLS unsigned arn_locks_mine;

/* Points to 1 in a page that is zero in a forked child; NULL: not watched. */
static _Atomic uint32_t *_Atomic watch_word;
static void (*_Atomic watch_repair)(void);

void arn_lock_watch_begin(void)
{
	static _Atomic uint32_t begun; /* a byte: riscv64 would need libatomic to exchange it */
	_Atomic uint32_t *word;

	if (atomic_load_explicit(&begun, memory_order_relaxed) ||
	    atomic_exchange_explicit(&begun, 1, memory_order_relaxed))
		return;
	word = arn_os_map(NULL, arn_os_page_bytes());
	/* A sandbox or an old kernel may refuse: then nothing is watched. */
	if (word == NULL || !arn_os_wipe_on_fork(word, arn_os_page_bytes()))
		return;
	atomic_store_explicit(word, 1, memory_order_relaxed);
	/* Release pairs with the acquire in arn_lock_watch_check(). */
	atomic_store_explicit(&watch_word, word, memory_order_release);
}

void arn_lock_watch_again(void)
{
	_Atomic uint32_t *word = atomic_load_explicit(&watch_word, memory_order_relaxed);

	if (word != NULL)
		atomic_store_explicit(word, 1, memory_order_relaxed);
}

void arn_lock_watch_set(void (*repair)(void))
{
	atomic_store_explicit(&watch_repair, repair, memory_order_relaxed);
}

void arn_lock_watch_check(void)
{
	_Atomic uint32_t *word = atomic_load_explicit(&watch_word, memory_order_acquire);
	void (*repair)(void) = atomic_load_explicit(&watch_repair, memory_order_relaxed);

	if (word != NULL && repair != NULL &&
	    atomic_exchange_explicit(word, 1, memory_order_relaxed) == 0) {
		unsigned mine = arn_locks_mine;

		repair();
		/* Who waits here goes on to take the lock, and to drop those it held. */
		arn_locks_mine = mine;
	}
}

ARN_SLOW void arn_lock_take_slow(struct lock *l)
{
	for (int i = 0; i < SPINS; i++) {
		relax();
		if (!lock_is_held(l) && lock_swap(l))
			return;
	}
	arn_lock_watch_check();
	while (atomic_exchange_explicit(&l->word, 2, memory_order_acquire) != 0)
		arn_os_futex_wait(&l->word, 2);
}

bool arn_lock_soon(struct lock *l)
{
	for (int i = 0; i < 10 * SPINS && lock_is_held(l); i++)
		relax();
	return !lock_is_held(l);
}

ARN_SLOW void arn_lock_wake_slow(struct lock *l)
{
	arn_os_futex_wake(&l->word);
}
