/* SPDX-License-Identifier: MIT
 *
 * fatal.h - the list of crimes, and the one way to end a process.  Layer os.
 */
#ifndef ARN_FATAL_H
#define ARN_FATAL_H

#include "compiler.h"

/* name, what the line on stderr says, what to do */
#define ARN_CRIMES(X)                                                                              \
	X(DOUBLE_FREE, "double free", "this block was freed before; run under valgrind or ASan")   \
	X(INTERIOR, "interior pointer", "this points into a block, not at its start")              \
	X(MISALIGNED, "misaligned pointer",                                                        \
	  "no block starts at an address that is not 16-aligned")                                  \
	X(FOREIGN, "foreign pointer", "this never came from this allocator, or was given back")    \
	X(WRONG_SIZE, "wrong size", "free_sized was told a size that the block was not asked with")

enum arn_crime {
#define X(id, name, hint) CRIME_##id,
	ARN_CRIMES(X)
#undef X
};

/* Writes "libarena: NAME: ADDRESS: HINT" to stderr in one write, and
 * aborts.  Uses a stack buffer and no lock, so that it works wherever it is reached from. */
void arn_crime(enum arn_crime crime, const void *p) __attribute__((noreturn, cold));

/* One warning line: "libarena: TEXT: "DETAIL"", of which DETAIL_N bytes at most. */
void arn_warn(const char *text, const char *detail, size_t detail_n) __attribute__((cold));

#endif
