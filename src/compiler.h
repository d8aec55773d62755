/* SPDX-License-Identifier: MIT
 *
 * compiler.h - what we ask of the compiler, and the three kinds of assertion.
 *
 * Layer base: no state, no system calls.  ARN_HOT marks every function of the fast path (grep for
 * it to see the whole path); ARN_SLOW marks each out-of-line continuation, whose name ends in
 * _slow.
 */
#ifndef ARN_COMPILER_H
#define ARN_COMPILER_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* mremap flags, and the like: this header comes first everywhere. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef ARN_DEBUG
#define ARN_DEBUG 0
#endif
#ifndef ARN_PARANOID
#define ARN_PARANOID 0
#endif
#ifndef ARN_VALGRIND
#define ARN_VALGRIND 0
#endif

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARN_HOT  static inline __attribute__((always_inline))
#define ARN_SLOW __attribute__((noinline))
/* What ends the process, or comes once in its life. */
#define ARN_COLD   __attribute__((noinline, cold))
#define ARN_EXPORT __attribute__((visibility("default")))
/* For malloc and free: where they began within a line was left to chance, and worth a tenth of a
 * pair (doc/performance.md). */
#define ARN_ALIGNED_CODE __attribute__((aligned(64)))
/* For variables of the fast path: addressed directly, not through the GOT. */
#define ARN_HIDDEN __attribute__((visibility("hidden")))
/* Initial-exec costs one load; the dynamic models call __tls_get_addr, which may call malloc. */
#define ARN_TLS __thread __attribute__((tls_model("initial-exec")))

/* Large, and mostly untouched: behind all other variables, which then share one OS page.  Linkers
 * put common symbols last in .bss (after link-time optimisation they do not: configure turns it off
 * for the libraries). */
#define ARN_LAST __attribute__((common, visibility("hidden")))

#define ARN_CACHE_LINE 64

#if defined(__SANITIZE_THREAD__)
#define ARN_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ARN_TSAN 1
#endif
#endif
#ifndef ARN_TSAN
#define ARN_TSAN 0
#endif

/* Moves a pointer by the constant N, in one store: reporters of other threads look at it
 * (RELAXED_GET).  x86 does it by one instruction, which no compiler makes of an atomic load and
 * store.  ThreadSanitizer does not see into it, and gets the two. */
#if (defined(__x86_64__) || defined(__i386__)) && !ARN_TSAN
#ifdef __LP64__
#define ARN_ADD_TO_MEMORY "addq %1, %0"
#else
#define ARN_ADD_TO_MEMORY "addl %1, %0"
#endif
#define ARN_STEP(pointer, n)                                                                       \
	__asm__(ARN_ADD_TO_MEMORY : "+m"(pointer) : "i"((n) * (long)sizeof *(pointer)))
#else
#define ARN_STEP(pointer, n) RELAXED_SET(pointer, (pointer) + (n))
#endif

/* P is what the function returns: gcc puts it into another register first where an ARN_STEP follows.
 */
#if defined(__x86_64__)
#define ARN_RESULT(p) __asm__("" : "+a"(p))
#else
#define ARN_RESULT(p) ((void)0)
#endif

/* Internal errors.  Client errors go to arn_crime() and are always on. */
void arn_assert_fail(const char *expr, const char *file, int line) __attribute__((noreturn, cold));
#define ARN_ASSERT(e)                                                                              \
	do {                                                                                       \
		if (ARN_DEBUG && unlikely(!(e)))                                                   \
			arn_assert_fail(#e, __FILE__, __LINE__);                                   \
	} while (0)

/* Words that their owner changes under a lock and others may look at without it: whatever they see
 * was true at some moment. */
#define RELAXED_GET(lvalue)        __atomic_load_n(&(lvalue), __ATOMIC_RELAXED)
#define RELAXED_SET(lvalue, value) __atomic_store_n(&(lvalue), value, __ATOMIC_RELAXED)
/* Pointers to what is never taken away: published by the one, followed by the other without the
 * lock under which it was made. */
#define ACQUIRE_GET(lvalue)        __atomic_load_n(&(lvalue), __ATOMIC_ACQUIRE)
#define RELEASE_SET(lvalue, value) __atomic_store_n(&(lvalue), value, __ATOMIC_RELEASE)

#define ARN_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
