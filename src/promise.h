/* SPDX-License-Identifier: MIT
 *
 * promise.h - how many dirty bytes may stay.  Layer pages; under pages_lock.
 *
 * When a call returns, dirty bytes (free pages in chunks, cached huge mappings) are at most
 *
 *     used / 8 + dirty_kib + extra          0 <= extra <= 64 MiB
 *
 * extra follows what the program does, without a clock.  It is 0 until memory that was given back
 * turns out to be wanted again: each byte taken fresh from the kernel that was given back before,
 * in the same epoch or not long before it, is regretted, and added, six times when it was taken for
 * a large or huge block.  An epoch ends when the program has taken sixteen times the limit; if more
 * than half of the limit lay dirty through all of it, a quarter of that was wanted by nobody and is
 * taken off.  So a loop over 64 MiB faults them in twice, not each time, and a program that turns to
 * other work gives them back.
 *
 * What is dirty because of regrets the kernel may have when memory is short, as under a memory.max
 * that what is in use fits in: when fresh memory is taken while more than used / 8 + dirty_kib is
 * dirty, all of it is offered (MADV_FREE).
 *
 * Free rows inside of runs that are partly in use are the heaps' own (heap.c:purge_runs): each heap
 * may keep the limit's share, and what it regretted, at most 64 MiB more for all heaps together.
 */
#ifndef ARN_PROMISE_H
#define ARN_PROMISE_H

#include "compiler.h"

size_t arn_promise_limit(size_t used);
/* Without regrets. */
size_t arn_promise_firm(size_t used);

/* TAKEN bytes were handed out, CLEAN of them not resident, to a BLOCK (large or huge) or a run; DIRTY
 * bytes are dirty now.  True at the end of an epoch: the limit may have fallen. */
bool arn_promise_took(size_t taken, size_t clean, bool block, size_t dirty, size_t used);
/* A heap wants N bytes again that it gave back from inside of its runs: returns how many more it
 * may keep from now on; and gives up N of what it was allowed. */
size_t arn_promise_regret_runs(size_t n);
void arn_promise_forget_runs(size_t n);
/* N bytes were given back. */
void arn_promise_gave(size_t n);

#endif
