/* SPDX-License-Identifier: MIT
 *
 * init.h - the beginning of a process.  Layer os (the declarations; init.c is the api layer's).
 */
#ifndef ARN_INIT_H
#define ARN_INIT_H

#include "compiler.h"

/* Makes the first mapping; called by whoever comes first, perhaps before any constructor.  False:
 * out of memory, ask again. */
bool arn_boot(void);

bool arn_is_booted(void);

/* Whether new blocks are ours; whoever asks first has the configuration read.  False: the
 * program was handed back to libc's malloc, and no thread gets a heap. */
bool arn_serves(void);

#endif
