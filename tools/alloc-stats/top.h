/* SPDX-License-Identifier: MIT
 *
 * top.h - every process of the machine that runs libarena.
 */
#ifndef STATS_TOP_H
#define STATS_TOP_H

#include "snapshot.h"

enum top_key { TOP_RESIDENT, TOP_WASTE, TOP_GROWTH, TOP_LIVE };

/* Snapshots of all processes that can be read; *DENIED counts those that cannot, for want of a
 * permission.  The caller frees. */
struct snapshot **top_scan(size_t *n, size_t *denied);

/* BATCH: COUNT tables on F (0: without end), one each SECONDS; else the screen. */
int top_run(FILE *f, enum top_key key, bool batch, double seconds, uint64_t count);

#endif
