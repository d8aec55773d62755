/* SPDX-License-Identifier: MIT
 *
 * valgrind.h - what memcheck is told of our blocks, when configured --with-valgrind.  Layer base.
 *
 * Memcheck sees mappings, not blocks.  It learns of each block the size that was asked (no red
 * zones: what lies between blocks, and free pages, is unaddressable), and remembers freed ones.
 * Metadata is unaddressable for it too, so that the pointers in tcaches and runs keep no lost block
 * reachable; our own accesses to it are not reported (memcheck lists these ranges in its last
 * lines).
 *
 * Without --with-valgrind all of this compiles to nothing; with it, outside of valgrind, to a few
 * instructions for each call.
 */
#ifndef ARN_VALGRIND_H
#define ARN_VALGRIND_H

#include "compiler.h"

#if ARN_VALGRIND
#include <valgrind/memcheck.h>
#else
/* Never reached, but compiled. */
#define VALGRIND_MALLOCLIKE_BLOCK(p, size, redzone, zero)    ((void)(p), (void)(size), (void)(zero))
#define VALGRIND_FREELIKE_BLOCK(p, redzone)                  ((void)(p))
#define VALGRIND_RESIZEINPLACE_BLOCK(p, old, size, redzone)  ((void)(p), (void)(old), (void)(size))
#define VALGRIND_MAKE_MEM_NOACCESS(p, n)                     ((void)(p), (void)(n))
#define VALGRIND_MAKE_MEM_DEFINED(p, n)                      ((void)(p), (void)(n))
#define VALGRIND_CHECK_MEM_IS_ADDRESSABLE(p, n)              ((void)(p), (void)(n), 0)
#define VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE(p, n) ((void)(p), (void)(n))
#define VALGRIND_DISABLE_ERROR_REPORTING                     ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING                      ((void)0)
#define RUNNING_ON_VALGRIND                                  0
#endif

/* Blocks that touch are told apart less well by memcheck: starter.h. */
static inline bool valgrind_runs(void)
{
	return ARN_VALGRIND && RUNNING_ON_VALGRIND != 0;
}

/* P is a block of SIZE bytes from now on. */
ARN_HOT void valgrind_malloc(void *p, size_t size, bool zeroed)
{
	if (ARN_VALGRIND)
		VALGRIND_MALLOCLIKE_BLOCK(p, size, 0, zeroed);
}

/* Before the block can be handed out again.  Memcheck reports one that it does not know. */
ARN_HOT void valgrind_free(void *p)
{
	if (ARN_VALGRIND)
		VALGRIND_FREELIKE_BLOCK(p, 0);
}

/* The size that was asked for the block P, which has USABLE bytes: those to the first that may not
 * be touched.  USABLE itself outside of valgrind. */
ARN_HOT size_t valgrind_asked(const void *p, size_t usable)
{
	uintptr_t end = 0;

	if (ARN_VALGRIND) {
		VALGRIND_DISABLE_ERROR_REPORTING;
		end = (uintptr_t)VALGRIND_CHECK_MEM_IS_ADDRESSABLE(p, usable);
		VALGRIND_ENABLE_ERROR_REPORTING;
	}
	return end == 0 ? usable : end - (uintptr_t)p;
}

/* Free pages, or what was added behind a block. */
ARN_HOT void valgrind_noaccess(void *p, size_t n)
{
	if (ARN_VALGRIND)
		VALGRIND_MAKE_MEM_NOACCESS(p, n);
}

/* The block P, for which ASKED bytes were asked before, keeps its place for SIZE of its USABLE
 * bytes. */
ARN_HOT void valgrind_resize(void *p, size_t asked, size_t size, size_t usable)
{
	if (ARN_VALGRIND) {
		if (usable > asked)
			VALGRIND_MAKE_MEM_NOACCESS((char *)p + asked, usable - asked);
		VALGRIND_RESIZEINPLACE_BLOCK(p, asked, size, 0);
	}
}

/* Metadata: not searched for pointers to blocks; the library alone may touch it. */
ARN_HOT void valgrind_hide(void *p, size_t n)
{
	if (ARN_VALGRIND) {
		VALGRIND_MAKE_MEM_NOACCESS(p, n);
		VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE(p, n);
	}
}

/* A part of it that a system call looks at: the kernel's side is checked all the same. */
ARN_HOT void valgrind_show(void *p, size_t n)
{
	if (ARN_VALGRIND)
		VALGRIND_MAKE_MEM_DEFINED(p, n);
}

#endif
