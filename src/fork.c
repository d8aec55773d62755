/* SPDX-License-Identifier: MIT
 *
 * fork.c - the child of fork.  Layer api.
 *
 * Nothing happens before a fork, and no lock is taken: glibc takes its stdio lock after the
 * prepare handlers, so an allocator that locks there deadlocks with a thread that holds the stdio
 * lock and waits in malloc.  Instead the child, which is alone, resets every lock and mends, layer
 * by layer from the bottom, what the vanished threads were in the middle of: see the notes on fork
 * in meta.c, pages.h, huge.c and thread.c.
 */
#include "fork.h"

#include "meta.h"
#include "pages.h"
#include "tcache.h"

void arn_fork_child(void)
{
	arn_meta_fork_child();
	arn_pages_fork_child();
	arn_thread_fork_child();
	/* Most children exec at once: nothing is written that need not be, since it would copy a
	 * page. */
	if (arn_locks_mine != 0) /* a handler that interrupted a holder has forked */
		arn_locks_mine = 0;
}
