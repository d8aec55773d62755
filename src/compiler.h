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
/* For variables of the fast path: addressed directly, not through the GOT. */
#define ARN_HIDDEN __attribute__((visibility("hidden")))
/* Initial-exec costs one load; the dynamic models call __tls_get_addr, which may call malloc. */
#define ARN_TLS __thread __attribute__((tls_model("initial-exec")))

#define ARN_CACHE_LINE 64

/* x86 can add to memory in one instruction, but a compiler that holds the value in a register
 * stores the sum instead: make it forget.  Elsewhere the register is better. */
#if defined(__x86_64__) || defined(__i386__)
#define ARN_FORGET(lvalue) __asm__("" : "+m"(lvalue))
#else
#define ARN_FORGET(lvalue) ((void)0)
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

#define ARN_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
