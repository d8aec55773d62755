/* SPDX-License-Identifier: MIT
 *
 * lock.h - a futex lock of one word that a forked child may reset, and the ranks of all locks.
 * Layer os.
 *
 * All-zero is an unlocked lock.  A lock is taken only in the order of the ranks below; it is never
 * held across fork by the forking thread (but by a signal handler that interrupted the slow half:
 * see fork.c), and what it protects is consistent, or may be leaked, at every store.
 */
#ifndef ARN_LOCK_H
#define ARN_LOCK_H

#include "compiler.h"

/*
 * rank  lock               protects
 *  1    threads_lock       heap table, waiting queue
 *  2    heap->lock         runs and bins of one heap or arena (others only try)
 *  3    pages_lock         chunks, spans, huge mappings, the page map's shape
 *  4    meta_lock          the allocator's own memory
 */
struct lock {
	_Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody may sleep */
};

/* fork() runs our handler in the child; _Fork() and a raw clone run none.  There a lock that a
 * vanished thread held would never be free.  Who is about to sleep looks at a word that the kernel
 * wipes in every child, and, if it is gone, has REPAIR reset all locks first.  Watching begins with
 * the second thread: a process with one has nobody to vanish. */
void arn_lock_watch_begin(void);
/* In a child that is being repaired. */
void arn_lock_watch_again(void);
void arn_lock_watch_set(void (*repair)(void));
/* The same look, without a lock to wait for: before a thread gets its heap. */
void arn_lock_watch_check(void);

void arn_lock_take_slow(struct lock *l);
void arn_lock_wake_slow(struct lock *l);
/* Whether L is free, or becomes so about as fast as a running holder is: false when it is held by
 * the code that a signal handler, our caller, has interrupted. */
bool arn_lock_soon(struct lock *l);

/* Locks that this thread holds, or is about to take or has just dropped: counted a little too long,
 * so that a signal handler that finds 0 may wait for any lock, and one that finds more for none
 * (alloc.c:heap_for). */
extern ARN_TLS unsigned arn_locks_mine ARN_HIDDEN;

static inline void lock_count_up(void)
{
	arn_locks_mine++;
	atomic_signal_fence(memory_order_seq_cst);
}

/* A forked child begins at 0, also one that returns into code that held locks. */
static inline void lock_count_down(void)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (likely(arn_locks_mine != 0))
		arn_locks_mine--;
}

static inline bool lock_swap(struct lock *l)
{
	uint32_t idle = 0;

	/* Acquire pairs with the release in lock_drop(). */
	return atomic_compare_exchange_strong_explicit(&l->word, &idle, 1, memory_order_acquire,
						       memory_order_relaxed);
}

static inline bool lock_try(struct lock *l)
{
	lock_count_up();
	if (likely(lock_swap(l)))
		return true;
	lock_count_down();
	return false;
}

static inline void lock_take(struct lock *l)
{
	lock_count_up();
	if (unlikely(!lock_swap(l)))
		arn_lock_take_slow(l);
}

static inline void lock_drop(struct lock *l)
{
	if (unlikely(atomic_exchange_explicit(&l->word, 0, memory_order_release) == 2))
		arn_lock_wake_slow(l);
	lock_count_down();
}

static inline bool lock_is_held(struct lock *l)
{
	return atomic_load_explicit(&l->word, memory_order_relaxed) != 0;
}

/* In a forked child only: whoever held it is gone.  Returns whether it was held.  A free one is not
 * written: that would copy its page. */
static inline bool lock_reset(struct lock *l)
{
	return lock_is_held(l) && atomic_exchange_explicit(&l->word, 0, memory_order_relaxed) != 0;
}

#endif
