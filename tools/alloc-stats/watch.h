/* SPDX-License-Identifier: MIT
 *
 * watch.h - one line per interval.
 */
#ifndef STATS_WATCH_H
#define STATS_WATCH_H

#include "snapshot.h"

/* COUNT lines (0: until the process ends), one each SECONDS; JSON: one compact document a line.
 * Returns an exit status. */
int watch(FILE *f, struct target *t, double seconds, uint64_t count, bool json);

#endif
