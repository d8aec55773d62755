/* SPDX-License-Identifier: MIT
 *
 * small.h - a small page map for the model: memory that an execution puts back costs time.  Starter
 * runs have a scenario of their own; elsewhere their words would only multiply what is visited.
 */
#include "tuning.h"
#undef WINDOW_MAPPED
#define WINDOW_MAPPED (4 * MIB)
#undef STARTER_TAKES
#undef STARTER_TAKES_FIRST
#undef STARTER_TAKES_RARE
#define STARTER_TAKES       0
#define STARTER_TAKES_FIRST 0
#define STARTER_TAKES_RARE  0
