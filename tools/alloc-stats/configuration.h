/* SPDX-License-Identifier: MIT
 *
 * configuration.h - what a process was configured to do (arena.conf(5)).
 */
#ifndef STATS_CONFIGURATION_H
#define STATS_CONFIGURATION_H

#include "snapshot.h"

/* Shows it; the exit status. */
int config_show(FILE *f, struct target *t);

/* Whether the process was handed back to the C library's malloc. */
bool config_handed_back(struct target *t, const struct found_root *r);

#endif
