/* SPDX-License-Identifier: MIT
 *
 * stats.h - the reporters: what the heap holds, for people and machines.  Layer api.
 */
#ifndef ARN_STATS_H
#define ARN_STATS_H

#include <stdio.h>

#include <arena/amalloc.h>

#include "compiler.h"

void arn_stats_get(struct amalloc_stats *st);
void arn_stats_print(void);
int arn_info(int options, FILE *stream);
struct amallinfo arn_mallinfo2(void);

#endif
